"""The window of a path: cells in flight, steered by queueing delay (SPEC 5.8).

After LEDBAT (RFC 6817) and LEDBAT++: all flows together aim at one delay, where windows that aim at
a number of queued cells each would add up. The round trip is the signal, as circuits lose nothing.
"""

from collections import deque

INITIAL_CELLS = 16.0
FLOOR_CELLS = 2.0
CEILING_CELLS = 2_048.0  # 32 MiB of the default class; the ports' credits end earlier
TARGET_DELAY = 0.005
BASE_HISTORY = 300.0  # each of two intervals over which the least round trip is taken
_FILTER = 4  # samples, of which the least counts: an ACK per quarter window is one round trip
_FAST_SHARE = 0.25  # below this part of the target the window still doubles in few round trips
_ROUND_TRIP_GUESS = 0.2


class DelayWindow:
    """Window in cells and round-trip estimates of one path; times in seconds."""

    __slots__ = (
        "_base",
        "_base_before",
        "_base_since",
        "_samples",
        "_starting",
        "round_trip",
        "window",
    )  # fmt: skip

    def __init__(self) -> None:
        self.window = INITIAL_CELLS
        self.round_trip = _ROUND_TRIP_GUESS
        self._base = float("inf")
        self._base_before = float("inf")
        self._base_since = 0.0
        self._samples: deque[float] = deque(maxlen=_FILTER)
        self._starting = True

    @property
    def measured(self) -> bool:
        """Whether the round trip is a measurement and not the first guess."""
        return bool(self._samples)

    @property
    def base_round_trip(self) -> float:
        """The least round trip of the last minutes: the path without queues."""
        return min(self._base, self._base_before)

    def queueing_delay(self) -> float:
        """How long cells wait on the path now; 0 before the first measurement."""
        return max(0.0, min(self._samples) - self.base_round_trip) if self._samples else 0.0

    def acknowledged(self, cells: int, sample: float, now: float, *, limited: bool) -> None:
        """Take in one ACK for ``cells`` that took ``sample``; ``limited``: the window was used."""
        self._measure(max(sample, 1e-6), now)
        delay = self.queueing_delay()
        if delay > TARGET_DELAY:
            self._shrink(cells, delay)
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

    def _grow(self, cells: int, delay: float) -> None:
        if self._starting:
            step = float(cells)
        elif delay < TARGET_DELAY * _FAST_SHARE:
            step = cells / 8
        else:
            step = (1 - delay / TARGET_DELAY) * 2 * cells / self.window
        self.window = min(CEILING_CELLS, self.window + step)

    def _shrink(self, cells: int, delay: float) -> None:
        if self._starting:
            # the share of the window that the path itself holds, plus what may wait
            self._starting = False
            base = self.base_round_trip
            self.window *= (base + TARGET_DELAY) / (base + delay)
        else:
            excess = min(delay / TARGET_DELAY - 1, 1.0)
            self.window -= min(cells / self.window, 1.0) * excess * self.window / 4
        self.window = max(FLOOR_CELLS, self.window)
