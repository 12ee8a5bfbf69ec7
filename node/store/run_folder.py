"""The run folder of a state directory: a running daemon's sockets, for its owner (SPEC 17.3).

A Unix socket has a path of at most 107 bytes. Linux reaches a longer one through the descriptor of
its folder, for whoever listens and for whoever connects.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from peerstream.node.store.errors import (
    DaemonNotRunningError,
    StatePermissionError,
    StateUnavailableError,
)
from peerstream.node.store.files import FILE_MODE

RUN: Final = "run"
API_SOCKET: Final = "api.sock"
STREAM_SOCKET: Final = "stream.sock"
TOKEN: Final = "api.token"  # noqa: S105 - a name
_BACKLOG: Final = 128


def empty(folder: Path) -> None:
    """Remove what a daemon that was killed left in its run folder. Raises StateUnavailableError."""
    try:
        for left in folder.iterdir():
            left.unlink()
    except OSError as error:
        raise StateUnavailableError(f"{folder}: {error.strerror}") from error


def listen(folder: Path, name: str) -> socket.socket:
    """Return a listening socket of mode 0600 in the folder. Raises StateUnavailableError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reached(folder, name) as path:
            made.bind(path)
            os.chmod(path, FILE_MODE)  # noqa: PTH101 - not a path of the file system's
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise StateUnavailableError(f"{folder / name}: {error.strerror}") from error
    except BaseException:
        made.close()
        raise
    return made


def connect(folder: Path, name: str) -> socket.socket:
    """Return a connection to the socket of a running daemon.

    Raises DaemonNotRunningError, and StatePermissionError for a folder that is not ours alone.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reached(folder, name) as path:
            made.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        made.close()
        raise DaemonNotRunningError(f"{folder.parent}") from None
    except OSError as error:
        made.close()
        raise StateUnavailableError(f"{folder / name}: {error.strerror}") from error
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _reached(folder: Path, name: str) -> Iterator[str]:
    """Give a short path of a socket in the folder, which is ours however often it is renamed."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise StatePermissionError(f"{folder}: chmod 700, and owned by the user of the node")
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
