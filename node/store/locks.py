"""What opens a vault: passphrase, key file, the system's keyring, a systemd credential (SPEC 22.2).

Each gives the bytes `s` that a lock's wrapping key is derived from. None is ever printed.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from peerstream.node.store import os_keyring
from peerstream.node.store.errors import (
    CorruptedFileError,
    CredentialError,
    KeyFileError,
    KeyringEntryError,
)
from peerstream.node.store.files import read_private, write_whole

Entropy = Callable[[int], bytes]

KEY_SIZE: Final = 32
CREDENTIAL: Final = "psp-vault"
_CREDENTIAL_MAX: Final = 4_096
# What a file may ask of us: more would be somebody else's file, made to exhaust the machine.
_MEMORY_MAX: Final = 1_048_576
_PASSES_MAX: Final = 64
_LANES_MAX: Final = 16
_WORK_MAX: Final = 4 * _MEMORY_MAX  # KiB times passes: seconds


class LockKind(IntEnum):
    """How a lock is opened; the number stands in the file."""

    PASSPHRASE = 1
    KEY_FILE = 2
    KEYRING = 3
    SYSTEMD = 4

    @property
    def word(self) -> str:
        """The name in commands and their output."""
        return self.name.lower().replace("_", "-")


class Cost(NamedTuple):
    """What Argon2id takes: memory in KiB, passes over it, lanes."""

    memory: int
    passes: int
    lanes: int

    def require_bearable(self, path: Path) -> None:
        """Raise CorruptedFileError when a file asks for more than anybody's passphrase needs."""
        fine = (
            1 <= self.lanes <= _LANES_MAX
            and 8 * self.lanes <= self.memory <= _MEMORY_MAX
            and 1 <= self.passes <= _PASSES_MAX
            and self.memory * self.passes <= _WORK_MAX
        )
        if not fine:
            raise CorruptedFileError(f"{path} asks for an unreasonable key derivation")


@dataclass(frozen=True, slots=True)
class Passphrase:
    """Opens by Argon2id; the cost counts for new locks, old ones carry their own.

    memory in KiB. The defaults are RFC 9106's second choice (3 passes, 4 lanes, 64 MiB).
    """

    kind: ClassVar = LockKind.PASSPHRASE

    text: str = field(repr=False)
    memory: int = 65_536
    passes: int = 3
    lanes: int = 4

    @property
    def cost(self) -> Cost:
        """What a new lock costs."""
        return Cost(self.memory, self.passes, self.lanes)

    def secret(self, salt: bytes, cost: Cost | None) -> bytes:
        """Return the 32 bytes of an existing lock."""
        memory, passes, lanes = cost or self.cost
        derivation = Argon2id(
            salt=salt, length=KEY_SIZE, iterations=passes, lanes=lanes, memory_cost=memory
        )
        return derivation.derive(self.text.encode())

    def new_secret(self, salt: bytes, _entropy: Entropy) -> bytes:
        """Return the 32 bytes of a new lock."""
        return self.secret(salt, self.cost)

    def forget(self, salt: bytes) -> None:
        """Erase what a removed lock needed outside of the file: nothing."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Opens by a file of 32 bytes, mode 0600: for servers that nobody types at."""

    kind: ClassVar = LockKind.KEY_FILE
    cost: ClassVar[Cost | None] = None

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

    def secret(self, _salt: bytes, _cost: Cost | None) -> bytes:
        """Return the key; raises as `read`."""
        return self.read()

    def new_secret(self, _salt: bytes, _entropy: Entropy) -> bytes:
        """Return the key, which was made before; raises as `read`."""
        return self.read()

    def forget(self, salt: bytes) -> None:
        """Erase nothing: the file may open other vaults."""


@dataclass(frozen=True, slots=True)
class OsKeyring:
    """Opens by an entry in the keyring of the user's system."""

    kind: ClassVar = LockKind.KEYRING
    cost: ClassVar[Cost | None] = None

    def secret(self, salt: bytes, _cost: Cost | None) -> bytes:
        """Return the entry of a lock. Raises KeyringEntryError, KeyringError."""
        found = os_keyring.read(salt.hex())
        if found is None or len(found) != KEY_SIZE:
            raise KeyringEntryError(f"peerstream {salt.hex()[:8]}…")
        return found

    def new_secret(self, salt: bytes, entropy: Entropy) -> bytes:
        """Draw and store an entry. Raises KeyringError."""
        made = entropy(KEY_SIZE)
        os_keyring.write(salt.hex(), made)
        return made

    def forget(self, salt: bytes) -> None:
        """Erase the entry of a lock that is no more. Raises KeyringError."""
        os_keyring.erase(salt.hex())


@dataclass(frozen=True, slots=True)
class Credential:
    """Opens by a credential that the service manager puts into a directory, in memory."""

    kind: ClassVar = LockKind.SYSTEMD
    cost: ClassVar[Cost | None] = None

    path: Path

    def secret(self, _salt: bytes, _cost: Cost | None) -> bytes:
        """Return the credential, 32 to 4 096 bytes. Raises CredentialError."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                mode = os.fstat(descriptor).st_mode
                data = file.read(_CREDENTIAL_MAX + 1)
        except OSError as error:
            raise CredentialError(f"{self.path}: {error.strerror}") from error
        # systemd gives it to root with an access list, or to the service: the group is a mask.
        if not stat.S_ISREG(mode) or mode & 0o007:
            raise CredentialError(f"{self.path} is for everybody")
        if not KEY_SIZE <= len(data) <= _CREDENTIAL_MAX:
            raise CredentialError(f"{self.path} has no 32 to {_CREDENTIAL_MAX} bytes")
        return data

    def new_secret(self, salt: bytes, _entropy: Entropy) -> bytes:
        """Return the credential; raises as `secret`."""
        return self.secret(salt, None)

    def forget(self, salt: bytes) -> None:
        """Erase nothing: the credential is the service manager's."""


Unlock = Passphrase | KeyFile | OsKeyring | Credential
