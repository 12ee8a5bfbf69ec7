"""The vault of a node: its secrets by name, in memory and in one file (SPEC 22).

The whole file is replaced at each change; an erased secret is gone from it, though not from what
the disk or a backup may have kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.identity import canonical, labels
from peerstream.identity.errors import EncodingError
from peerstream.node.store import keystore_1, vault
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    LastLockError,
    NoKeystoreError,
    NoLockError,
    UnknownSecretError,
)
from peerstream.node.store.files import read_private, write_whole
from peerstream.node.store.locks import (
    KEY_SIZE,
    Cost,
    Credential,
    Entropy,
    KeyFile,
    LockKind,
    OsKeyring,
    Passphrase,
    Unlock,
)

__all__ = ["Credential", "Entropy", "KeyFile", "Keystore", "OsKeyring", "Passphrase", "Unlock"]

KEYSTORE_MAX: Final = 4_194_304
NAME_MAX: Final = 128
SECRET_MAX: Final = 65_536
SECRETS_MAX: Final = 1_024


class LockTerms(NamedTuple):
    """What anybody who has the file can see of a lock."""

    kind: LockKind
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class VaultTerms:
    """What anybody who has the file can see of a vault; not authenticated until it is opened."""

    format: int
    locks: tuple[LockTerms, ...]

    @property
    def kinds(self) -> tuple[LockKind, ...]:
        """The kinds of its locks, in their order."""
        return tuple(lock.kind for lock in self.locks)


def read_terms(path: Path) -> VaultTerms:
    """Return what opens a keystore, without opening it.

    Raises NoKeystoreError when there is no file, ForeignStateError, StateVersionError,
    CorruptedFileError, StatePermissionError.
    """
    data = _read(path)
    if data.startswith(vault.MAGIC_1):
        header = keystore_1.read_header(path, data)
        return VaultTerms(1, (LockTerms(header.kind, header.cost),))
    head, _ = vault.parse(path, data)
    return VaultTerms(2, tuple(LockTerms(lock.kind, lock.cost) for lock in head.locks))


class Keystore:
    """The secrets of one node by name, in memory and in one file.

    Every change is on disk when the method returns. `entropy` draws keys, salts and nonces.
    """

    def __init__(self, path: Path, head: vault.Head, vault_key: bytes, entropy: Entropy) -> None:
        self._path = path
        self._head = head
        self._vault_key = vault_key
        self._cipher = AESGCM(vault.derive(head, vault_key, labels.VAULT_SECRETS))
        self._entropy = entropy
        self._secrets: dict[str, bytes] = {}
        self._kept = True  # a vault key that is only in memory must not be relied upon

    def __repr__(self) -> str:
        return f"<Keystore {self._path}>"

    @classmethod
    def create(cls, path: Path, unlock: Unlock, entropy: Entropy) -> Self:
        """Make an empty keystore where there is no file yet.

        A KeyFile must have been made before. Raises ForeignStateError if there is a file, and
        what making the lock's secret raises.
        """
        if path.exists():
            raise ForeignStateError(f"{path} exists")
        vault_id, vault_key = entropy(vault.SALT_SIZE), entropy(KEY_SIZE)
        lock = vault.new_lock(unlock, vault_id, vault_key, entropy)
        store = cls(path, vault.Head(vault_id, (lock,)), vault_key, entropy)
        store._save(store._head, {})
        return store

    @classmethod
    def open(cls, path: Path, unlock: Unlock, entropy: Entropy, *, carried: bool = False) -> Self:
        """Open a keystore; one of format 1 becomes format 2 at its first change.

        carried: a backup that came on a disk without owners, or through others' hands.
        Raises NoKeystoreError when there is no file, ForeignStateError, StateVersionError,
        CorruptedFileError, WrongPassphraseError, and what reading the lock's secret raises.
        """
        data = _read(path, carried=carried)
        if data.startswith(vault.MAGIC_1):
            return cls._from_format_1(path, data, unlock, entropy)
        head, end = vault.parse(path, data)
        store = cls(path, head, head.open(path, unlock), entropy)
        nonce, sealed = data[end : end + vault.NONCE_SIZE], data[end + vault.NONCE_SIZE :]
        try:
            store._secrets = read_secrets(path, store._cipher.decrypt(nonce, sealed, data[:end]))
        except InvalidTag as error:
            raise CorruptedFileError(f"{path} was altered") from error
        return store

    @classmethod
    def _from_format_1(cls, path: Path, data: bytes, unlock: Unlock, entropy: Entropy) -> Self:
        header, secret, secrets = keystore_1.open_file(path, data, unlock)
        vault_id, vault_key = entropy(vault.SALT_SIZE), entropy(KEY_SIZE)
        terms = (header.salt, header.cost)
        lock = vault.wrap(header.kind, terms, secret, (vault_id, vault_key), entropy)
        store = cls(path, vault.Head(vault_id, (lock,)), vault_key, entropy)
        store._secrets = read_secrets(path, secrets)
        store._kept = False
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
        self.change({name: secret})

    def delete(self, name: str) -> None:
        """Erase a secret. Raises UnknownSecretError."""
        self.get(name)
        self.change({}, erase=[name])

    def change(self, put: Mapping[str, bytes], erase: Iterable[str] = ()) -> None:
        """Erase secrets, where they are, and keep others, all in one write: all or nothing.

        Raises ValueError over the limits.
        """
        gone = set(erase)
        after = {name: value for name, value in self._secrets.items() if name not in gone}
        for name, secret in put.items():
            if len(name) > NAME_MAX or len(secret) > SECRET_MAX:
                raise ValueError(f"{name[:NAME_MAX]}: no room in the keystore")
            after[name] = bytes(secret)
        if len(after) > SECRETS_MAX:
            raise ValueError(f"more than {SECRETS_MAX} secrets")
        self._save(self._head, after)

    def database_key(self, purpose: str) -> bytes:
        """Return the 32 bytes that encrypt one database beside the vault; always the same.

        It opens no secret of the vault. Raises StateUnavailableError.
        """
        if not self._kept:
            self._save(self._head, self._secrets)
        return vault.derive(
            self._head, self._vault_key, labels.VAULT_DATABASE + purpose.encode("ascii")
        )

    @property
    def lock_kinds(self) -> tuple[LockKind, ...]:
        """What opens it."""
        return tuple(lock.kind for lock in self._head.locks)

    def set_lock(self, unlock: Unlock) -> None:
        """Put a lock, in place of one of its kind. Raises what making its secret raises."""
        old = self._head.lock(unlock.kind)
        lock = vault.new_lock(unlock, self._head.vault_id, self._vault_key, self._entropy)
        self._save(self._head.with_lock(lock), self._secrets)
        if old is not None:
            unlock.forget(old.salt)

    def remove_lock(self, unlock: Unlock) -> None:
        """Remove the lock of a kind. Raises NoLockError, LastLockError, KeyringError."""
        old = self._head.lock(unlock.kind)
        if old is None:
            raise NoLockError(f"{self._path}: {unlock.kind.word}")
        if len(self._head.locks) == 1:
            raise LastLockError(f"{self._path} opens by {unlock.kind.word} alone")
        self._save(self._head.without(unlock.kind), self._secrets)
        unlock.forget(old.salt)

    def _save(self, head: vault.Head, secrets: dict[str, bytes]) -> None:
        rows: list[Any] = [[name, secrets[name]] for name in sorted(secrets)]
        before, nonce = head.encode(), self._entropy(vault.NONCE_SIZE)
        sealed = self._cipher.encrypt(nonce, canonical.encode(rows), before)
        write_whole(self._path, before + nonce + sealed)
        self._head, self._secrets, self._kept = head, secrets, True


def _read(path: Path, *, carried: bool = False) -> bytes:
    data = read_private(path, KEYSTORE_MAX, carried=carried)
    if data is None:
        raise NoKeystoreError(f"{path}")
    return data


def read_secrets(path: Path, encoded: bytes) -> dict[str, bytes]:
    """Return the secrets that were sealed in a file. Raises CorruptedFileError."""
    try:
        rows = canonical.as_array(canonical.decode(encoded, max_size=KEYSTORE_MAX), 0, SECRETS_MAX)
        return dict(_read_row(row) for row in rows)
    except EncodingError as error:
        raise CorruptedFileError(f"{path} holds something else than secrets") from error


def _read_row(row: canonical.Value) -> tuple[str, bytes]:
    name, secret = canonical.as_array(row, 2, 2)
    if not isinstance(name, str) or not isinstance(secret, bytes):
        raise EncodingError("no name and secret")
    return name, secret
