"""What the network is to reach on one machine, and how a figure is judged by it."""

from dataclasses import dataclass
from typing import Any

Systems = dict[str, dict[str, Any]]
OURS, PUBLIC, VANILLA = "peerstream", "tor public", "tor vanilla"


@dataclass(frozen=True)
class Target:
    """A figure and its bounds.

    at: where the figure is in a system. public, vanilla: times better than that profile of Tor it
    has to be; most: what it may be at most. larger: whether a larger figure is the better one.
    """

    title: str
    at: tuple[str, ...]
    public: float | None = None
    vanilla: float | None = None
    most: float | None = None
    larger: bool = False

    def value(self, systems: Systems, name: str) -> float | None:
        found: Any = systems.get(name)
        for key in self.at:
            found = found and found[key]
        return found

    def wanted(self) -> str:
        parts = []
        for name, times in (("public", self.public), ("vanilla", self.vanilla)):
            if times is not None:
                parts.append(f"{times:g} x {name}" if self.larger else f"{name} / {times:g}")
        if self.most is not None:
            parts.append(f"{self.most:g}")
        return f"{'≥' if self.larger else '≤'} {', '.join(parts)}"

    def reached(self, systems: Systems) -> bool | None:
        """Whether every bound that can be judged holds; None when there is nothing to judge."""
        ours = self.value(systems, OURS)
        bounds = [
            bound
            for name, times in ((PUBLIC, self.public), (VANILLA, self.vanilla))
            if times and (bound := self._bound(systems, name, times)) is not None
        ]
        if self.most is not None:
            bounds.append(self.most)
        if ours is None or not bounds:
            return None
        return all(ours >= bound if self.larger else ours <= bound for bound in bounds)

    def _bound(self, systems: Systems, name: str, times: float) -> float | None:
        value = self.value(systems, name)
        if value is None:
            return None
        return value * times if self.larger else value / times


TARGETS = (
    Target("cold dial p50, ms", ("cold_dial_ms", "p50"), public=4, vanilla=2),
    Target("further stream p50, ms", ("further_stream_ms", "p50"), public=7),
    Target("echo of 100 bytes p50, ms", ("echo_ms", "p50"), public=6),
    Target("echo of 100 bytes p99, ms", ("echo_ms", "p99"), public=10, vanilla=7),
    Target("one stream down, MB/s", ("mb_s", "down", "1"), public=10, vanilla=2, larger=True),
    Target("one stream up, MB/s", ("mb_s", "up", "1"), public=10, vanilla=2, larger=True),
    Target("16 flows down, MB/s", ("mb_s", "down", "16"), public=1.4, vanilla=1.4, larger=True),
    Target("16 flows up, MB/s", ("mb_s", "up", "16"), public=1.4, vanilla=1.4, larger=True),
    Target("CPU of all, 16 flows, ms/MB", ("cpu_ms_per_mb", "all"), public=1.43, vanilla=1.43),
    Target("dials a second, 20 at once", ("dials", "per_s"), public=2, larger=True),
    Target("dials that failed", ("dials", "failed"), most=0),
    Target("CPU of a dial, ms", ("dials", "cpu_ms_each"), most=20),
    Target("idle relay, resident MB", ("rss_mb", "relay"), most=120),
    Target("idle client, resident MB", ("rss_mb", "client"), most=120),
)
