"""What arrived so far of files, and the step to their final names (SPEC 11.3 and 11.5).

Everything here blocks and belongs in a thread. A part's name says whose it is, its length how far
it came; no other record exists that could disagree.
"""

import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from peerstream.identity.address import Address
from peerstream.node.services.files.disk import storage_errors, write_all
from peerstream.node.services.files.errors import (
    BusyError,
    HostileNameError,
    UnsafeDirectoryError,
)
from peerstream.node.services.files.names import NAME_MAX, candidates, require_safe

PARTS_DIRECTORY: Final = ".psp-parts"
PART: Final = ".part"
MARK: Final = ".done"
FILE_MODE: Final = 0o600
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
_TRIES: Final = 3  # another stream can finish the same file between opening and locking it


@dataclass(frozen=True, slots=True)
class PartKey:
    """Under what the bytes of an unfinished file are kept."""

    sender: Address
    sha256: bytes
    size: int

    @property
    def stem(self) -> str:
        """Name of its files, without the ending."""
        return f"{self.sender.raw.hex()}-{self.sha256.hex()}-{self.size}"


class IncomingDirectory:
    """A directory that files are received into, held open; close it."""

    def __init__(self, path: Path, directory: int, parts: int) -> None:
        self.path = path
        self.directory = directory
        self.parts = parts

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing directory, and make its place for parts.

        Raises StorageError, and UnsafeDirectoryError when that place is somebody else's.
        """
        with storage_errors():
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return cls(path, directory, _open_parts(directory))
        except BaseException:
            os.close(directory)
            raise

    def close(self) -> None:
        """Close it; parts that are open stay usable."""
        os.close(self.parts)
        os.close(self.directory)

    def claim(self, key: PartKey) -> "Part":
        """Open the part of a file for this caller alone, a new one where there is none.

        Raises BusyError when somebody else has it open, DiskFullError, StorageError.
        """
        with storage_errors():
            for _ in range(_TRIES):
                part = self._open_part(key)
                if part is not None:
                    return part
        raise BusyError("this very file is arriving already")

    def settle(self, key: PartKey) -> None:
        """Forget that a file was delivered: its sender knows."""
        with storage_errors(), suppress(FileNotFoundError):
            os.unlink(key.stem + MARK, dir_fd=self.parts)

    def _open_part(self, key: PartKey) -> "Part | None":
        """Return None when the name was taken from under us: try again."""
        descriptor, created = _open_or_create(key.stem + PART, self.parts)
        part = Part(self, key, descriptor)
        try:
            if part.enter(created=created):
                return part
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None


class Part:
    """The beginning of a file, locked; close it.

    length: bytes that are there. delivered_as: the name under which the whole file was put into
    its place earlier, when its sender may not know; then there are no bytes.
    """

    def __init__(self, directory: IncomingDirectory, key: PartKey, descriptor: int) -> None:
        self.key = key
        self.descriptor = descriptor
        self.length = 0
        self.delivered_as: str | None = None
        self._directory = directory
        self._name = key.stem + PART
        self._mark = key.stem + MARK

    def enter(self, *, created: bool) -> bool:
        """Lock it and see what it is; False when another stream finished it meanwhile.

        Raises BusyError, UnsafeDirectoryError.
        """
        require_ours(os.fstat(self.descriptor))
        if not lock(self.descriptor):
            raise BusyError("this very file is arriving already")
        status = os.fstat(self.descriptor)
        if not self._is_named(status):
            return False
        mark = _read_mark(self._mark, self._directory.parts)
        if status.st_nlink > 1:
            # Killed between link and unlink: these bytes are the user's now, not ours to write.
            os.unlink(self._name, dir_fd=self._directory.parts)
            self.delivered_as = mark
            return mark is not None
        self.delivered_as = mark if created else None
        self.length = min(status.st_size, self.key.size)
        os.ftruncate(self.descriptor, self.length)
        return True

    def write(self, data: bytes) -> None:
        """Append. Raises DiskFullError, StorageError."""
        write_all(self.descriptor, data, self.length)
        self.length += len(data)

    def restart(self) -> None:
        """Drop the bytes and begin anew. Raises StorageError."""
        with storage_errors():
            os.ftruncate(self.descriptor, 0)
        self.length = 0

    def deliver(self, name: str) -> Path:
        """Put the whole file under this name, or the next free one; return where it is.

        The caller has checked all its bytes. A mark stays until `IncomingDirectory.settle`. Raises
        DiskFullError, StorageError.
        """
        with storage_errors():
            os.fsync(self.descriptor)
            for candidate in candidates(name):
                # Before the link: a mark counts once the part is gone or has a second name.
                _write_mark(self._mark, self._directory.parts, candidate)
                if self._link(candidate):
                    break
            os.fsync(self._directory.directory)
            os.unlink(self._name, dir_fd=self._directory.parts)
        return self._directory.path / candidate

    def _link(self, name: str) -> bool:
        places = {"src_dir_fd": self._directory.parts, "dst_dir_fd": self._directory.directory}
        try:
            os.link(self._name, name, **places, follow_symlinks=False)
        except FileExistsError:
            return False
        return True

    def discard(self) -> None:
        """Remove the bytes: they are not the file. Raises StorageError."""
        with storage_errors():
            self._unlink()
        self.length = 0

    def close(self) -> None:
        """Let others have it; an empty one goes away. Raises StorageError."""
        try:
            if self.length == 0:
                with storage_errors():
                    self._unlink()
        finally:
            os.close(self.descriptor)

    def _unlink(self) -> None:
        if self._is_named(os.fstat(self.descriptor)):
            os.unlink(self._name, dir_fd=self._directory.parts)

    def _is_named(self, status: os.stat_result) -> bool:
        """Whether our name still is that of the file that we hold."""
        try:
            named = os.stat(self._name, dir_fd=self._directory.parts, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, status)


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when somebody else has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def require_ours(status: os.stat_result) -> None:
    """Raise UnsafeDirectoryError unless nobody else could have put this file there."""
    plain = stat.S_ISREG(status.st_mode)
    if not plain or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise UnsafeDirectoryError("an unfinished file is not ours alone")


def _open_parts(directory: int) -> int:
    with storage_errors():
        with suppress(FileExistsError):
            os.mkdir(PARTS_DIRECTORY, 0o700, dir_fd=directory)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        parts = os.open(PARTS_DIRECTORY, flags, dir_fd=directory)
    status = os.fstat(parts)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(parts)
        raise UnsafeDirectoryError(f"{PARTS_DIRECTORY} must be ours, with mode 700")
    return parts


def _open_or_create(name: str, parts: int) -> tuple[int, bool]:
    """Return a descriptor, and whether the file is new."""
    try:
        return os.open(name, _WRITE, dir_fd=parts), False
    except FileNotFoundError:
        return os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=parts), True


def _write_mark(name: str, parts: int, delivered_as: str) -> None:
    descriptor = os.open(name, _WRITE | os.O_CREAT | os.O_TRUNC, FILE_MODE, dir_fd=parts)
    try:
        write_all(descriptor, delivered_as.encode(), 0)
    finally:
        os.close(descriptor)


def _read_mark(name: str, parts: int) -> str | None:
    """Return the name in a mark; None without a mark, or where a loss of power tore it."""
    try:
        descriptor = os.open(name, _READ, dir_fd=parts)
    except FileNotFoundError:
        return None
    try:
        require_ours(os.fstat(descriptor))
        return require_safe(os.pread(descriptor, NAME_MAX + 1, 0).decode())
    except (UnicodeDecodeError, HostileNameError):
        return None
    finally:
        os.close(descriptor)
