"""What happens to IPv4 packets between machines: they wait, queue up, are lost (SPEC 14.7).

No I/O: packets, time and chance are arguments.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_HEADER_MIN: Final = 20
_IPV4: Final = 4
_SOURCE: Final = slice(12, 16)
_TARGET: Final = slice(16, 20)
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class LinkShape:
    """One direction between two machines.

    delay_s: seconds on the way. rate: bytes a second, None without a limit. loss: the part of the
    packets that vanish, 1 for a cut link. queue_s: how long a packet may wait for those before it;
    one that would wait longer is dropped, as a router with so large a buffer does.
    """

    delay_s: float = 0.0
    rate: float | None = None
    loss: float = 0.0
    queue_s: float = 0.1


CUT: Final = LinkShape(loss=1.0)


@dataclass(slots=True)
class Counts:
    """Packets: carried to their machine; lost by chance; dropped by a full queue; of no machine."""

    carried: int = 0
    lost: int = 0
    overflowed: int = 0
    stray: int = 0


class Shaper:
    """All links between the machines, told apart by the packets' addresses (4 bytes each)."""

    def __init__(self, shape: LinkShape, chance: Callable[[], float]) -> None:
        """Treat every link as `shape` says. chance: a number from 0 to below 1, drawn anew."""
        self.counts = Counts()
        self._shape = shape
        self._chance = chance
        self._shapes: dict[bytes, LinkShape] = {}
        self._free_at: dict[bytes, float] = {}  # when a link has sent all it took so far
        self._under_way: list[tuple[float, int, bytes]] = []
        self._number = 0

    def set_shape(self, source: bytes, target: bytes, shape: LinkShape | None) -> None:
        """Treat packets from source to target in another way; None: as all others."""
        if shape is None:
            self._shapes.pop(source + target, None)
        else:
            self._shapes[source + target] = shape

    def take(self, packet: bytes, now: float) -> None:
        """Take a packet that a machine sent at `now` seconds."""
        if len(packet) < _HEADER_MIN or packet[0] >> 4 != _IPV4:
            self.counts.stray += 1
            return
        link = packet[_SOURCE] + packet[_TARGET]
        shape = self._shapes.get(link, self._shape)
        if shape.loss and self._chance() < shape.loss:
            self.counts.lost += 1
            return
        start = now
        if shape.rate is not None:
            start = max(now, self._free_at.get(link, now))
            if start - now > shape.queue_s:
                self.counts.overflowed += 1
                return
            start += len(packet) / shape.rate
            self._free_at[link] = start
        self._number += 1
        heapq.heappush(self._under_way, (start + shape.delay_s, self._number, packet))

    @property
    def next_at(self) -> float:
        """When the next packet arrives; infinity when none is under way."""
        return self._under_way[0][0] if self._under_way else _NEVER

    def arrived(self, now: float) -> list[tuple[bytes, bytes]]:
        """Return what has arrived by now, in order: the address of its machine, and the packet."""
        found = []
        while self._under_way and self._under_way[0][0] <= now:
            packet = heapq.heappop(self._under_way)[2]
            found.append((packet[_TARGET], packet))
        return found
