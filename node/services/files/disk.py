"""Reading, hashing and writing in large steps, for threads (SPEC 11.2).

hashlib and the operating system release the interpreter meanwhile, so the network goes on.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import trio

from peerstream.node.services.files.errors import (
    DiskFullError,
    FileChangedError,
    StorageError,
    UnreadableFileError,
)
from peerstream.node.services.files.wire import HEAD_SIZE

Progress = Callable[[int, int], None]

_BLOCK: Final = 1 << 20
_STEP: Final = 16 << 20  # a cancelled caller waits for one step: some 10 ms
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def no_progress(_done: int, _total: int) -> None:
    """Report nothing."""


class RunningHash:
    """SHA-256 of the first `size` bytes of a file."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the bytes that follow."""
        self._sha256.update(data)
        self.size += len(data)

    def digest(self) -> bytes:
        """32 bytes."""
        return self._sha256.digest()


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Yield a descriptor of a plain file. Raises UnreadableFileError."""
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableFileError(f"{path} is no plain file")
        yield descriptor
    finally:
        os.close(descriptor)


async def hash_up_to(
    descriptor: int, end: int, running: RunningHash, progress: Progress = no_progress
) -> None:
    """Hash a file on from where `running` is, up to the offset `end`.

    Stops early where the file ends. Raises UnreadableFileError.
    """
    while running.size < end:
        step_end = min(end, running.size + _STEP)
        await trio.to_thread.run_sync(_hash_step, descriptor, step_end, running)
        progress(running.size, end)
        if running.size < step_end:
            return


def _hash_step(descriptor: int, end: int, running: RunningHash) -> None:
    while running.size < end:
        block = _read(descriptor, min(_BLOCK, end - running.size), running.size)
        if not block:
            return
        running.update(block)


def read_piece(descriptor: int, size: int, running: RunningHash) -> bytearray:
    """Return the next `size` bytes of a file behind HEAD_SIZE free ones, and hash them.

    Raises FileChangedError when the file ends before, UnreadableFileError.
    """
    framed = bytearray(HEAD_SIZE + size)
    body = memoryview(framed)[HEAD_SIZE:]
    filled = 0
    while filled < size:
        try:
            got = os.preadv(descriptor, [body[filled:]], running.size + filled)
        except OSError as error:
            raise UnreadableFileError(f"reading failed: {error.strerror}") from error
        if not got:
            raise FileChangedError("the file is shorter than when it was hashed")
        filled += got
    running.update(body)
    return framed


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it at an offset. Raises DiskFullError, StorageError."""
    rest = memoryview(data)
    with storage_errors():
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn an OSError into DiskFullError or StorageError, without the name of any file."""
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in _FULL else StorageError
        raise kind(f"storing failed: {error.strerror}") from error


def _read(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise UnreadableFileError(f"reading failed: {error.strerror}") from error
