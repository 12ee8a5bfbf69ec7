"""Datagrams that came for a stream and wait for its program (SPEC 10.8)."""

from collections import deque
from typing import Final

QUEUE_MAX: Final = 1 << 20  # of one stream
SESSION_MAX: Final = 4 << 20  # of all streams of a session
OVERHEAD: Final = 64  # what an object costs besides its bytes: empty ones are not free
FLOWS: Final = 1 << 16


def flow_of(stream: int) -> int:
    """Return the flow that carries a stream's datagrams: the low 16 bits of its number."""
    return stream % FLOWS


class Share:
    """What the queues of one session hold together, in bytes, and how many were dropped."""

    __slots__ = ("dropped", "held")

    def __init__(self) -> None:
        self.held = 0
        self.dropped = 0


class DatagramQueue:
    """Bounded: the oldest of a stream give way to newer ones, and no stream to another."""

    __slots__ = ("_held", "_share", "_waiting")

    def __init__(self, share: Share) -> None:
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._share = share

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes) -> None:
        """Take one in, and drop what has to go for it."""
        cost = len(data) + OVERHEAD
        while self._waiting and not self._fits(cost):
            self.take()
            self._share.dropped += 1
        if not self._fits(cost):
            self._share.dropped += 1
            return
        self._waiting.append(data)
        self._charge(cost)

    def take(self) -> bytes:
        """Return the oldest."""
        data = self._waiting.popleft()
        self._charge(-len(data) - OVERHEAD)
        return data

    def clear(self) -> None:
        """Let go of all of them: nobody will read any more."""
        self._waiting.clear()
        self._charge(-self._held)

    def _fits(self, cost: int) -> bool:
        return self._held + cost <= QUEUE_MAX and self._share.held + cost <= SESSION_MAX

    def _charge(self, cost: int) -> None:
        self._held += cost
        self._share.held += cost
