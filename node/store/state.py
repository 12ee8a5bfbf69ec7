"""The state directory: private, versioned, for one process at a time (SPEC 7.4)."""

import fcntl
import json
import os
from pathlib import Path
from typing import Final, Self

import platformdirs

from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    InstanceRunningError,
    StateUnavailableError,
    StateVersionError,
)
from peerstream.node.store.files import (
    FILE_MODE,
    make_directory,
    read_private,
    sync_directory,
    write_whole,
)
from peerstream.node.store.migrations import FIRST, MIGRATIONS

VERSION: Final = len(MIGRATIONS) + 1
_SCHEMA: Final = "psp.state"
_MARKER: Final = "state.json"
_LOCK: Final = "lock"
_MARKER_MAX: Final = 256  # too short to nest deep
_NEW: Final = 0


def default_path(name: str = "default") -> Path:
    """Return where this user's state lies, one directory per node name."""
    return Path(platformdirs.user_state_dir("peerstream")) / name


class StateDirectory:
    """An open state directory; close it, or leave its `with`, to let another process in.

    The lock is the kernel's: a killed process holds none.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or make a directory of mode 0700.

        Raises ForeignStateError for a directory with other things in it, StatePermissionError,
        InstanceRunningError, StateVersionError, CorruptedFileError, StateUnavailableError.
        """
        make_directory(path)
        _require_ours(path)
        lock = _take_lock(path / _LOCK)
        try:
            _bring_up_to_date(path)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock)

    def file(self, name: str) -> Path:
        """Return the path of a file in it."""
        return self.path / name

    def directory(self, name: str) -> Path:
        """Return a directory in it, made with mode 0700 when it is not there."""
        path = self.path / name
        make_directory(path)
        return path

    def close(self) -> None:
        """Let another process in. Twice does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _require_ours(path: Path) -> None:
    try:
        names = {child.name for child in path.iterdir() if not _is_first(child)}
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    # A process killed in its first millisecond leaves a lock, and perhaps a marker half written.
    if _MARKER not in names and names - {_LOCK, f"{_MARKER}.new"}:
        raise ForeignStateError(f"{path} holds files that are not a node's state")


def _is_first(child: Path) -> bool:
    """Whether it is a directory that we make before the first marker: there is nothing in it."""
    return child.name in FIRST and child.is_dir() and not any(child.iterdir())


def _take_lock(path: Path) -> int:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise InstanceRunningError(f"{path.parent} is in use") from error
    return lock


def _bring_up_to_date(path: Path) -> None:
    """Take the steps from the version that the marker names to ours; the marker comes last."""
    marker = path / _MARKER
    version = _read_version(marker)
    if version > VERSION:
        raise StateVersionError(f"{marker} has version {version}, this software writes {VERSION}")
    if version == VERSION:
        return
    for migrate in MIGRATIONS[max(0, version - 1) :]:
        migrate(path)
    write_whole(marker, (json.dumps({"schema": _SCHEMA, "version": VERSION}) + "\n").encode())
    if version == _NEW:
        sync_directory(path.parent)


def _read_version(marker: Path) -> int:
    """Return the version of a directory, `_NEW` for one without a marker."""
    data = read_private(marker, _MARKER_MAX)
    if data is None:
        return _NEW
    try:
        found = json.loads(data)
    except ValueError as error:
        raise CorruptedFileError(f"{marker} is no JSON") from error
    if not isinstance(found, dict) or found.get("schema") != _SCHEMA:
        raise ForeignStateError(f"{marker} is not a node's")
    version = found.get("version")
    if type(version) is not int or version < 1:
        raise CorruptedFileError(f"{marker} names no version")
    return version
