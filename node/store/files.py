"""Files that are whole or not there, and readable by us alone (SPEC 7.4)."""

import os
import stat
from pathlib import Path
from typing import Final

from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    StatePermissionError,
    StateUnavailableError,
)

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_TEMPORARY: Final = ".new"


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700 unless it is there.

    Raises StateUnavailableError, StatePermissionError when it is not ours alone.
    """
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise StatePermissionError(f"{path}: chmod 700, and owned by the user who runs the node")


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file so that a crash at any moment leaves the old or the new one, never a mix.

    Mode 0600 from the first byte. Raises StateUnavailableError.
    """
    temporary = path.with_name(path.name + _TEMPORARY)
    try:
        # What a killed process left behind is a torn copy of what we are about to write.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error


def sync_directory(path: Path) -> None:
    """Make renames and new files in a directory last through a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path, limit: int, *, carried: bool = False) -> bytes | None:
    """Return a file of up to `limit` bytes, or None when there is none.

    carried: it comes from elsewhere, sealed by itself, and others may read it.
    Raises StatePermissionError when others may read or change it, CorruptedFileError when it is
    larger, ForeignStateError when it is no plain file, StateUnavailableError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        _require_plain(path, status) if carried else require_private(path, status)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CorruptedFileError(f"{path} is larger than {limit} bytes")
    return data


def require_private(path: Path, status: os.stat_result) -> None:
    """Raise unless it is a plain file of ours that nobody else may read or change."""
    _require_plain(path, status)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StatePermissionError(f"{path}: chmod 600, and owned by the user who runs the node")


def _require_plain(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ForeignStateError(f"{path} is no plain file")
