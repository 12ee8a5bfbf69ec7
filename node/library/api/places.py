"""Where a daemon and its clients meet (SPEC 17.3, 18.5)."""

import os
from pathlib import Path

from peerstream.node.store.run_folder import RUN, STREAM_SOCKET
from peerstream.node.store.state import default_path


def state_path(state: Path | str | None) -> Path:
    """Return a state directory: the one named, that of PSP_STATE, or the user's usual one."""
    if state is not None:
        return Path(state)
    named = os.environ.get("PSP_STATE")
    return Path(named) if named else default_path()


def stream_socket(state: Path | str | None) -> Path:
    """Return the stream socket of the daemon that runs on a state directory."""
    return state_path(state) / RUN / STREAM_SOCKET
