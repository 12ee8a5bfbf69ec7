"""Tags of the SETUPs that a relay has opened, one file per bucket (SPEC 7.6).

A tag is with the kernel before the SETUP is forwarded: a relay that is killed and started again
still knows it. A loss of power may lose the last seconds; waiting for the disk at each SETUP would
cost more than the circuit that a replay could open there.

file = magic 8 | bucket u64 | tags of 16
"""

import os
from pathlib import Path
from typing import Final, Self

from peerstream.node.protocol.onion.replay import ReplayRecord
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    ReplayLogFullError,
    StateUnavailableError,
)
from peerstream.node.store.files import FILE_MODE, read_private

TAG_SIZE: Final = 16
TAGS_MAX: Final = 1 << 20  # of a bucket, 16 MiB: five times what the filter holds
_MAGIC: Final = b"PSPrepl1"
_HEADER_SIZE: Final = 16
_FILE_MAX: Final = _HEADER_SIZE + (TAGS_MAX + 1) * TAG_SIZE
_PREFIX: Final = "bucket-"
_SLACK_S: Final = 60


class _Bucket:
    """The open file of one bucket."""

    def __init__(self, path: Path, tags: int) -> None:
        self.path = path
        self._tags = tags
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file = os.open(path, flags, FILE_MODE)
        except OSError as error:
            raise StateUnavailableError(f"{path}: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """Hand the bytes to the kernel, all or none."""
        end = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise StateUnavailableError(f"{self.path}: {error.strerror}") from error
        if written != len(data):
            os.ftruncate(self._file, end)
            raise StateUnavailableError(f"{self.path}: no space left")

    def append(self, tag: bytes) -> None:
        if self._tags >= TAGS_MAX:
            raise ReplayLogFullError(f"{self.path}")
        self.write(tag)
        self._tags += 1

    def cut(self, size: int) -> None:
        os.ftruncate(self._file, size)

    def close(self) -> None:
        os.close(self._file)


class ReplayLog:
    """The disk behind a relay's replay filter.

    `directory` must exist, mode 0700, used by this process alone; `bucket_s`: the network's
    bucket. At start, hand what `load` returns to the filter; then
    `append` what it accepts, and forward
    the SETUP only when that has returned.
    """

    def __init__(self, directory: Path, bucket_s: int) -> None:
        self._directory = directory
        self._bucket_s = bucket_s
        self._buckets: dict[int, _Bucket] = {}

    def load(self, wall: int) -> dict[int, list[bytes]]:
        """Return the tags of each bucket that still counts; remove the other files.

        Raises ForeignStateError, CorruptedFileError, StatePermissionError, StateUnavailableError.
        """
        paths = sorted(self._directory.glob(f"{_PREFIX}*"))
        found = {_number(path): self._load(path, _number(path)) for path in paths}
        self.expire(wall)
        return {number: tags for number, tags in found.items() if number in self._buckets}

    def append(self, record: ReplayRecord) -> None:
        """Remember a SETUP; it survives kill -9 from here on.

        Raises ReplayLogFullError, StateUnavailableError: refuse the SETUP then.
        """
        bucket = self._buckets.get(record.bucket)
        if bucket is None:
            bucket = self._begin(record.bucket)
        bucket.append(record.tag)

    def expire(self, wall: int) -> None:
        """Remove buckets that no SETUP may name any more, and a minute: (b+2) * bucket_s + 60."""
        for number, bucket in list(self._buckets.items()):
            if wall >= (number + 2) * self._bucket_s + _SLACK_S:
                bucket.close()
                bucket.path.unlink(missing_ok=True)
                del self._buckets[number]

    def close(self) -> None:
        """Close the files; they stay for the next start."""
        for bucket in self._buckets.values():
            bucket.close()
        self._buckets.clear()

    def _begin(self, number: int) -> _Bucket:
        bucket = _Bucket(self._directory / f"{_PREFIX}{number}", 0)
        self._buckets[number] = bucket
        bucket.cut(0)
        bucket.write(_header(number))
        return bucket

    def _load(self, path: Path, number: int) -> list[bytes]:
        data = read_private(path, _FILE_MAX) or b""
        if len(data) < _HEADER_SIZE and _header(number).startswith(data):
            self._begin(number)  # killed while it began the bucket
            return []
        if data[: len(_MAGIC)] != _MAGIC:
            raise ForeignStateError(f"{path} is no replay log")
        if data[:_HEADER_SIZE] != _header(number):
            raise CorruptedFileError(f"{path} is the log of another bucket")
        tags = [data[i : i + TAG_SIZE] for i in range(_HEADER_SIZE, len(data), TAG_SIZE)]
        if tags and len(tags[-1]) < TAG_SIZE:
            tags.pop()  # a loss of power in the middle of a write; that SETUP was not forwarded
        bucket = self._buckets[number] = _Bucket(path, len(tags))
        bucket.cut(_HEADER_SIZE + len(tags) * TAG_SIZE)
        return tags

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _header(number: int) -> bytes:
    return _MAGIC + number.to_bytes(8, "big")


def _number(path: Path) -> int:
    text = path.name.removeprefix(_PREFIX)
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and str(int(text)) == text):
        raise ForeignStateError(f"{path} is no replay log")
    return int(text)
