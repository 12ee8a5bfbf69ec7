"""Secrets at rest: a vault key under a passphrase or key file, all secrets under it (SPEC 7.5).

file = magic 8 | lock u8 | memory u32 KiB | passes u32 | lanes u8 | salt 16 | nonce 12 |
       wrapped vault key 48 | nonce 12 | AES-256-GCM of the secrets, CBOR [[name, value], ...]

All before a ciphertext is its additional data, so no parameter can be lowered unseen. The whole
file is replaced at each change; an erased secret is gone from it, though not from what the disk or
a backup may have kept.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from peerstream.identity import canonical
from peerstream.identity.errors import EncodingError
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    KeyFileError,
    UnknownSecretError,
    WrongPassphraseError,
)
from peerstream.node.store.files import read_private, write_whole

Entropy = Callable[[int], bytes]

MAGIC: Final = b"PSPkeys1"
KEY_SIZE: Final = 32
KEYSTORE_MAX: Final = 4_194_304
NAME_MAX: Final = 128
SECRET_MAX: Final = 65_536
SECRETS_MAX: Final = 1_024
_HEADER: Final = struct.Struct(">8sBIIB16s12s")
_WRAPPED_SIZE: Final = KEY_SIZE + 16
_NONCE_SIZE: Final = 12
_PASSPHRASE, _KEY_FILE = 1, 2
# What a file may ask of us: more would be somebody else's file, made to exhaust the machine.
_MEMORY_MAX: Final = 1_048_576
_PASSES_MAX: Final = 64
_LANES_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Opens a keystore by Argon2id; the cost counts for new files, old ones carry their own.

    memory in KiB. The defaults are RFC 9106's second choice (3 passes, 4 lanes, 64 MiB).
    """

    text: str = field(repr=False)
    memory: int = 65_536
    passes: int = 3
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Opens a keystore by a file of 32 bytes, mode 0600: for servers that nobody types at."""

    path: Path

    def read(self) -> bytes:
        """Return the key. Raises KeyFileError, StatePermissionError."""
        key = read_private(self.path, KEY_SIZE)
        if key is None or len(key) != KEY_SIZE:
            raise KeyFileError(f"{self.path}")
        return key

    def make(self, entropy: Entropy) -> None:
        """Write a new key where there is no file yet. Raises KeyFileError when there is."""
        if self.path.exists():
            raise KeyFileError(f"{self.path} exists")
        write_whole(self.path, entropy(KEY_SIZE))


Unlock = Passphrase | KeyFile


class _Header(NamedTuple):
    magic: bytes
    lock: int
    memory: int
    passes: int
    lanes: int
    salt: bytes
    nonce: bytes

    def encode(self) -> bytes:
        return _HEADER.pack(*self)

    def wrapping_key(self, unlock: Unlock) -> bytes:
        if isinstance(unlock, KeyFile):
            return unlock.read()
        return Argon2id(
            salt=self.salt,
            length=KEY_SIZE,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory,
        ).derive(unlock.text.encode())


class Keystore:
    """The secrets of one node by name, in memory and in one file.

    Every change is on disk when the method returns. `entropy` draws salt, vault key and nonces.
    """

    def __init__(self, path: Path, head: bytes, vault_key: bytes, entropy: Entropy) -> None:
        self._path = path
        self._head = head
        self._cipher = AESGCM(vault_key)
        self._entropy = entropy
        self._secrets: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<Keystore {self._path}>"

    @classmethod
    def create(cls, path: Path, unlock: Unlock, entropy: Entropy) -> Self:
        """Make an empty keystore where there is no file yet. Raises ForeignStateError if there is.

        A KeyFile must have been made before.
        """
        if path.exists():
            raise ForeignStateError(f"{path} exists")
        header = _new_header(unlock, entropy)
        vault_key = entropy(KEY_SIZE)
        cipher = AESGCM(header.wrapping_key(unlock))
        head = header.encode()
        wrapped = cipher.encrypt(header.nonce, vault_key, head)
        store = cls(path, head + wrapped, vault_key, entropy)
        store._save()
        return store

    @classmethod
    def open(cls, path: Path, unlock: Unlock, entropy: Entropy) -> Self:
        """Open a keystore.

        Raises UnknownSecretError when there is no file, ForeignStateError, CorruptedFileError,
        WrongPassphraseError, and what reading a KeyFile raises.
        """
        data = read_private(path, KEYSTORE_MAX)
        if data is None:
            raise UnknownSecretError(f"there is no keystore at {path}")
        header = _read_header(path, data, unlock)
        end = _HEADER.size + _WRAPPED_SIZE
        head, nonce, sealed = data[:end], data[end : end + _NONCE_SIZE], data[end + _NONCE_SIZE :]
        try:
            wrapping = AESGCM(header.wrapping_key(unlock))
            vault_key = wrapping.decrypt(header.nonce, head[_HEADER.size :], head[: _HEADER.size])
        except InvalidTag as error:
            raise WrongPassphraseError(f"{path}") from error
        store = cls(path, head, vault_key, entropy)
        store._secrets = _read_secrets(path, store._cipher, nonce, sealed, head)
        return store

    def names(self) -> list[str]:
        """Return the names of all secrets, sorted."""
        return sorted(self._secrets)

    def __contains__(self, name: object) -> bool:
        return name in self._secrets

    def get(self, name: str) -> bytes:
        """Return a secret. Raises UnknownSecretError."""
        try:
            return self._secrets[name]
        except KeyError:
            raise UnknownSecretError(name) from None

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, in place of one of that name. Raises ValueError over the limits."""
        if len(name) > NAME_MAX or len(secret) > SECRET_MAX or len(self._secrets) >= SECRETS_MAX:
            raise ValueError(f"{name[:NAME_MAX]}: no room in the keystore")
        self._change({**self._secrets, name: bytes(secret)})

    def delete(self, name: str) -> None:
        """Erase a secret. Raises UnknownSecretError."""
        self.get(name)
        self._change({key: value for key, value in self._secrets.items() if key != name})

    def _change(self, secrets: dict[str, bytes]) -> None:
        before, self._secrets = self._secrets, secrets
        try:
            self._save()
        except BaseException:
            self._secrets = before
            raise

    def _save(self) -> None:
        rows: list[Any] = [[name, self._secrets[name]] for name in self.names()]
        nonce = self._entropy(_NONCE_SIZE)
        sealed = self._cipher.encrypt(nonce, canonical.encode(rows), self._head)
        write_whole(self._path, self._head + nonce + sealed)


def _new_header(unlock: Unlock, entropy: Entropy) -> _Header:
    salt, nonce = entropy(16), entropy(_NONCE_SIZE)
    if isinstance(unlock, KeyFile):
        return _Header(MAGIC, _KEY_FILE, 0, 0, 0, salt, nonce)
    return _Header(MAGIC, _PASSPHRASE, unlock.memory, unlock.passes, unlock.lanes, salt, nonce)


def _read_header(path: Path, data: bytes, unlock: Unlock) -> _Header:
    if data[: len(MAGIC)] != MAGIC:
        raise ForeignStateError(f"{path} is no keystore")
    if len(data) < _HEADER.size + _WRAPPED_SIZE + _NONCE_SIZE + 16:
        raise CorruptedFileError(f"{path} ends early")
    header = _Header(*_HEADER.unpack_from(data))
    if header.lock not in {_PASSPHRASE, _KEY_FILE}:
        raise CorruptedFileError(f"{path} is locked in a way that we do not know")
    if (header.lock == _KEY_FILE) != isinstance(unlock, KeyFile):
        needed = "a key file" if header.lock == _KEY_FILE else "a passphrase"
        raise WrongPassphraseError(f"{path} opens by {needed}")
    if header.lock == _PASSPHRASE:
        _require_bearable(path, header)
    return header


def _require_bearable(path: Path, header: _Header) -> None:
    fine = (
        1 <= header.lanes <= _LANES_MAX
        and 8 * header.lanes <= header.memory <= _MEMORY_MAX
        and 1 <= header.passes <= _PASSES_MAX
    )
    if not fine:
        raise CorruptedFileError(f"{path} asks for an unreasonable key derivation")


def _read_secrets(
    path: Path, cipher: AESGCM, nonce: bytes, sealed: bytes, head: bytes
) -> dict[str, bytes]:
    try:
        rows = canonical.decode(cipher.decrypt(nonce, sealed, head), max_size=KEYSTORE_MAX)
        return dict(_read_row(row) for row in canonical.as_array(rows, 0, SECRETS_MAX))
    except (InvalidTag, EncodingError) as error:
        raise CorruptedFileError(f"{path} was altered") from error


def _read_row(row: canonical.Value) -> tuple[str, bytes]:
    name, secret = canonical.as_array(row, 2, 2)
    if not isinstance(name, str) or not isinstance(secret, bytes):
        raise EncodingError("no name and secret")
    return name, secret
