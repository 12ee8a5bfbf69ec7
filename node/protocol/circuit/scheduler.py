"""Which circuit's cell goes out next on a link (SPEC 4.4).

Deficit round robin with a list for circuits that were quiet, as in RFC 8290 section 4.2: a circuit
that begins to send gets one quantum ahead of those that have been sending all the time. When its
queue runs empty it passes once through the other list, so that a sender cannot stay "quiet" by
pausing. Real-time circuits come before both, each while its token bucket lasts and all together
for at most half of the bytes while others wait.
"""

from collections import deque

from peerstream.node.protocol.circuit.leg import Leg

QUANTUM = 16_384  # bytes; one cell of the default class
REAL_TIME_LEAD = 65_536  # bytes that real-time circuits may be ahead of the others


class Scheduler:
    """The circuits of one link that have something to send and the credit to send it."""

    __slots__ = ("_aged", "_fresh", "_lead", "_urgent")

    def __init__(self) -> None:
        self._urgent: deque[Leg] = deque()
        self._fresh: deque[Leg] = deque()
        self._aged: deque[Leg] = deque()
        self._lead = 0

    @property
    def has_ready(self) -> bool:
        """Whether a cell may be ready."""
        return bool(self._fresh or self._aged or self._urgent)

    def add(self, leg: Leg, now: float, *, fresh: bool) -> None:
        """Take a leg that is in no list; `fresh` when it was silent, not merely out of credit."""
        leg.queued = True
        if leg.bucket is not None and leg.bucket.tokens(now) >= leg.frame_size:
            leg.urgent = True
            self._urgent.append(leg)
        elif fresh:
            leg.deficit = QUANTUM
            self._fresh.append(leg)
        else:
            self._aged.append(leg)

    def take(
        self, parts: list[bytes | memoryview], lent: list[memoryview], budget: int, now: float
    ) -> None:
        """Append frames up to `budget` bytes to `parts` and their buffers to `lent`.

        One frame goes out even if it alone is larger, when `parts` is empty: the link always
        gets on.
        """
        while (leg := self._next(now)) is not None:
            frame_size = leg.frame_size
            if frame_size > budget and parts:
                return
            buffer = leg.take()
            parts.append(buffer[:frame_size])
            lent.append(buffer)
            budget -= frame_size
            if leg.urgent:
                self._charge_urgent(leg, now)
            else:
                leg.deficit -= frame_size
                if self._lead:
                    self._lead = max(0, self._lead - frame_size)

    def _charge_urgent(self, leg: Leg, now: float) -> None:
        if leg.bucket is not None:
            leg.bucket.take(now, leg.frame_size)
        self._lead += leg.frame_size
        self._urgent.rotate(-1)

    def _next(self, now: float) -> Leg | None:
        leg = None
        if self._urgent and self._lead < REAL_TIME_LEAD:
            leg = self._next_urgent(now)
        if leg is None:
            leg = self._next_ordinary()
        if leg is None and self._urgent:
            self._lead = 0
            leg = self._next_urgent(now) or self._next_ordinary()
        return leg

    def _next_urgent(self, now: float) -> Leg | None:
        urgent = self._urgent
        while urgent:
            leg = urgent[0]
            if not leg.waiting or leg.sent >= leg.allowed:
                urgent.popleft()
                leg.queued = leg.urgent = False
            elif leg.bucket is not None and leg.bucket.tokens(now) < leg.frame_size:
                # Faster than real-time circuits may be: it waits among the others until its
                # queue is empty once.
                urgent.popleft()
                leg.urgent = False
                leg.deficit = 0
                self._aged.append(leg)
            else:
                return leg
        return None

    def _next_ordinary(self) -> Leg | None:
        fresh, aged = self._fresh, self._aged
        while fresh or aged:
            queue = fresh or aged
            leg = queue[0]
            if not leg.waiting or leg.sent >= leg.allowed:
                queue.popleft()
                if queue is fresh and not leg.waiting:
                    aged.append(leg)
                else:
                    leg.queued = False
            elif leg.deficit <= 0:
                leg.deficit += QUANTUM
                queue.popleft()
                aged.append(leg)
            else:
                return leg
        return None
