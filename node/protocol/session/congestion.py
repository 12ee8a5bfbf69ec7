"""The window of a path: cells in flight, steered by queueing delay (SPEC 5.8).

After LEDBAT (RFC 6817) and LEDBAT++: all flows together aim at one delay, where windows that aim at
a number of queued cells each would add up. The round trip is the signal, as circuits lose nothing.
"""

from collections import deque
from enum import Enum

INITIAL_CELLS = 16.0
FLOOR_CELLS = 2.0
CEILING_CELLS = 2_048.0  # 32 MiB of the default class; the ports' credits end earlier
TARGET_DELAY = 0.005
BASE_HISTORY = 300.0  # each of two intervals over which the least round trip is taken
_FILTER = 4  # samples, of which the least counts: an ACK per quarter window is one round trip
_FAST_SHARE = 0.25  # below this part of the target the window still doubles in few round trips
_STEADY_SHARE = 19.0
_ROUND_TRIP_GUESS = 0.2


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
        self.round_trip = _ROUND_TRIP_GUESS
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

    def acknowledged(self, cells: int, sample: float, now: float, *, limited: bool) -> None:
        """Take in one ACK for ``cells`` that took ``sample``; ``limited``: the window was used."""
        self._measure(max(sample, 1e-6), now)
        delay = self.queueing_delay()
        if self._mode is _Mode.EMPTYING:
            if now >= self._since + 2 * self.round_trip:
                self._mode = _Mode.REGAINING
        elif self._mode is _Mode.REGAINING:
            self._regain(cells, delay, now)
        elif now >= self._next_look and self.window > 2 * FLOOR_CELLS:
            self._before, self._since = self.window, now
            self._mode, self.window = _Mode.EMPTYING, FLOOR_CELLS
        elif delay > TARGET_DELAY:
            self._shrink(cells, delay, now)
        elif limited:
            self._grow(cells, delay)

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
        if self.window >= self._before or delay > TARGET_DELAY:
            self._mode = _Mode.STEADY
            self._next_look = now + _STEADY_SHARE * (now - self._since)

    def _grow(self, cells: int, delay: float) -> None:
        if self._mode is _Mode.STARTING:
            step = float(cells)
        elif delay < TARGET_DELAY * _FAST_SHARE:
            step = cells / 8
        else:
            step = (1 - delay / TARGET_DELAY) * 2 * cells / self.window
        self.window = min(CEILING_CELLS, self.window + step)

    def _shrink(self, cells: int, delay: float, now: float) -> None:
        if self._mode is _Mode.STARTING:
            # the share of the window that the path itself holds, plus what may wait
            self._mode = _Mode.STEADY
            base = self.base_round_trip
            self.window *= (base + TARGET_DELAY) / (base + delay)
            self._next_look = now + 2 * self.round_trip
        else:
            excess = min(delay / TARGET_DELAY - 1, 1.0)
            self.window -= min(cells / self.window, 1.0) * excess * self.window / 4
        self.window = max(FLOOR_CELLS, self.window)
