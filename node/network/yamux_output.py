"""What a connection has to send: frames in order, then as much of its link as fits (SPEC 9.6)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from peerstream.node.network.errors import FloodError
from peerstream.node.network.wire import Wire

if TYPE_CHECKING:
    from peerstream.node.network.carrier import LinkCarrier

CONGESTED = 262_144  # writers of ordinary streams wait above it
QUEUE_MAX = 1_048_576  # only answers to the peer's own frames can fill it so far


class Output:
    """Queues until ``flush``, which stops when the kernel has enough."""

    def __init__(self, wire: Wire, changed: Callable[[], None]) -> None:
        """Call ``changed`` when there is something to flush."""
        self.carrier: LinkCarrier | None = None
        self._wire = wire
        self._changed = changed
        self._queue: list[bytes | memoryview] = []
        self._size = 0
        self._drained: trio.Event | None = None  # made by whoever waits: each flush comes by

    def add(self, *parts: bytes | memoryview) -> None:
        """Queue the pieces of one frame.

        Raises:
            FloodError: the peer makes us answer, and does not read the answers.

        """
        self._queue.extend(parts)
        self._size += sum(map(len, parts))
        if self._size > QUEUE_MAX:
            raise FloodError("the peer lets us answer and does not read")
        self._changed()

    @property
    def congested(self) -> bool:
        """Whether writers should wait for ``drained``."""
        return self._size > CONGESTED

    @property
    def waiting(self) -> bool:
        """Whether anything is queued or kept back by the kernel."""
        return bool(self._queue) or self._wire.blocked

    async def drained(self) -> None:
        """Until the kernel has taken all once, or the connection is gone."""
        if self._drained is None:
            self._drained = trio.Event()
        await self._drained.wait()

    def wake(self) -> None:
        """Let those in ``drained`` look again."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def flush(self) -> None:
        """Send what is queued and what the link has. Errors as in Wire.send."""
        wire, carrier = self._wire, self.carrier
        if self._queue and not wire.blocked:
            blob = b"".join(self._queue)
            self._queue.clear()
            self._size = 0
            wire.send(blob)
        if carrier is not None:
            while not wire.blocked and carrier.send_some(wire):
                pass
        if not wire.blocked:
            self.wake()
