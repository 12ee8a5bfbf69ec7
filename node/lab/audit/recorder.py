"""What a process writes down of itself, on disk before the recorded call returns (SPEC 15.2).

record = time f64 | tap u8 | context u32 | three lengths u32, then the three parts.
"""

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct(">dBI3I")
Buffer = bytes | bytearray | memoryview


class Tap(IntEnum):
    """Where something was seen, what the context is, and what the three parts are."""

    CONNECTED = 1  # connection: whom we dialled, as text
    ACCEPTED = 2  # connection: who dialled us, as text
    RECEIVED = 3  # connection: bytes
    SENT = 4  # connection: bytes
    SEALED = 5  # key: plaintext, what came out, associated data
    OPENED = 6  # key: the first bytes of the ciphertext, plaintext, associated data
    EVENT = 7  # none: the interpreter's audit event, its arguments as text


class RecordsDamagedError(Exception):
    """A file of records ends in the middle of one: the disk is full, or it is no such file."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that a process held. at: seconds of the machine's monotonic clock."""

    number: int
    at: float
    tap: Tap
    context: int
    parts: tuple[bytes, bytes, bytes]


class Recorder:
    """Writes records once it was told where; until then it is silent."""

    def __init__(self) -> None:
        self._file = -1
        self._contexts = 0

    def begin(self, path: Path) -> None:
        """Write to a new file from now on."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    @property
    def running(self) -> bool:
        """Whether records are written."""
        return self._file >= 0

    def context(self) -> int:
        """Return a number that no other connection or key of this process has."""
        self._contexts += 1
        return self._contexts

    def write(self, tap: Tap, context: int, *parts: Buffer) -> None:
        """Write one record of at most three parts."""
        if self._file < 0:
            return
        whole = (*parts, b"", b"", b"")[:3]
        sizes = [len(part) for part in whole]
        header = _HEADER.pack(time.monotonic(), tap, context, *sizes)
        # One call and no buffer: whoever is killed has written all that it held.
        os.write(self._file, b"".join((header, *whole)))


# The interpreter's hooks and the patched classes are one for a process, and so is this.
RECORDER: Final = Recorder()


def read_records(path: Path) -> Iterator[Record]:
    """Read what a process wrote. Raises RecordsDamagedError."""
    data = path.read_bytes()
    position, number = 0, 0
    while position < len(data):
        if position + _HEADER.size > len(data):
            raise RecordsDamagedError(f"{path} at {position}")
        at, tap, context, *sizes = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        parts = []
        for size in sizes:
            parts.append(data[position : position + size])
            position += size
        if position > len(data):
            raise RecordsDamagedError(f"{path} at {position}")
        yield Record(number, at, Tap(tap), context, (parts[0], parts[1], parts[2]))
        number += 1
