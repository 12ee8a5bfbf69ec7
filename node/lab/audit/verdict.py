"""Who knew what, and what of it nobody may know together (SPEC 15.3, 15.4).

`Verdict` is for programs too: ``judge(played).who_knew(Fact("content", "file"))``.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from peerstream.node.lab.audit.facts import PARTIES, Fact, is_forbidden
from peerstream.node.lab.audit.linking import (
    Cluster,
    Joined,
    Sight,
    clusters_of,
    coalition,
    drop_public,
)
from peerstream.node.lab.audit.play import Played
from peerstream.node.lab.audit.stage import ADDRESSES
from peerstream.node.lab.audit.view import ProcessView, Source, ask_rpc

COALITION: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What somebody could know. who: processes. sights: where each fact was seen."""

    who: tuple[str, ...]
    scenario: str
    facts: tuple[Fact, ...]
    sights: tuple[Sight, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as `psp audit --json` prints it."""
        last = self.sights[-1]
        places = [f"{sight.process} {' '.join(map(_text, sight.node))}" for sight in self.sights]
        return {
            "who": list(self.who),
            "scenario": self.scenario,
            "facts": [str(fact) for fact in self.facts],
            "through": " = ".join(dict.fromkeys(places)),
            "layer": last.layer,
            "record": last.record,
        }


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One process: how much it wrote down, whose guard it was, what it knew in itself."""

    name: str
    role: str
    ip: str
    records: int
    guard_of: tuple[str, ...]
    facts: tuple[Fact, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as `psp audit --json` prints it."""
        return {
            "name": self.name,
            "role": self.role,
            "guard_of": list(self.guard_of),
            "ip": self.ip,
            "records": self.records,
            "knows": [str(fact) for fact in self.facts],
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of an audit. checked: coalitions of two; exempt: those of them with a guard."""

    played: Played
    processes: Sequence[Knowledge]
    checked: int
    exempt: int
    findings: Sequence[Finding]
    held: Mapping[str, Joined] = field(repr=False)

    @property
    def silent(self) -> list[str]:
        """The processes without a record: what they knew, nobody can say."""
        return [process.name for process in self.processes if not process.records]

    @property
    def ok(self) -> bool:
        """Whether nobody could know what nobody may, and everybody was watched."""
        return not self.findings and not self.silent

    def who_knew(self, *facts: Fact) -> list[str]:
        """Return the processes that held all of these, whether linked or not."""
        return [p.name for p in self.processes if set(facts) <= set(p.facts)]

    def could_know(self, *who: str) -> list[Finding]:
        """Return what these processes could know together, guards or not."""
        return list(_findings(self.played, who, coalition([self.held[name] for name in who])))

    def to_json(self) -> dict[str, Any]:
        """Return the reports of processes, coalitions and findings."""
        return {
            "processes": [process.to_json() for process in self.processes],
            "coalitions": {"size": COALITION, "checked": self.checked, "exempt": self.exempt},
            "findings": [finding.to_json() for finding in self.findings],
        }


def judge(played: Played) -> Verdict:
    """Search everything for what is known of the parties, and for what it is linked with.

    Raises RecordsDamagedError, UnreadableStreamError.
    """
    found = _Reading(played)
    for source in played.sources:
        found.read(source)
    return found.judge()


class _Reading:
    """Reads one process after the other, and keeps of each what is needed to judge."""

    def __init__(self, played: Played) -> None:
        self._played = played
        self._relay_ips = frozenset(s.ip for s in played.sources if s.role == "relay")
        self._rpc = ProcessView("rpc", "rpc", played.rpc[0])
        self._processes: list[Knowledge] = []
        self._clusters: dict[str, list[Cluster]] = {}

    def read(self, source: Source) -> None:
        view = source.open()
        ask_rpc(view, self._played.rpc, self._rpc)
        if source.role in PARTIES:  # a party may know everything: nothing of it is linked
            self._know(view, (), self._played.known.held(unit.data for unit in view.units))
        else:
            self._cluster(view)

    def _cluster(self, view: ProcessView) -> None:
        clusters = clusters_of(view, self._played.known, self._relay_ips)
        self._clusters[view.name] = clusters
        facts = {fact for cluster in clusters for fact in cluster.facts}
        self._know(view, _guard_of(self._played, view), facts)

    def _know(self, view: ProcessView, guard_of: tuple[str, ...], facts: Collection[Fact]) -> None:
        records = len(view.times)
        found = Knowledge(view.name, view.role, view.ip, records, guard_of, tuple(sorted(facts)))
        self._processes.append(found)

    def judge(self) -> Verdict:
        self._cluster(self._rpc)
        drop_public(list(self._clusters.values()))
        held = {name: Joined(clusters) for name, clusters in self._clusters.items()}
        guards = {process.name: process.guard_of for process in self._processes}
        findings: list[Finding] = []
        for name, one in held.items():
            findings += _findings(self._played, (name,), one.clusters)
        alone = {(name, finding.facts) for finding in findings for name in finding.who}
        pairs = list(combinations(held, COALITION))
        for pair in pairs:
            both = coalition([held[name] for name in pair])
            theirs = {party for name in pair for party in guards[name]}
            for finding in _findings(self._played, pair, both, theirs):
                if alone.isdisjoint((name, finding.facts) for name in pair):
                    findings.append(finding)
        exempt = sum(1 for pair in pairs if any(guards[name] for name in pair))
        return Verdict(self._played, self._processes, len(pairs) - exempt, exempt, findings, held)


def _guard_of(played: Played, view: ProcessView) -> tuple[str, ...]:
    """Return whose guard a relay was: it may be, and that party had a link to it."""
    linked = {view.peers[connection][0] for connection, _ in view.frames}
    return tuple(
        party
        for party in PARTIES
        if view.name in played.guards[party] and ADDRESSES[party] in linked
    )


def _findings(
    played: Played,
    who: tuple[str, ...],
    clusters: Sequence[Cluster],
    exempt: Collection[str] = (),
) -> Iterator[Finding]:
    """Return what these could know. exempt: parties whose facts are not asked about."""
    told = set()
    for cluster in clusters:
        for facts in _forbidden(sorted(cluster.facts, key=_order)):
            if facts not in told and not {fact.party for fact in facts} & set(exempt):
                told.add(facts)
                sights = [cluster.facts[fact] for fact in facts]
                times = [sight.at for sight in sights if sight.at is not None]
                scene = played.scene_at(max(times)) if times else played.scenes[-1][0]
                yield Finding(who, scene, facts, tuple(sights))


def _order(fact: Fact) -> tuple[bool, Fact]:
    """Sort places first: what is told of a finding is where the other thing was seen."""
    return not fact.is_place, fact


def _forbidden(facts: Sequence[Fact]) -> Iterator[tuple[Fact, ...]]:
    yield from ((fact,) for fact in facts if fact.kind == "content")
    yield from (pair for pair in combinations(facts, 2) if is_forbidden(*pair))


def _text(part: object) -> str:
    return part.hex() if isinstance(part, bytes) else str(part)
