"""Which relay a command means: of a state directory here, or of one elsewhere (SPEC 13.9)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.identity.json_text import read_json
from peerstream.node.cli.errors import BadArgumentError, NoRelayError, RelayProofError
from peerstream.node.cli.options import KEYSTORE, StateOptions
from peerstream.node.cli.registry_options import parse_octets, read_file
from peerstream.node.library.relay_identity import RelayIdentity, read_identity


@dataclass(frozen=True, slots=True)
class RelayKeys:
    """Public keys of a relay: relay_id 32 B, sign_key; and its proof of possession, 64 B."""

    relay_id: bytes
    sign_key: Address
    possession: bytes


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions(StateOptions):
    """Which relay."""

    relay_id: Annotated[
        str | None, Parameter(help="The relay; by default that of the state directory.")
    ] = None
    init_file: Annotated[
        Path | None, Parameter(help="What `psp relay init --operator --json` printed elsewhere.")
    ] = None

    def id(self) -> bytes:
        """Return the relay's id, 32 bytes. Raises BadArgumentError, NoRelayError, StoreError."""
        if self.relay_id is not None:
            return parse_octets("--relay-id", self.relay_id, 32)
        if self.init_file is not None:
            return _read_init(self.init_file).relay_id
        return self._identity().relay_id

    def keys(self, network_id: bytes, operator: Address) -> RelayKeys:
        """Return the relay's keys and the proof for an operator.

        Raises BadArgumentError, NoRelayError, FileMissingError, StoreError.
        """
        if self.relay_id is not None:
            raise BadArgumentError("--relay-id proves nothing: give --state DIR or --init-file")
        if self.init_file is not None:
            return _read_init(self.init_file)
        identity = self._identity()
        proof = identity.prove(network_id, operator)
        return RelayKeys(identity.relay_id, identity.sign_key, proof)

    def _identity(self) -> RelayIdentity:
        if not (self.directory / KEYSTORE).exists():
            raise NoRelayError(f"{self.directory}")
        with self.keystore() as keystore:
            return read_identity(keystore)


def _read_init(path: Path) -> RelayKeys:
    try:
        found = read_json(read_file(path))
        return RelayKeys(
            parse_octets("relay_id", found["relay_id"], 32),
            Address.parse(found["sign_key"]),
            parse_octets("possession", found["possession"] or "", 64),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RelayProofError(f"{path} is no output of `psp relay init`") from error
    except (AddressError, BadArgumentError) as error:
        raise RelayProofError(f"{path}: {error}") from error
