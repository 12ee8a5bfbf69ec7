"""The state directory: private, versioned, for one process at a time (SPEC 7.4)."""

import fcntl
import json
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import platformdirs

from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    InstanceRunningError,
    StatePermissionError,
    StateUnavailableError,
    StateVersionError,
)
from peerstream.node.store.files import (
    DIRECTORY_MODE,
    FILE_MODE,
    read_private,
    sync_directory,
    write_whole,
)

VERSION: Final = 1
_SCHEMA: Final = "psp.state"
_MARKER: Final = "state.json"
_LOCK: Final = "lock"
_MARKER_MAX: Final = 256  # too short to nest deep


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
        _make(path)
        _require_ours(path)
        lock = _take_lock(path / _LOCK)
        try:
            _check_version(path / _MARKER)
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
        _make(path)
        return path

    def close(self) -> None:
        """Let another process in. Twice does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise StatePermissionError(f"{path}: chmod 700, and owned by the user who runs the node")


def _require_ours(path: Path) -> None:
    try:
        names = {child.name for child in path.iterdir()}
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error
    # A process killed in its first millisecond leaves a lock, and perhaps a marker half written.
    if _MARKER not in names and names - {_LOCK, f"{_MARKER}.new"}:
        raise ForeignStateError(f"{path} holds files that are not a node's state")


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


def _check_version(path: Path) -> None:
    data = read_private(path, _MARKER_MAX)
    if data is None:
        marker = json.dumps({"schema": _SCHEMA, "version": VERSION}) + "\n"
        write_whole(path, marker.encode())
        sync_directory(path.parent.parent)
        return
    try:
        found = json.loads(data)
    except ValueError as error:
        raise CorruptedFileError(f"{path} is no JSON") from error
    if not isinstance(found, dict) or found.get("schema") != _SCHEMA:
        raise ForeignStateError(f"{path} is not a node's")
    version = found.get("version")
    if type(version) is not int or version < 1:
        raise CorruptedFileError(f"{path} names no version")
    if version > VERSION:
        raise StateVersionError(f"{path} has version {version}, this software writes {VERSION}")
