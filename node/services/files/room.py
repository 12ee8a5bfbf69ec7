"""Room for what is to come: unfinished files are a cache, the oldest goes first (SPEC 11.5)."""

import os
import re
from dataclasses import dataclass
from typing import Final

from peerstream.node.services.files.disk import storage_errors
from peerstream.node.services.files.errors import DiskFullError
from peerstream.node.services.files.limits import Limits
from peerstream.node.services.files.parts import PART, IncomingDirectory, Part, lock

_OURS: Final = re.compile(r"([0-9a-f]{40})-[0-9a-f]{64}-[0-9]{1,19}(\.part|\.done)")


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    sender: str
    touched: int


def make_room(directory: IncomingDirectory, part: Part, limits: Limits) -> None:
    """Remove old parts until the rest of this one fits; it is locked, so it stays itself.

    Raises DiskFullError when even then too little would be left free, StorageError.
    """
    missing = part.key.size - part.length
    sender = part.key.sender.raw.hex()
    with storage_errors():
        kept = _list_oldest_first(directory.parts)
        own = [entry for entry in kept if entry.sender == sender]
        for entry in own[: max(0, len(own) - limits.sender_parts)]:
            _evict(entry, directory.parts)
        if missing == 0:
            return
        for entry in [entry for entry in kept if entry.name.endswith(PART)]:
            if _free_bytes(directory.parts) - missing >= limits.spare_bytes:
                return
            _evict(entry, directory.parts)
        if _free_bytes(directory.parts) - missing < limits.spare_bytes:
            raise DiskFullError(f"{missing} bytes do not fit beside those that must stay free")


def _list_oldest_first(parts: int) -> list[_Kept]:
    kept = []
    with os.scandir(parts) as entries:
        for entry in entries:
            if found := _OURS.fullmatch(entry.name):
                touched = entry.stat(follow_symlinks=False).st_mtime_ns
                kept.append(_Kept(entry.name, found[1], touched))
    return sorted(kept, key=lambda entry: (entry.touched, entry.name))


def _evict(entry: _Kept, parts: int) -> None:
    """Remove it unless a stream is writing it."""
    try:
        descriptor = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parts)
    except FileNotFoundError:
        return
    try:
        if lock(descriptor):
            os.unlink(entry.name, dir_fd=parts)
    finally:
        os.close(descriptor)


def _free_bytes(parts: int) -> int:
    status = os.fstatvfs(parts)
    return status.f_bavail * status.f_frsize
