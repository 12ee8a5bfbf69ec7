"""A crowd that calls: what circuits it opens, and what that costs each relay (SPEC 6.9, 12).

A discrete-event simulation: whoever acts next is taken from a heap, and time jumps there. Paths,
guards and rings are those of the protocol; circuits are counted and not opened.
"""

import heapq
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.lab.simulation.relays import MAIN, NETWORK, PERIOD, START
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.guards import LEVEL_ANONYMOUS, GuardState, refresh
from peerstream.node.protocol.directory.paths import PathChooser, PathInputs, Purpose
from peerstream.node.protocol.directory.ring import Ring, ring_seed

POINTS: Final = 3
STORES_PUT: Final = 2
RECORD_S: Final = MAIN.descriptor_life_s / 2  # between two records of a callee, in the mean
FIRST_S: Final = 600.0  # in which callees come up
_LAST: Final = ("guard", "vanguard", "middle")


@dataclass(slots=True)
class Callee:
    """A node that is called: its key of the period, its guards, where it stands."""

    key: bytes
    guards: GuardState
    popularity: float
    points: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Load:
    """Circuits by relay and place, and what was asked for."""

    places: dict[str, Counter[bytes]] = field(default_factory=dict)
    circuits: int = 0
    dials: int = 0

    def count(self, path: Sequence[bytes], purpose: Purpose) -> None:
        """Note a circuit."""
        self.circuits += 1
        for place, relay_id in zip(_LAST, path[:-1], strict=False):
            self.places.setdefault(place, Counter())[relay_id] += 1
        self.places.setdefault(_ends_at(purpose), Counter())[path[-1]] += 1

    def total(self) -> Counter[bytes]:
        """Circuits by relay, in any place."""
        return sum(self.places.values(), Counter())


def _ends_at(purpose: Purpose) -> str:
    if purpose in {Purpose.CLIENT_DIRECTORY, Purpose.SERVICE_DIRECTORY}:
        return "store"
    if purpose in {Purpose.CLIENT_RENDEZVOUS, Purpose.SERVICE_RENDEZVOUS}:
        return "rendezvous point"
    return "introduction point"


class Crowd:
    """Callers and callees of one directory, until so many circuits were opened."""

    def __init__(
        self, directory: Directory, source: random.Random, *, callers: int, callees: int
    ) -> None:
        self.load = Load()
        self.now = 0.0
        self._directory = directory
        self._source = source
        relay_ids = directory.candidates(START)
        self.ring = Ring(PERIOD, relay_ids, ring_seed(NETWORK, PERIOD), MAIN.ring_rules)
        self._callers = [self._guards() for _ in range(callers)]
        self._callees = [
            Callee(source.randbytes(32), self._guards(), 1 / (rank + 1)) for rank in range(callees)
        ]
        self._popularity = [callee.popularity for callee in self._callees]
        self._due: list[tuple[float, int, Callee | None]] = []
        for number, callee in enumerate(self._callees):
            self._due.append((source.uniform(0, FIRST_S), number, callee))
        heapq.heapify(self._due)

    def _guards(self) -> GuardState:
        """Guards of a node that starts now."""
        return refresh(
            GuardState(NETWORK),
            self._directory.guard_candidates(START),
            MAIN.guard_rules,
            members=len(self._directory.view(START)),
            wall=START,
            entropy=self._source.randbytes,
        )

    def run(self, circuits: int, seconds: float) -> Load:
        """Let time pass until so many circuits were opened; dials spread over `seconds`."""
        each = seconds / max(1.0, (circuits - len(self._callees) * 5) / 4)
        heapq.heappush(self._due, (FIRST_S, len(self._callees), None))
        while self.load.circuits < circuits:
            self.now, number, callee = heapq.heappop(self._due)
            if callee is None:
                self._dial()
                pause = self._source.expovariate(1 / each)
            else:
                self._publish(callee)
                pause = self._source.expovariate(1 / RECORD_S)
            heapq.heappush(self._due, (self.now + pause, number, callee))
        return self.load

    def _open(
        self, guards: GuardState, purpose: Purpose, named: Sequence[bytes] = ()
    ) -> tuple[bytes, ...]:
        candidates = self._directory.candidates(START + int(self.now))
        chooser = PathChooser(PathInputs(candidates, guards))
        path = chooser.path(purpose, LEVEL_ANONYMOUS, self._source.randbytes, named)
        self.load.count(path, purpose)
        return path

    def _publish(self, callee: Callee) -> None:
        """Take points first, then put a record to two stores."""
        while len(callee.points) < POINTS:
            path = self._open(callee.guards, Purpose.SERVICE_INTRODUCTION)
            if path[-1] not in callee.points:
                callee.points = (*callee.points, path[-1])
        stores = self.ring.responsible(callee.key)
        for _ in range(STORES_PUT):
            self._open(callee.guards, Purpose.SERVICE_DIRECTORY, stores)

    def _dial(self) -> None:
        """One call: four circuits (12.1)."""
        callers = self._callers[self._source.randrange(len(self._callers))]
        (callee,) = self._source.choices(self._callees, self._popularity)
        self.load.dials += 1
        point = self._open(callers, Purpose.CLIENT_RENDEZVOUS)[-1]
        self._open(callers, Purpose.CLIENT_DIRECTORY, self.ring.responsible(callee.key))
        if callee.points:
            self._open(callers, Purpose.CLIENT_INTRODUCTION, callee.points)
        self._open(callee.guards, Purpose.SERVICE_RENDEZVOUS, (point,))


def records_by_store(ring: Ring, records: int, source: random.Random) -> Counter[bytes]:
    """How many of so many records each relay of a ring keeps."""
    kept: Counter[bytes] = Counter()
    for _ in range(records):
        kept.update(ring.responsible(source.randbytes(32)))
    return kept
