"""A process that becomes `tor`, and so ends with those who forked it (SPEC 14.2)."""

import os
import socket
from typing import Final

from peerstream.node.lab.program import Options

TOR: Final = "tor"


def run(_end: socket.socket, options: Options) -> int:
    """Become tor. options: file, the path of its configuration."""
    words = [TOR, "-f", options["file"], "--defaults-torrc", os.devnull, "--quiet"]
    os.execvp(TOR, words)  # noqa: S606 - without a shell
