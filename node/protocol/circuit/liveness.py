"""Is the neighbour still there, and how far away (SPEC 4.5)."""

from peerstream.node.protocol.circuit.errors import UnexpectedPongError

PING_SECONDS = 1.0
IDLE_SECONDS = 2.5  # of silence on a link that is watched
MISSES_MAX = 2


class Liveness:
    """PING while something is outstanding or circuits rest; anything heard is a sign of life.

    `round_trip` is the smallest seen, in seconds, None before the first PONG: what waits in queues
    belongs to the load, not to the distance.
    """

    __slots__ = ("_heard_at", "_last_number", "_misses", "_pings", "round_trip")

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._misses = 0
        self._last_number = 0
        self._pings: dict[int, float] = {}
        self.round_trip: float | None = None

    @property
    def dead(self) -> bool:
        """Whether the neighbour missed too many PINGs."""
        return self._misses >= MISSES_MAX

    @property
    def heard_at(self) -> float:
        """When bytes came last."""
        return self._heard_at

    def heard(self, now: float) -> None:
        """Note that bytes came."""
        self._heard_at = now
        self._misses = 0

    def ping_due(self, now: float, *, outstanding: bool, watched: bool) -> bool:
        """Whether to PING now; counts a miss when all is still a second after the last PING.

        `watched`: whether circuits rest here that would not end when the neighbour stands still.
        """
        pinged_at = self._pings.get(self._last_number)
        if pinged_at is not None and now - pinged_at < PING_SECONDS:
            return False
        if self.round_trip is None and pinged_at is None:
            return True
        silence = now - self._heard_at
        wait = PING_SECONDS if outstanding else IDLE_SECONDS
        unanswered = pinged_at is not None and self._heard_at <= pinged_at
        if not (outstanding or watched) or (silence < wait and not unanswered):
            return False
        if unanswered:
            self._misses += 1
        return not self.dead

    def ping(self, now: float) -> bytes:
        """Body of a PING sent now: its number."""
        self._last_number += 1
        self._pings[self._last_number] = now
        for number in [number for number in self._pings if number <= self._last_number - 8]:
            del self._pings[number]
        return self._last_number.to_bytes(8, "big")

    def pong(self, body: bytes, now: float) -> None:
        """Take the answer; UnexpectedPongError when there was no such PING."""
        number = int.from_bytes(body, "big")
        if not 1 <= number <= self._last_number:
            raise UnexpectedPongError(f"PING {number} was never sent")
        sent_at = self._pings.pop(number, None)
        if sent_at is None:
            return
        measured = now - sent_at
        self.round_trip = measured if self.round_trip is None else min(self.round_trip, measured)
