"""The relays that one node keeps to for months, and why only they see it (SPEC 6.8).

Values only: `node.store` writes them to disk, because a node that drew new guards at each start
would soon have used a bad one. All times are unix seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.errors import (
    MalformedDocumentError,
    NoGuardReachableError,
    NoSafePathError,
)
from peerstream.node.protocol.directory.weights import (
    Entropy,
    choose_weighted,
    draw_below,
)

LEVEL_PRIVATE: Final = 1
LEVEL_ANONYMOUS: Final = 2
GUARD_STATE_MAX: Final = 8_192
_TERMS_MAX: Final = 64
FURTHER_MAX: Final = 3  # of guards and of vanguards, beyond the rules
EXCLUSION_MIN: Final = 2
EXCLUSION_MAX: Final = 8
EXCLUSION_SHARE: Final = 12  # one relay in twelve


@dataclass(frozen=True, slots=True)
class GuardRules:
    """How many of each, and for how long, in seconds (lower and upper bound)."""

    guards: int
    live_guards: int
    vanguards: int
    guard_life_s: tuple[int, int]
    vanguard_life_s: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Term:
    """relay_id (32 B) holds its place until `expiry`."""

    relay_id: bytes
    expiry: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A relay that can be chosen: its weight, and the marks that it may not share in one path.

    marks: relay_id, operator, family and subnets, each with a prefix of its kind; which of them
    count is the network's rule.
    """

    relay_id: bytes
    weight: int
    marks: frozenset[bytes]
    guard: bool

    def conflicts(self, others: Iterable["Candidate"]) -> bool:
        """Whether one operator, family or subnet holds both this and one of the others."""
        return any(not self.marks.isdisjoint(other.marks) for other in others)


@dataclass(frozen=True, slots=True)
class GuardState:
    """A node's long-lived choices in one network.

    guards: for level 2, the primary first, then its backups; live_guards: the same for level 1,
    so that live calls never show the level 2 guard. excluded: guards that were in use and random
    others that hide them; own choices avoid these, named ones of these are passed over.
    """

    network_id: bytes
    guards: tuple[Term, ...] = ()
    live_guards: tuple[Term, ...] = ()
    vanguards: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()

    def guard(self, level: int, unreachable: frozenset[bytes] = frozenset()) -> bytes:
        """Return the guard in use: the first that can be reached. Raises NoGuardReachableError."""
        terms = self.live_guards if level == LEVEL_PRIVATE else self.guards
        for term in terms:
            if term.relay_id not in unreachable:
                return term.relay_id
        raise NoGuardReachableError(f"none of {len(terms)} guards of level {level}")

    def in_use(self, relay_id: bytes) -> "GuardState":
        """Return the state once this guard has been used: it is excluded until its term ends."""
        if any(term.relay_id == relay_id for term in self.excluded):
            return self
        terms = [t for t in (*self.guards, *self.live_guards) if t.relay_id == relay_id]
        if not terms:
            raise NoSafePathError(f"{relay_id.hex()[:16]} is no guard of ours")
        latest = max(terms, key=lambda term: term.expiry)
        return replace(self, excluded=(*self.excluded, latest))

    def exclusion(self) -> frozenset[bytes]:
        """relay_ids that own choices avoid."""
        return frozenset(term.relay_id for term in self.excluded)

    def ids(self, level: int) -> frozenset[bytes]:
        """relay_ids of all guards of a level."""
        terms = self.live_guards if level == LEVEL_PRIVATE else self.guards
        return frozenset(term.relay_id for term in terms)

    def guard_ids(self) -> frozenset[bytes]:
        """relay_ids of the guards of both levels."""
        return self.ids(LEVEL_PRIVATE) | self.ids(LEVEL_ANONYMOUS)

    def vanguard_ids(self) -> tuple[bytes, ...]:
        """Return the layer of relays behind the guard."""
        return tuple(term.relay_id for term in self.vanguards)

    def encode(self) -> bytes:
        """Deterministic CBOR, at most 8 KiB."""
        lists = (self.guards, self.live_guards, self.vanguards, self.excluded)
        rows = [[[term.relay_id, term.expiry] for term in terms] for terms in lists]
        return document.encode({1: self.network_id, 2: rows[0], 3: rows[1], 4: rows[2], 5: rows[3]})

    @classmethod
    def decode(cls, data: bytes) -> "GuardState":
        """Read what `encode` wrote. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(data, limit=GUARD_STATE_MAX), required=5)
        lists = [_terms(read.items(key, _TERMS_MAX)) for key in range(2, 6)]
        return cls(read.octets(1, 32), *lists)


def _terms(items: list[Any]) -> tuple[Term, ...]:
    terms = []
    for item in items:
        if not isinstance(item, list) or len(item) != 2:
            raise MalformedDocumentError("no term")
        fields = document.Fields({1: item[0], 2: item[1]}, required=2)
        terms.append(Term(fields.octets(1, 32), fields.number(2)))
    if len({term.relay_id for term in terms}) != len(terms):
        raise MalformedDocumentError("a relay holds two places")
    return tuple(terms)


def refresh(
    state: GuardState,
    candidates: Mapping[bytes, Candidate],
    rules: GuardRules,
    *,
    members: int,
    wall: int,
    entropy: Entropy,
) -> GuardState:
    """Drop who is over or gone from `candidates`, fill every place again.

    `candidates`: all relays of the view by id, also those whose descriptor is missing just now (a
    relay that hides its descriptor must not make us draw again). `members`: the size of the set,
    for the size of the exclusion set. Does not change a state that needs nothing.
    """
    return _Refresh(state, candidates, rules, wall, entropy).run(members)


def extend_guards(
    state: GuardState,
    level: int,
    candidates: Mapping[bytes, Candidate],
    rules: GuardRules,
    *,
    wall: int,
    entropy: Entropy,
) -> GuardState:
    """Return the state with one more guard of a level, for when none of them can be reached.

    `candidates`: relays that may be it. It is the last in order and stays for a term of its own, so
    that whoever can block guards has us draw FURTHER_MAX in months. Does not change a state that
    has so many.
    """
    drawing = _Refresh(state, candidates, rules, wall, entropy)
    if level == LEVEL_PRIVATE:
        return replace(state, live_guards=drawing.further_live_guards())
    return replace(state, guards=drawing.further_guards())


def extend_vanguards(
    state: GuardState,
    candidates: Mapping[bytes, Candidate],
    rules: GuardRules,
    *,
    wall: int,
    entropy: Entropy,
) -> GuardState:
    """Return the state with one more vanguard, as `extend_guards`: guards say that none is up."""
    drawing = _Refresh(state, candidates, rules, wall, entropy)
    return replace(state, vanguards=drawing.further_vanguards())


class _Refresh:
    """One run of `refresh`: what its steps share."""

    def __init__(
        self,
        state: GuardState,
        candidates: Mapping[bytes, Candidate],
        rules: GuardRules,
        wall: int,
        entropy: Entropy,
    ) -> None:
        self._state = state
        self._candidates = candidates
        self._rules = rules
        self._wall = wall
        self._entropy = entropy

    def run(self, members: int) -> GuardState:
        rules = self._rules
        guards = self._guards(self._kept(self._state.guards), rules.guards, ())
        live = self._guards(self._kept(self._state.live_guards), rules.live_guards, guards)
        vanguards = self._vanguards(guards)
        state = replace(self._state, guards=guards, live_guards=live, vanguards=vanguards)
        state = replace(state, excluded=self._kept(state.excluded))
        for terms in (guards, live):
            if terms:
                state = state.in_use(terms[0].relay_id)
        return replace(state, excluded=self._hide(state.excluded, (*guards, *live), members))

    def further_guards(self) -> tuple[Term, ...]:
        terms = self._state.guards
        return self._guards(terms, _one_more(terms, self._rules.guards), ())

    def further_live_guards(self) -> tuple[Term, ...]:
        terms = self._state.live_guards
        return self._guards(terms, _one_more(terms, self._rules.live_guards), self._state.guards)

    def further_vanguards(self) -> tuple[Term, ...]:
        terms, guards = self._state.vanguards, self._state.guards
        primary = self._known(guards[:1])
        pool = [c for c in self._pool() if not c.conflicts(primary)]
        count = _one_more(terms, self._rules.vanguards)
        return self._grow(terms, count, pool, apart=guards, vanguard=True)

    def _kept(self, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        return tuple(
            term for term in terms if term.expiry > self._wall and term.relay_id in self._candidates
        )

    def _guards(
        self, terms: tuple[Term, ...], count: int, apart: tuple[Term, ...]
    ) -> tuple[Term, ...]:
        """Guards, away from each other and from `apart` while that goes."""
        pool = [c for c in self._pool() if c.guard]
        return self._grow(terms, count, pool, apart=(*terms, *apart), spread=True)

    def _vanguards(self, guards: tuple[Term, ...]) -> tuple[Term, ...]:
        """Vanguards may be near each other (a path has one), but never near the primary guard."""
        primary = self._known(guards[:1])
        kept = self._kept(self._state.vanguards)
        kept = tuple(t for t in kept if not self._candidates[t.relay_id].conflicts(primary))
        pool = [c for c in self._pool() if not c.conflicts(primary)]
        return self._grow(kept, self._rules.vanguards, pool, apart=guards, vanguard=True)

    def _hide(
        self, excluded: tuple[Term, ...], guards: tuple[Term, ...], members: int
    ) -> tuple[Term, ...]:
        """Random relays beside the guards in use, so that what we avoid does not name them."""
        ours = {term.relay_id for term in guards}
        pool = [c for c in self._pool() if c.relay_id not in ours]
        return self._grow(excluded, exclusion_size(members), pool)

    def _grow(
        self,
        terms: tuple[Term, ...],
        count: int,
        pool: list[Candidate],
        *,
        apart: tuple[Term, ...] = (),
        spread: bool = False,
        vanguard: bool = False,
    ) -> tuple[Term, ...]:
        chosen = list(terms)
        near = self._known(apart)
        life = self._rules.vanguard_life_s if vanguard else self._rules.guard_life_s
        while len(chosen) < count:
            taken = {term.relay_id for term in chosen}
            picked = self._pick([c for c in pool if c.relay_id not in taken], near)
            if picked is None:
                break
            if spread:
                near.append(picked)
            expiry = self._wall + self._life(life, skew=vanguard)
            chosen.append(Term(picked.relay_id, expiry))
        return tuple(chosen)

    def _known(self, terms: tuple[Term, ...]) -> list[Candidate]:
        return [self._candidates[t.relay_id] for t in terms if t.relay_id in self._candidates]

    def _pool(self) -> list[Candidate]:
        usable = [c for c in self._candidates.values() if c.weight > 0]
        return sorted(usable, key=lambda candidate: candidate.relay_id)

    def _pick(self, pool: list[Candidate], apart: list[Candidate]) -> Candidate | None:
        """By weight, of those not near `apart` if there are any."""
        far = [candidate for candidate in pool if not candidate.conflicts(apart)] or pool
        weights = [candidate.weight for candidate in far]
        return choose_weighted(far, weights, self._entropy) if far else None

    def _life(self, bounds: tuple[int, int], *, skew: bool) -> int:
        """Uniform in the bounds; skewed: the larger of two draws, so that short terms are rare."""
        low, high = bounds
        draws = [draw_below(high - low + 1, self._entropy) for _ in range(2 if skew else 1)]
        return low + max(draws)


def _one_more(terms: tuple[Term, ...], wanted: int) -> int:
    return min(len(terms) + 1, wanted + FURTHER_MAX)


def exclusion_size(members: int) -> int:
    """How many relays the exclusion set holds in a network of `members` relays."""
    return max(EXCLUSION_MIN, min(EXCLUSION_MAX, members // EXCLUSION_SHARE))
