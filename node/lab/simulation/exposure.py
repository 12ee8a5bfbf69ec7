"""How long it takes until a node uses a relay of an adversary in a place that matters (SPEC 6.8).

Guards live for months, vanguards for days. Relays come and go; guards that left are replaced.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from peerstream.node.lab.simulation.relays import MAIN, NETWORK, START
from peerstream.node.protocol.directory.guards import Candidate, GuardState, refresh

DAY_S: Final = 86_400
LEAVING: Final = 0.003  # of the relays a day: a tenth in a month


@dataclass(frozen=True, slots=True)
class Exposure:
    """Shares of nodes by day, for one adversary: index 0 is the first day.

    guard: has used a guard of it, at level 2; backups that were never used do not count.
    both: has used one, with a vanguard of it at the same time.
    """

    guard: tuple[float, ...]
    both: tuple[float, ...]


class _Relays:
    """The candidates of each day: some leave, and others of the pool come in their place."""

    def __init__(
        self, candidates: Mapping[bytes, Candidate], members: int, source: random.Random
    ) -> None:
        order = sorted(candidates)
        source.shuffle(order)
        self._candidates = candidates
        self._source = source
        self._in, self._out = order[:members], order[members:]

    def next_day(self) -> dict[bytes, Candidate]:
        """Return those of the next day."""
        for _ in range(round(LEAVING * len(self._in))):
            place = self._source.randrange(len(self._in))
            self._out.append(self._in[place])
            self._in[place] = self._out.pop(0)
        return {relay_id: self._candidates[relay_id] for relay_id in self._in}


def expose(
    candidates: Mapping[bytes, Candidate],
    held: Mapping[float, frozenset[bytes]],
    source: random.Random,
    *,
    nodes: int,
    days: int,
    members: int,
) -> dict[float, Exposure]:
    """Let nodes live for so many days; return what each adversary saw of them by its share."""
    relays = _Relays(candidates, members, source)
    states = [GuardState(NETWORK)] * nodes
    seen: dict[tuple[float, str], set[int]] = {}
    series: dict[tuple[float, str], list[float]] = {
        (share, what): [] for share in held for what in ("guard", "both")
    }
    for day in range(days):
        today, wall = relays.next_day(), START + day * DAY_S
        states = [_refreshed(state, today, wall, source) for state in states]
        for (share, what), shares in series.items():
            met = seen.setdefault((share, what), set())
            bad = held[share]
            met.update(n for n, state in enumerate(states) if _meets(state, bad, what))
            shares.append(len(met) / nodes)
    return {
        share: Exposure(tuple(series[share, "guard"]), tuple(series[share, "both"]))
        for share in held
    }


def _refreshed(
    state: GuardState, today: dict[bytes, Candidate], wall: int, source: random.Random
) -> GuardState:
    """Do what a node does each day, if anything is to be done at all."""
    terms = (*state.guards, *state.live_guards, *state.vanguards, *state.excluded)
    if terms and all(term.expiry > wall and term.relay_id in today for term in terms):
        return state
    return refresh(
        state, today, MAIN.guard_rules, members=len(today), wall=wall, entropy=source.randbytes
    )


def _meets(state: GuardState, bad: frozenset[bytes], what: str) -> bool:
    if state.guards[0].relay_id not in bad:
        return False
    return what == "guard" or not bad.isdisjoint(state.vanguard_ids())
