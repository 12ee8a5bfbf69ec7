"""Who is served next: calls wait here when more come than are to be answered (SPEC 12.7).

In peace a call passes through in the same moment. Contacts and sessions that go on come first, then
tickets, then strangers by their effort, among equals the newest: the older ones gave up sooner.
"""

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.rendezvous.tickets import Standing

T = TypeVar("T")

STAY_S: Final = 6.0  # a caller waits for twelve, and the way to it takes some of them
RATE: Final = 20.0  # a second, of strangers and of those with tickets
BURST: Final = 256.0
BACKLOG: Final = 32  # waiting strangers: more are a flood, and the burst is over
FLOOD_BURST: Final = 8.0
STRANGERS_FIRST: Final = 16  # joins of strangers under way at the start, at least, at most
STRANGERS_LEAST: Final = 4
STRANGERS_MOST: Final = 64
SLOW_S: Final = 2.0  # a join that takes longer is not far, it is queued behind others


@dataclass(frozen=True, slots=True)
class Lane:
    """What one standing may take: how many wait, how many joins are under way, how often."""

    places: int
    joins_max: int  # of all standings: the others have the rest for themselves
    limited: bool


LANES: Final = {
    Standing.FIRST: Lane(128, 256, limited=False),
    Standing.KNOWN: Lane(64, 192, limited=True),
    Standing.STRANGER: Lane(256, STRANGERS_MOST, limited=True),
}


@dataclass(order=True, slots=True)
class _Waiting(Generic[T]):
    """Ordered as they are served, the next one last."""

    effort: int
    came_at: float
    item: T = field(compare=False)


class WaitingRoom(Generic[T]):
    """Holds what came until it is served."""

    def __init__(self, now: float) -> None:
        self._queues: dict[Standing, list[_Waiting[T]]] = {standing: [] for standing in LANES}
        self._tokens = {
            standing: TokenBucket(RATE, BURST, now)
            for standing, lane in LANES.items()
            if lane.limited
        }
        self._joins = 0
        self._strangers_max = STRANGERS_FIRST
        self._narrowed_at = -SLOW_S
        self._lost = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, item: T, standing: Standing, effort: int, now: float) -> None:
        """Let a call wait; the least worthy one of its standing leaves when there are too many."""
        queue = self._queues[standing]
        insort(queue, _Waiting(effort, now, item))
        if len(queue) > LANES[standing].places:
            del queue[0]
            self._lose(standing, 1)
        if standing is Standing.STRANGER and len(queue) > BACKLOG:
            self._tokens[standing].keep(FLOOD_BURST, now)

    def take(self, now: float) -> T | None:
        """Return the next call to join, None when none is to be joined now.

        `joined` says that it was; until then it is under way.
        """
        self._give_up(now)
        for standing in sorted(LANES, reverse=True):
            queue, lane = self._queues[standing], LANES[standing]
            if not queue or self._joins >= self._joins_max(standing):
                continue
            if lane.limited and not self._tokens[standing].take(now):
                continue
            self._joins += 1
            return queue.pop().item
        return None

    def _joins_max(self, standing: Standing) -> int:
        stranger = standing is Standing.STRANGER
        return self._strangers_max if stranger else LANES[standing].joins_max

    def joined(self, took: float, now: float) -> None:
        """Note that a call that was taken has its circuit, or never will; after `took` seconds.

        Circuits of strangers queue at the relays in front of those of contacts. So while they are
        slow there are half as many, and one more after each that is not.
        """
        self._joins -= 1
        if took <= SLOW_S:
            self._strangers_max = min(STRANGERS_MOST, self._strangers_max + 1)
        elif now - self._narrowed_at >= SLOW_S:
            self._strangers_max = max(STRANGERS_LEAST, self._strangers_max // 2)
            self._narrowed_at = now

    def wait(self, now: float) -> float:
        """Return after how many seconds one more may be taken; infinity when that needs no time."""
        return min(
            (
                self._tokens[standing].wait(now)
                for standing, lane in LANES.items()
                if lane.limited
                and self._queues[standing]
                and self._joins < self._joins_max(standing)
            ),
            default=math.inf,
        )

    def take_lost(self) -> int:
        """Return how many strangers were given up since this was asked last."""
        lost, self._lost = self._lost, 0
        return lost

    def _give_up(self, now: float) -> None:
        """Let go of those whose callers did."""
        for standing, queue in self._queues.items():
            if queue and min(waiting.came_at for waiting in queue) < now - STAY_S:
                kept = [waiting for waiting in queue if waiting.came_at >= now - STAY_S]
                self._lose(standing, len(queue) - len(kept))
                queue[:] = kept

    def _lose(self, standing: Standing, count: int) -> None:
        if standing is Standing.STRANGER:
            self._lost += count
