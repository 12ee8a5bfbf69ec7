"""The window of a path: cells in flight, steered by queueing delay (SPEC 5.8).

After LEDBAT (RFC 6817) and LEDBAT++: all flows together aim at one delay, where windows that aim at
a number of queued cells each would add up. The round trip is the signal, as circuits lose nothing.
"""

from collections import deque
from enum import Enum

INITIAL_CELLS = 16.0
FLOOR_CELLS = 2.0
CEILING_CELLS = 2_048.0  # 32 MiB of the default class; the ports' credits end earlier
TARGET_DELAY = 0.003
# On a long path the target is a share of its own round trip: jitter grows with the way, a window
# that shrinks at every 3 ms of it ends at the floor, and a quarter more is what an echo may lose.
TARGET_SHARE = 0.25
BASE_HISTORY = 300.0  # each of two intervals over which the least round trip is taken
_FILTER = 4  # samples, of which the least counts: an ACK per quarter window is one round trip
_FAST_SHARE = 0.25  # below this part of the target the window still doubles in few round trips
_OPENING_SHARE = 2.0  # of the target, while a long path's window doubles
_STEADY_SHARE = 19.0
_GAIN_RATE = 60.0  # cells a second of round trip: what is missing comes as soon on a long path
_GAIN_MAX = 0.25  # of the window in a round trip
_LOSS_MAX = 0.25
ROUND_TRIP_GUESS = 0.2


class _Mode(Enum):
    STARTING = "starting"  # doubling each round trip
    STEADY = "steady"
    EMPTYING = "emptying"  # at the floor, so that the queue of our own making drains
    REGAINING = "regaining"  # doubling back to where it was


class DelayWindow:
    """Window in cells and round-trip estimates of one path; times in seconds.

    A flow that starts while others keep a queue takes that queue for the path's own delay, adds
    its own on top and starves the others. So each flow now and then goes down to the floor for
    two round trips and looks again (LEDBAT++ 4.4, periodic slowdown), for 5 % of its time at most.
    """

    __slots__ = ("_base", "_base_before", "_base_since", "_before", "_mode", "_next_look",
                 "_samples", "_since", "round_trip", "window")  # fmt: skip

    def __init__(self) -> None:
        self.window = INITIAL_CELLS
        self.round_trip = ROUND_TRIP_GUESS
        self._base = float("inf")
        self._base_before = float("inf")
        self._base_since = 0.0
        self._samples: deque[float] = deque(maxlen=_FILTER)
        self._mode = _Mode.STARTING
        self._before = 0.0
        self._since = 0.0
        self._next_look = float("inf")

    @property
    def base_round_trip(self) -> float:
        """The least round trip of the last minutes: the path without queues."""
        return min(self._base, self._base_before)

    def queueing_delay(self) -> float:
        """Return how long cells wait on the path now; 0 before the first measurement."""
        return max(0.0, min(self._samples) - self.base_round_trip) if self._samples else 0.0

    @property
    def target(self) -> float:
        """The queueing delay to aim at."""
        return max(TARGET_DELAY, TARGET_SHARE * self.base_round_trip) if self._samples else 0.0

    def acknowledged(self, cells: int, sample: float, now: float, *, limited: bool) -> None:
        """Take in one ACK for ``cells`` that took ``sample``; ``limited``: the window was used."""
        self._measure(max(sample, 1e-6), now)
        delay = self.queueing_delay()
        if self._mode is _Mode.EMPTYING:
            self._empty(sample, now)
        elif self._mode is _Mode.REGAINING:
            self._regain(cells, delay, now)
        elif now >= self._next_look and self.window > 2 * FLOOR_CELLS:
            self._look(delay, now)
        elif delay > self._limit:
            self._shrink(cells, delay, now)
        elif limited:
            self._grow(cells, delay)

    @property
    def _limit(self) -> float:
        """The delay at which the window shrinks.

        Each link of a long way opens a TCP window of its own while ours doubles, and what waits for
        that is gone a round trip later: a window that stopped there would then grow for a minute.
        """
        opening = self._mode in (_Mode.STARTING, _Mode.REGAINING) and self._long
        return self.target * (_OPENING_SHARE if opening else 1)

    @property
    def _long(self) -> bool:
        """Whether a round trip takes longer than what waits, so that it is the dearer to lose."""
        return self.target > TARGET_DELAY

    def _look(self, delay: float, now: float) -> None:
        """Go down, to the floor on a short path; `_before` is what to come back to."""
        self._mode, self._before, self._since = _Mode.EMPTYING, self.window, now
        self.window = FLOOR_CELLS
        if self._long:  # what waits now is no part of it: an opening may have gone far too wide
            full = self.base_round_trip + self.target
            self._before *= min(1.0, full / (self.base_round_trip + delay))
            self.window = max(FLOOR_CELLS, self._before / 4)

    def _empty(self, sample: float, now: float) -> None:
        """Stay at the floor until the queue is gone and the path was measured without it."""
        if self._long:  # a cell came there and back that left when the queue had been gone
            if now - sample >= self._since + self.base_round_trip:
                self._mode, self.window = _Mode.REGAINING, max(FLOOR_CELLS, self._before / 2)
        elif now >= self._since + 2 * self.round_trip:
            self._mode = _Mode.REGAINING

    def _measure(self, sample: float, now: float) -> None:
        if self._samples:
            self.round_trip += (sample - self.round_trip) / 8
        else:
            self.round_trip = sample
            self._base_since = now
        self._samples.append(sample)
        if now - self._base_since > BASE_HISTORY:
            self._base_before, self._base, self._base_since = self._base, sample, now
        self._base = min(self._base, sample)

    def _regain(self, cells: int, delay: float, now: float) -> None:
        self.window = min(self._before, self.window + cells)
        if self.window >= self._before or delay > self._limit:
            self._mode = _Mode.STEADY
            self._next_look = now + _STEADY_SHARE * (now - self._since)

    def _grow(self, cells: int, delay: float) -> None:
        if self._mode is _Mode.STARTING:
            step = float(cells)
        elif delay < self.target * _FAST_SHARE:
            step = cells / 8
        else:
            step = self._gain() * cells / self.window
        self.window = min(CEILING_CELLS, self.window + step)

    def _shrink(self, cells: int, delay: float, now: float) -> None:
        if self._mode is _Mode.STARTING:
            # the share of the window that the path itself holds, plus what may wait
            self._mode = _Mode.STEADY
            base = self.base_round_trip
            self.window *= (base + self.target) / (base + delay)
            self._next_look = now + 2 * self.round_trip
        else:
            # What a wide window loses here is more than what it gains, and of a narrow one less.
            loss = min(delay / self.target - 1, _LOSS_MAX) * self.window
            self.window += (self._gain() - loss) * min(cells / self.window, 1.0)
        self.window = max(FLOOR_CELLS, self.window)

    def _gain(self) -> float:
        """Cells that the window grows by in a round trip, near the target."""
        return max(1.0, min(_GAIN_RATE * self.base_round_trip, _GAIN_MAX * self.window))
