"""Files that hold a wallet's key: hexadecimal, or a V3 keystore of somebody's making (SPEC 13.4).

Of a keystore only what was checked is handed on: the library that opens it folds the case of names,
knows more versions, and takes any cost.
"""

import math
import re
from pathlib import Path
from typing import Any, Final

from peerstream.identity.json_text import JsonTextError, read_json
from peerstream.node.cli.errors import WalletFileError, WalletPassphraseError
from peerstream.node.cli.secrets import ask_passphrase
from peerstream.node.store.errors import CorruptedFileError
from peerstream.node.store.files import read_private

WALLET_FILE_MAX: Final = 65_536
_KEY_SIZE: Final = 32
_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})*)")
# Twice what wallets use: a keystore could ask for all memory, or for a year.
_SCRYPT_MAX: Final = 1 << 30  # bytes: 128 N r p
_ROUNDS_MAX: Final = 10_000_000
_SALT_MAX: Final = 128


def read_wallet_key(path: Path) -> bytes:
    """Return the 32 secret bytes of a wallet file: hexadecimal, or a V3 keystore (prompts).

    Raises WalletFileError, WalletPassphraseError, StatePermissionError when others may read it.
    """
    try:
        data = read_private(path, WALLET_FILE_MAX)
    except CorruptedFileError as error:
        raise WalletFileError(f"{path} is larger than {WALLET_FILE_MAX} bytes") from error
    if data is None:
        raise WalletFileError(f"there is no {path}")
    if data.lstrip().startswith(b"{"):
        return _open_keystore(path, data)
    try:
        key = bytes.fromhex(data.decode("ascii").strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != _KEY_SIZE:
        # The file may hold a secret that is merely misspelt, so nothing of it is repeated.
        raise WalletFileError(f"{path} holds no key")
    return key


def _open_keystore(path: Path, data: bytes) -> bytes:
    try:
        found = read_keystore(data)
    except WalletFileError as error:
        raise WalletFileError(f"{path}: {error}") from error
    from eth_account import Account  # noqa: PLC0415 - a megabyte that only this needs

    passphrase = ask_passphrase(f"the wallet {path}")
    try:
        return bytes(Account.decrypt(found, passphrase))
    except ValueError:
        raise WalletPassphraseError(f"{path}") from None  # the cause could hold key material


def read_keystore(data: bytes) -> dict[str, Any]:
    """Return a V3 keystore with exactly the fields that open it, in bounds.

    Raises WalletFileError for anything else.
    """
    try:
        found = read_json(data, object_pairs=_once)
        if type(found) is not dict or found["version"] != 3:
            raise WalletFileError("no V3 keystore")
        crypto = found["crypto"]
        if crypto["cipher"] != "aes-128-ctr":
            raise WalletFileError("no cipher that we know")
        return {"version": 3, "crypto": _read_crypto(crypto)}
    except (JsonTextError, KeyError, TypeError) as error:
        raise WalletFileError("no V3 keystore") from error


def _read_crypto(crypto: dict[str, Any]) -> dict[str, Any]:
    return {
        "cipher": crypto["cipher"],
        "cipherparams": {"iv": _hex(crypto["cipherparams"]["iv"], 16, 16)},
        "ciphertext": _hex(crypto["ciphertext"], _KEY_SIZE, _KEY_SIZE),
        "kdf": crypto["kdf"],
        "kdfparams": _read_cost(crypto["kdf"], crypto["kdfparams"]),
        "mac": _hex(crypto["mac"], 32, 32),
    }


def _read_cost(kdf: object, cost: dict[str, Any]) -> dict[str, Any]:
    shared = {
        "dklen": _number(cost["dklen"], _KEY_SIZE, _KEY_SIZE),
        "salt": _hex(cost["salt"], 0, _SALT_MAX),
    }
    if kdf == "pbkdf2" and cost["prf"] == "hmac-sha256":
        return {**shared, "prf": cost["prf"], "c": _number(cost["c"], 1, _ROUNDS_MAX)}
    if kdf != "scrypt":
        raise WalletFileError("no key derivation that we know")
    numbers = {name: _number(cost[name], 1, _SCRYPT_MAX) for name in ("n", "r", "p")}
    if 128 * math.prod(numbers.values()) > _SCRYPT_MAX or numbers["n"].bit_count() != 1:
        raise WalletFileError("an unreasonable key derivation")
    return {**shared, **numbers}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; the same name twice, in any case, is for two readers to read differently."""
    folded = [name.lower() for name, _ in pairs]
    if len(set(folded)) != len(folded):
        raise WalletFileError("a name stands there twice")
    return dict(zip(folded, (value for _, value in pairs), strict=True))


def _number(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise WalletFileError("an unreasonable key derivation")
    return value


def _hex(value: object, least: int, most: int) -> str:
    found = _HEX.fullmatch(value) if isinstance(value, str) else None
    if found is None or not 2 * least <= len(found[1]) <= 2 * most:
        raise WalletFileError("a field that is no hexadecimal of its size")
    return found[1]
