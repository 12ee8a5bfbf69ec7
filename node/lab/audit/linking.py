"""What of all that a process held belongs together, by equal values and by circuits (SPEC 15.4).

Two things are linked that stand in one circuit, one connection of a client, one key, one log or one
file, or in two of these that share a value. Links between relays carry many people's circuits, so a
connection between two relays links nothing.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.lab.audit.facts import Fact, Known
from peerstream.node.lab.audit.pages import pages_of
from peerstream.node.lab.audit.recorder import Record, Tap
from peerstream.node.lab.audit.view import Node, ProcessView, Unit
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import (
    CELL_TAG_SIZE,
    ROUTING_SIZE,
    SETUP_BODY_SIZE,
    SETUP_HEADER_SIZE,
)

_EXACT: Final = 32  # bytes of a cell or SETUP by which it is known on both sides of a layer
_VARIED: Final = 16  # different ones among them: else it is filling that many share
_VALUE: Final = 8
_VALUE_VARIED: Final = 7  # a number of four bytes with a constant behind it is no value
_SMALL: Final = 4_096  # bytes: of what is larger every fourth place is looked at
# Chosen by the byte that stands there, so that equal bytes have equal places wherever they stand.
_PLACES: Final = re.compile(b"[%s]" % b"".join(b"\\x%02x" % n for n in range(3, 256, 4)))
# Events name files and places, ciphertexts on a wire are what frames hold, and all clients ask an
# endpoint in the same words: none of these leads on.
_VALUED: Final = frozenset({"stream", "cipher", "log", "link"})
_BODIES: Final[dict[int, int]] = {FrameType.CELL: CELL_TAG_SIZE, FrameType.SETUP: SETUP_HEADER_SIZE}


@dataclass(frozen=True, slots=True)
class Sight:
    """Where a fact was seen. record, at: None in a log or a file, which are read at the end."""

    process: str
    layer: str
    node: Node
    record: int | None
    at: float | None


@dataclass(slots=True)
class Cluster:
    """Things that belong together: what is known there, and the values that may lead on.

    named, told: fingerprints of documents of the directory, in questions and in answers.
    """

    facts: dict[Fact, Sight] = field(default_factory=dict)
    values: set[bytes] = field(default_factory=set)
    named: set[bytes] = field(default_factory=set)
    told: set[bytes] = field(default_factory=set)

    def take(self, other: "Cluster") -> None:
        """Join with another."""
        for fact, sight in other.facts.items():
            self.facts.setdefault(fact, sight)
        self.values |= other.values
        self.named |= other.named
        self.told |= other.told


class _Forest:
    """Union and find."""

    def __init__(self) -> None:
        self._above: dict[Node, Node] = {}

    def find(self, node: Node) -> Node:
        above = self._above
        root = node
        while (up := above.get(root, root)) != root:
            root = up
        while node != root:
            above[node], node = root, above.get(node, node)
        return root

    def join(self, first: Node, second: Node) -> None:
        self._above[self.find(first)] = self.find(second)


@dataclass(frozen=True, slots=True)
class _Carried:
    """Values by which cells and SETUPs were known that only passed, and those of all others."""

    passing: frozenset[bytes]
    others: frozenset[bytes]


def clusters_of(view: ProcessView, known: Known, relay_ips: Collection[str]) -> list[Cluster]:
    """Return what belongs together in one process. relay_ips: who is no client."""
    forest = _Forest()
    _join_clients(forest, view, relay_ips)
    carried = _join_circuits(forest, view)
    found: defaultdict[Node, Cluster] = defaultdict(Cluster)
    for unit in view.units:
        cluster = found[forest.find(unit.node)]
        for position, fact in known.find(unit.data):
            cluster.facts.setdefault(fact, _sight(view, unit, position))
        if unit.layer in _VALUED and not _passed(unit, carried.passing):
            _lead_on(unit, cluster)
    for value in carried.passing | carried.others:
        found[forest.find(("value", value))].values.add(value)
    return list(found.values())


def _sight(view: ProcessView, unit: Unit, position: int) -> Sight:
    record = unit.record_at(position)
    at = None if record is None else view.times[record]
    return Sight(view.name, unit.layer, unit.node, record, at)


def _join_clients(forest: _Forest, view: ProcessView, relay_ips: Collection[str]) -> None:
    """Join all that stands in the connection of one client."""
    clients = {c for c, (ip, _) in view.peers.items() if ip not in relay_ips}
    for unit in view.units:
        kind, *place = unit.node
        if kind in {"circuit", "stream"} and place[0] in clients:
            forest.join(unit.node, ("connection", place[0]))


def _join_circuits(forest: _Forest, view: ProcessView) -> _Carried:
    """Join circuits with the keys that their cells went through, and so with each other."""
    framed, taken, given = set[bytes](), set[bytes](), set[bytes]()
    for connection, frame in view.frames:
        offset = _BODIES.get(frame.kind)
        if offset is not None:
            value = frame.body[offset : offset + _EXACT]
            if _varied(value):
                framed.add(value)
                forest.join(("circuit", connection, frame.circuit), ("value", value))
    for record in view.ciphers:
        for values, into in zip(_ends(record), (taken, given), strict=True):
            for value in filter(_varied, values):
                into.add(value)
                forest.join(("key", record.context), ("value", value))
    passing = framed | (taken & given)
    return _Carried(frozenset(passing), frozenset((taken | given) - passing))


def _ends(record: Record) -> tuple[list[bytes], list[bytes]]:
    """Return by which values a cell or SETUP is known before and after a cipher."""
    before, after = record.parts[0], record.parts[1]
    # A SETUP goes on from behind its routing block, which is the same for all with one next hop.
    is_setup = record.tap is Tap.OPENED and len(after) == SETUP_BODY_SIZE
    start = ROUTING_SIZE if is_setup else 0
    return [before[:_EXACT]], [after[start : start + _EXACT]]


def _varied(value: bytes) -> bool:
    return len(value) == _EXACT and len(set(value)) >= _VARIED


def _lead_on(unit: Unit, cluster: Cluster) -> None:
    """Add the values of a unit that may lead on."""
    if unit.layer != "stream":
        cluster.values.update(values_of(unit.data))
        return
    pages = pages_of(unit.data)
    cluster.named |= pages.named
    cluster.told |= pages.told
    cluster.values.update(values_of(pages.rest))


def _passed(unit: Unit, passing: Collection[bytes]) -> bool:
    following = unit.data[ROUTING_SIZE : ROUTING_SIZE + _EXACT]
    return unit.data[:_EXACT] in passing or following in passing


def values_of(data: bytes) -> Iterator[bytes]:
    """Return the values of 8 bytes that may show that two places hold the same.

    All of a small unit, one in four of a large one: of a key of 32 bytes in two large units one
    value at least is found but for once in a thousand.
    """
    last = len(data) - _VALUE + 1
    places = range(last) if len(data) <= _SMALL else (m.start() for m in _PLACES.finditer(data))
    for place in places:
        value = data[place : place + _VALUE]
        if place < last and len(set(value)) >= _VALUE_VARIED:
            yield value


def drop_public(processes: Sequence[Sequence[Cluster]]) -> None:
    """Forget the values that more than half of all processes hold.

    Names of protocols, relays and roots, descriptors of relays: whoever is in the network has them.
    What is named in questions to the directory and was never told in it leads on as any value.
    """
    told = {name for clusters in processes for cluster in clusters for name in cluster.told}
    for clusters in processes:
        for cluster in clusters:
            cluster.values |= cluster.named - told
    held: Counter[bytes] = Counter()
    for clusters in processes:
        held.update(set().union(*(cluster.values for cluster in clusters)))
    public = {value for value, count in held.items() if count > len(processes) // 2}
    for clusters in processes:
        for cluster in clusters:
            cluster.values -= public


def _joined(clusters: Sequence[Cluster]) -> list[Cluster]:
    """Join the clusters of one process that share a value, directly or over others."""
    forest = _Forest()
    owner: dict[bytes, int] = {}
    for number, cluster in enumerate(clusters):
        for value in cluster.values:
            if owner.setdefault(value, number) != number:
                forest.join(("cluster", owner[value]), ("cluster", number))
    return _gather(forest, clusters)


def coalition(members: Sequence["Joined"]) -> list[Cluster]:
    """Join what several processes can link, wherever they share a value."""
    forest = _Forest()
    owner: dict[bytes, Node] = {}
    clusters: list[Cluster] = []
    for member in members:
        shared = member.owner.keys() & owner.keys()
        for value in shared:
            forest.join(owner[value], ("cluster", len(clusters) + member.owner[value]))
        start = len(clusters)
        owner.update((v, ("cluster", start + number)) for v, number in member.owner.items())
        clusters += member.clusters
    return _gather(forest, clusters)


class Joined:
    """What one process can link, and in which cluster it holds each value."""

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        self.clusters = _joined(clusters)
        self.owner = {
            value: number for number, found in enumerate(self.clusters) for value in found.values
        }


def _gather(forest: _Forest, clusters: Sequence[Cluster]) -> list[Cluster]:
    found: defaultdict[Node, Cluster] = defaultdict(Cluster)
    for number, cluster in enumerate(clusters):
        found[forest.find(("cluster", number))].take(cluster)
    return list(found.values())
