"""What happens, told to whoever listens (SPEC 17.7)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from peerstream.identity.web.problem import ProblemError

LISTENERS_MAX: Final = 8
_WAITING_MAX: Final = 64


class Events:
    """Hands names of events to all who listen; who does not read misses some."""

    def __init__(self) -> None:
        self._channels: set[trio.MemorySendChannel[str]] = set()

    def tell(self, name: str) -> None:
        """Tell that something happened."""
        for channel in self._channels:
            try:
                channel.send_nowait(name)
            except trio.WouldBlock:
                continue  # what it has not read yet says already that it must look

    @contextmanager
    def listen(self) -> Iterator[trio.MemoryReceiveChannel[str]]:
        """Subscribe while the block runs. Raises ProblemError: 503 for one listener too many."""
        if len(self._channels) >= LISTENERS_MAX:
            raise ProblemError(503, "busy", "too many listen already")
        sending, receiving = trio.open_memory_channel[str](_WAITING_MAX)
        self._channels.add(sending)
        try:
            yield receiving
        finally:
            self._channels.discard(sending)
            sending.close()
            receiving.close()
