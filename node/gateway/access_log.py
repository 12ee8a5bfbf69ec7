"""The access log that a user asked for: one JSON object a line (SPEC 19.3)."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, Self

from peerstream.node.gateway.errors import AccessLogError
from peerstream.node.gateway.service_spec import LEVEL_NAMES
from peerstream.node.ports import Peer

_MODE: Final = 0o600


class AccessLog(Protocol):
    """Takes what happened to one stream, or one request of it."""

    def note(self, service: str, peer: Peer, outcome: str, **values: Any) -> None:
        """Write one line; never fails."""
        ...


class NoLog:
    """Nobody asked for a log."""

    def note(self, service: str, peer: Peer, outcome: str, **values: Any) -> None:
        """Write nothing."""


class FileLog:
    """Appends to a file of mode 0600, which others may rotate by copying and truncating it."""

    def __init__(self, descriptor: int, wall: Callable[[], float]) -> None:
        self._descriptor = descriptor
        self._wall = wall
        self.lost = 0  # lines that could not be written: a full disk ends no stream

    @classmethod
    def open(cls, path: Path, wall: Callable[[], float] = time.time) -> Self:
        """Open it, and make it where it is not there. Raises AccessLogError."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return cls(os.open(path, flags, _MODE), wall)
        except OSError as error:
            raise AccessLogError(f"{path}: {error.strerror}") from error

    def note(self, service: str, peer: Peer, outcome: str, **values: Any) -> None:
        """Write one line, in one piece."""
        line = {
            "at": round(self._wall(), 3),
            "service": service,
            "caller": None if peer.address is None else str(peer.address),
            "level": LEVEL_NAMES[peer.level],
            "outcome": outcome,
            **values,
        }
        try:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)
