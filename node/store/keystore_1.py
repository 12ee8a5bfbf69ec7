"""Format 1 of the keystore, which is read and no longer written (SPEC 7.5).

file = magic 8 | lock u8 | memory u32 KiB | passes u32 | lanes u8 | salt 16 | nonce 12 |
       wrapped vault key 48 | nonce 12 | AES-256-GCM of the secrets, CBOR [[name, value], ...]
"""

import struct
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.store.errors import CorruptedFileError, WrongPassphraseError
from peerstream.node.store.locks import Cost, LockKind, Unlock
from peerstream.node.store.vault import NONCE_SIZE, TAG_SIZE, WRAPPED_SIZE

_HEADER: Final = struct.Struct(">8sBIIB16s12s")
_HEAD_SIZE: Final = _HEADER.size + WRAPPED_SIZE
_KINDS: Final = (LockKind.PASSPHRASE, LockKind.KEY_FILE)


class Header(NamedTuple):
    """What stands before the wrapped vault key."""

    kind: LockKind
    cost: Cost | None
    salt: bytes
    nonce: bytes


class Opened(NamedTuple):
    """What came out: the secrets' encoding, and the secret of the lock, for format 2."""

    header: Header
    lock_secret: bytes
    secrets: bytes


def read_header(path: Path, data: bytes) -> Header:
    """Return the header of a file that begins as one. Raises CorruptedFileError."""
    if len(data) < _HEAD_SIZE + NONCE_SIZE + TAG_SIZE:
        raise CorruptedFileError(f"{path} ends early")
    _, kind, memory, passes, lanes, salt, nonce = _HEADER.unpack_from(data)
    if kind not in _KINDS:
        raise CorruptedFileError(f"{path} is locked in a way that we do not know")
    if kind == LockKind.KEY_FILE:
        return Header(LockKind.KEY_FILE, None, salt, nonce)
    cost = Cost(memory, passes, lanes)
    cost.require_bearable(path)
    return Header(LockKind.PASSPHRASE, cost, salt, nonce)


def open_file(path: Path, data: bytes, unlock: Unlock) -> Opened:
    """Open a file. Raises CorruptedFileError, WrongPassphraseError, and what its lock raises."""
    header = read_header(path, data)
    if unlock.kind is not header.kind:
        raise WrongPassphraseError(f"{path} opens by {header.kind.word}, not {unlock.kind.word}")
    secret = unlock.secret(header.salt, header.cost)
    head, rest = data[:_HEAD_SIZE], data[_HEAD_SIZE:]
    try:
        vault_key = AESGCM(secret).decrypt(header.nonce, head[_HEADER.size :], head[: _HEADER.size])
    except InvalidTag as error:
        raise WrongPassphraseError(f"{path}") from error
    try:
        secrets = AESGCM(vault_key).decrypt(rest[:NONCE_SIZE], rest[NONCE_SIZE:], head)
    except InvalidTag as error:
        raise CorruptedFileError(f"{path} was altered") from error
    return Opened(header, secret, secrets)
