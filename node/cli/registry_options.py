"""What the commands of `psp registry` share: by whom, through what, and how far (SPEC 13.9)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from peerstream.identity.network import NetworkMode
from peerstream.node.cli.errors import BadArgumentError, FileMissingError, NoRegistryError
from peerstream.node.cli.options import named_network
from peerstream.node.cli.wallet_file import read_wallet_key
from peerstream.node.config import NetworkParameters

FILE_MAX: Final = 65_536
_DECIMALS: Final = 18
_WEI: Final = 10**_DECIMALS
_ETHER: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,18}))?")
_WEI_MAX: Final = 2**96 - 1  # what the registry holds as a stake


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Which network."""

    network: Annotated[
        Path | None, Parameter(env_var="PSP_NETWORK", help="The network file (psp.network/1).")
    ] = None

    def parameters(self) -> NetworkParameters:
        """Return the network. Raises NetworkFileError, NoRegistryError for one without a chain."""
        found = named_network(self.network)
        if found.mode is not NetworkMode.CHAIN:
            raise NoRegistryError(f"the network is of mode {found.mode.name.lower()}")
        return found


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions(ReadOptions):
    """Whose account, and whether to sign, to send, to ask."""

    wallet_key: Annotated[
        Path | None, Parameter(help="File with the account's key: hexadecimal, or V3 keystore.")
    ] = None
    dry_run: Annotated[
        bool, Parameter(negative="", help="Tell what it does and costs; sign and send nothing.")
    ] = False
    sign_only: Annotated[
        Path | None, Parameter(help="Sign into a file, for `psp registry submit` elsewhere.")
    ] = None
    yes: Annotated[bool, Parameter(negative="", help="Do not ask before signing.")] = False
    stranger: Annotated[
        bool, Parameter(negative="", help="Let an endpoint that is not yours learn the account.")
    ] = False

    def secret(self) -> bytes:
        """Return the account's secret key, 32 bytes. Raises BadArgumentError, WalletFileError."""
        if self.wallet_key is None:
            raise BadArgumentError("give --wallet-key FILE: the account that signs")
        if self.dry_run and self.sign_only is not None:
            raise BadArgumentError("--dry-run signs nothing: leave --sign-only away")
        return read_wallet_key(self.wallet_key)


DEFAULT_READ: Final = ReadOptions()
DEFAULT_WRITE: Final = WriteOptions()
Read = Annotated[ReadOptions, Parameter(name="*")]
Write = Annotated[WriteOptions, Parameter(name="*")]


def parse_octets(name: str, text: str, size: int) -> bytes:
    """Return so many bytes from hexadecimal text. Raises BadArgumentError."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise BadArgumentError(f"{name} is {size} bytes in hexadecimal")
    return raw


def parse_ether(name: str, text: str) -> int:
    """Return an amount in ether as wei, exactly. Raises BadArgumentError."""
    found = _ETHER.fullmatch(text)
    if found is None:
        raise BadArgumentError(f"{name} is an amount of ether, such as 1 or 0.25")
    wei = int(found[1]) * _WEI + int((found[2] or "").ljust(_DECIMALS, "0"))
    if wei > _WEI_MAX:
        raise BadArgumentError(f"{name} is more than there is")
    return wei


def read_file(path: Path) -> bytes:
    """Return a small file. Raises FileMissingError, BadArgumentError."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise FileMissingError(f"{path}: {error.strerror}") from error
    if len(data) > FILE_MAX:
        raise BadArgumentError(f"{path} is larger than {FILE_MAX} bytes")
    return data
