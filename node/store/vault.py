"""The head of a vault file: its id, and locks that each wrap the vault key (SPEC 22.1).

Nothing here touches a disk; `path` is for messages.
"""

from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peerstream.identity import canonical, labels
from peerstream.identity.errors import EncodingError
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    StateVersionError,
    WrongPassphraseError,
)
from peerstream.node.store.locks import KEY_SIZE, Cost, Entropy, LockKind, Unlock

MAGIC: Final = b"PSPkeys2"
MAGIC_1: Final = b"PSPkeys1"
NONCE_SIZE: Final = 12
SALT_SIZE: Final = 16
TAG_SIZE: Final = 16
WRAPPED_SIZE: Final = KEY_SIZE + TAG_SIZE
_FAMILY: Final = MAGIC[:-1]
_SIZE_END: Final = len(MAGIC) + 2
_HEAD_MAX: Final = 1_024
_U32: Final = (1 << 32) - 1


class Lock(NamedTuple):
    """One way to the vault key."""

    kind: LockKind
    salt: bytes
    cost: Cost | None
    nonce: bytes
    wrapped: bytes

    def to_value(self) -> list[canonical.Value]:
        """Return what stands in the file."""
        return [*_terms(self.kind, self.salt, self.cost), self.nonce, self.wrapped]

    def unwrap(self, vault_id: bytes, secret: bytes) -> bytes:
        """Return the vault key. Raises InvalidTag."""
        cipher = AESGCM(_wrapping_key(self.kind, self.salt, secret))
        data = _wrap_data(vault_id, self.kind, self.salt, self.cost)
        return cipher.decrypt(self.nonce, self.wrapped, data)


class Head(NamedTuple):
    """What a vault file says before its secrets; locks in the order of their kinds."""

    vault_id: bytes
    locks: tuple[Lock, ...]

    def encode(self) -> bytes:
        """Return the bytes up to the nonce."""
        body = canonical.encode([self.vault_id, [lock.to_value() for lock in self.locks]])
        return MAGIC + len(body).to_bytes(2, "big") + body

    def lock(self, kind: LockKind) -> Lock | None:
        """Return the lock of a kind, None when there is none."""
        return next((lock for lock in self.locks if lock.kind is kind), None)

    def with_lock(self, lock: Lock) -> "Head":
        """Return a head with this lock, in place of one of its kind."""
        rest = [each for each in self.locks if each.kind is not lock.kind]
        return Head(self.vault_id, tuple(sorted([*rest, lock])))

    def without(self, kind: LockKind) -> "Head":
        """Return a head without the lock of a kind."""
        return Head(self.vault_id, tuple(lock for lock in self.locks if lock.kind is not kind))

    def open(self, path: Path, unlock: Unlock) -> bytes:
        """Return the vault key. Raises WrongPassphraseError, and what reading a secret raises."""
        lock = self.lock(unlock.kind)
        if lock is None:
            words = " or ".join(each.kind.word for each in self.locks)
            raise WrongPassphraseError(f"{path} opens by {words}, not by {unlock.kind.word}")
        try:
            return lock.unwrap(self.vault_id, unlock.secret(lock.salt, lock.cost))
        except InvalidTag as error:
            raise WrongPassphraseError(f"{path}") from error


def new_lock(unlock: Unlock, vault_id: bytes, vault_key: bytes, entropy: Entropy) -> Lock:
    """Wrap the vault key anew. Raises what making the lock's secret raises."""
    salt = entropy(SALT_SIZE)
    secret = unlock.new_secret(salt, entropy)
    return wrap(unlock.kind, (salt, unlock.cost), secret, (vault_id, vault_key), entropy)


def wrap(
    kind: LockKind,
    terms: tuple[bytes, Cost | None],
    secret: bytes,
    vault: tuple[bytes, bytes],
    entropy: Entropy,
) -> Lock:
    """Wrap a vault key under a secret that is known. terms: salt, cost. vault: id, key."""
    (salt, cost), (vault_id, vault_key) = terms, vault
    nonce = entropy(NONCE_SIZE)
    cipher = AESGCM(_wrapping_key(kind, salt, secret))
    wrapped = cipher.encrypt(nonce, vault_key, _wrap_data(vault_id, kind, salt, cost))
    return Lock(kind, salt, cost, nonce, wrapped)


def parse(path: Path, data: bytes) -> tuple[Head, int]:
    """Return the head of a file and where the nonce begins; nothing is opened.

    Raises ForeignStateError, StateVersionError, CorruptedFileError.
    """
    require_magic(path, data, MAGIC)
    end = _SIZE_END + int.from_bytes(data[len(MAGIC) : _SIZE_END], "big")
    if not _SIZE_END < end <= min(_SIZE_END + _HEAD_MAX, len(data) - NONCE_SIZE - TAG_SIZE):
        raise CorruptedFileError(f"{path} ends early")
    try:
        value = canonical.decode(data[_SIZE_END:end], max_size=_HEAD_MAX)
        vault_id, rows = canonical.as_array(value, 2, 2)
        locks = tuple(_read_lock(row) for row in canonical.as_array(rows, 1, len(LockKind)))
        head = Head(canonical.as_octets(vault_id, SALT_SIZE), locks)
    except EncodingError as error:
        raise CorruptedFileError(f"{path}: its locks are damaged") from error
    kinds = [lock.kind for lock in locks]
    if kinds != sorted(set(kinds)):
        raise CorruptedFileError(f"{path}: its locks are not in order")
    for lock in locks:
        if lock.cost is not None:
            lock.cost.require_bearable(path)
    return head, end


def require_magic(path: Path, data: bytes, magic: bytes) -> None:
    """Raise ForeignStateError for no keystore, StateVersionError for one of a later format."""
    found = data[: len(magic)]
    if found == magic:
        return
    if found[:-1] == _FAMILY and found[-1:].isdigit() and found > magic:
        raise StateVersionError(f"{path} is a keystore of format {found[-1:].decode()}")
    raise ForeignStateError(f"{path} is no keystore")


def derive(head: Head, vault_key: bytes, label: bytes) -> bytes:
    """Return a key of 32 bytes for one purpose."""
    return _hkdf(head.vault_id, vault_key, label)


def _read_lock(row: canonical.Value) -> Lock:
    kind, salt, cost, nonce, wrapped = canonical.as_array(row, 5, 5)
    number = canonical.as_integer(kind, max(LockKind))
    if number not in set(LockKind):
        raise EncodingError("no lock of that kind")
    return Lock(
        LockKind(number),
        canonical.as_octets(salt, SALT_SIZE),
        _read_cost(LockKind(number), cost),
        canonical.as_octets(nonce, NONCE_SIZE),
        canonical.as_octets(wrapped, WRAPPED_SIZE),
    )


def _read_cost(kind: LockKind, value: canonical.Value) -> Cost | None:
    if kind is not LockKind.PASSPHRASE:
        canonical.as_array(value, 0, 0)
        return None
    return Cost(*(canonical.as_integer(each, _U32) for each in canonical.as_array(value, 3, 3)))


def _terms(kind: LockKind, salt: bytes, cost: Cost | None) -> list[canonical.Value]:
    numbers: list[canonical.Value] = [] if cost is None else list(cost)
    return [int(kind), salt, numbers]


def _wrap_data(vault_id: bytes, kind: LockKind, salt: bytes, cost: Cost | None) -> bytes:
    return MAGIC + canonical.encode([vault_id, *_terms(kind, salt, cost)])


def _wrapping_key(kind: LockKind, salt: bytes, secret: bytes) -> bytes:
    return _hkdf(salt, secret, labels.VAULT_LOCK + bytes([kind]))


def _hkdf(salt: bytes, secret: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), 32 bytes."""
    return HKDF(SHA256(), KEY_SIZE, salt, info).derive(secret)
