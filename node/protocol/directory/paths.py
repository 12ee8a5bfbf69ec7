"""Which relays a circuit goes through (SPEC 6.9).

Who named the last relay decides how freely we may compare it with our own: a choice that the
other side can repeat, and watch fail, must not depend on who our guard is.

* Own choices avoid the exclusion set, and share no operator, family or subnet among themselves.
* Named with alternatives: one outside the exclusion set, else NoSafePathError.
* Named without alternative (the rendezvous point, at the service): compared with nothing but its
  neighbour, which for that reason is drawn from everybody, the guard included.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from peerstream.node.protocol.directory.errors import NoSafePathError, TooFewPointsError
from peerstream.node.protocol.directory.guards import (
    LEVEL_ANONYMOUS,
    LEVEL_PRIVATE,
    Candidate,
    GuardState,
)
from peerstream.node.protocol.directory.relay_set import RelayView
from peerstream.node.protocol.directory.weights import Entropy, iterate_weighted, shuffled
from peerstream.node.protocol.errors import LocalProtocolError

INTRODUCTION_POINTS_MIN: Final = 3
GUARDS_AT_ONCE: Final = 2  # that of the path in use, and that of the one that stands by


class Purpose(Enum):
    """What a circuit is for. G guard, V vanguard, M middle, E and X the guard and relay of level 1.

    level 2 / level 1:
    """

    CLIENT_RENDEZVOUS = auto()  # G V RP / E X; own choice
    CLIENT_INTRODUCTION = auto()  # G V M IP / E X; named with alternatives
    CLIENT_DIRECTORY = auto()  # G V M store at both; named with alternatives
    SERVICE_INTRODUCTION = auto()  # G V M IP / E X; own choice
    SERVICE_DIRECTORY = auto()  # G V M store at both; named with alternatives
    SERVICE_RENDEZVOUS = auto()  # G V M RP / E X; named without alternative


_OWN: Final = frozenset({Purpose.CLIENT_RENDEZVOUS, Purpose.SERVICE_INTRODUCTION})
_ANY: Final = range(1, 1 << 16)
_NAMED: Final = {
    Purpose.CLIENT_RENDEZVOUS: range(1),
    Purpose.CLIENT_INTRODUCTION: _ANY,
    Purpose.CLIENT_DIRECTORY: _ANY,
    Purpose.SERVICE_INTRODUCTION: range(2),
    Purpose.SERVICE_DIRECTORY: _ANY,
    Purpose.SERVICE_RENDEZVOUS: range(1, 2),
}  # how many relays
_DIRECTORY: Final = frozenset({Purpose.CLIENT_DIRECTORY, Purpose.SERVICE_DIRECTORY})


@dataclass(frozen=True, slots=True)
class PathInputs:
    """What one node chooses from: candidates by relay_id (only relays with a descriptor)."""

    candidates: Mapping[bytes, Candidate]
    guards: GuardState
    unreachable: frozenset[bytes] = frozenset()


def keep_away(
    inputs: PathInputs, away: frozenset[bytes], level: int, named: Sequence[bytes]
) -> PathInputs:
    """Return what to choose from for a path that is to share no relay with `away`.

    A single relay that is named stays. Of guards only the first two stand in for each other:
    whoever makes our paths fail must not walk us through all of them.
    """
    terms = inputs.guards.live_guards if level == LEVEL_PRIVATE else inputs.guards.guards
    first, later = terms[:GUARDS_AT_ONCE], terms[GUARDS_AT_ONCE:]
    guards = {term.relay_id for term in first}
    passed_over = guards & away
    if passed_over == guards:
        passed_over = {term.relay_id for term in first[:-1]}  # the primary, where there are two
    if passed_over:
        passed_over |= {term.relay_id for term in later}
    # A guard that is passed over may still stand before a relay that was named, else that one sees
    # who never does (rule 3 of SPEC 6.9); own choices exclude it in any case.
    left_out = away - guards - (set(named) if len(named) == 1 else set())
    return replace(
        inputs,
        candidates={key: each for key, each in inputs.candidates.items() if key not in left_out},
        unreachable=inputs.unreachable | passed_over,
    )


class PathChooser:
    """Draws paths as tuples of relay_ids, first hop first.

    It knows nothing of what is up, except the guards that the caller found unreachable.
    """

    def __init__(self, inputs: PathInputs) -> None:
        self._candidates = inputs.candidates
        self._guards = inputs.guards
        terms = (*inputs.guards.guards, *inputs.guards.live_guards)
        hidden = {term.relay_id for term in terms} - inputs.candidates.keys()
        self._unreachable = inputs.unreachable | hidden
        self._excluded = inputs.guards.exclusion()

    def path(
        self, purpose: Purpose, level: int, entropy: Entropy, named: Sequence[bytes] = ()
    ) -> tuple[bytes, ...]:
        """Return a path for one circuit.

        named: nothing for own choices, or the relay of an introduction circuit that ended, to go
        back to; the alternatives for an introduction or a store; exactly one relay for
        SERVICE_RENDEZVOUS. Lookups and publications are always level 2. Raises
        NoSafePathError.
        """
        self._check_call(purpose, level, named)
        if purpose in _DIRECTORY:
            level = LEVEL_ANONYMOUS
        guard = self._guard(level)
        if purpose is Purpose.SERVICE_RENDEZVOUS:
            return self._to_named(guard, level, named[0], entropy)
        targets = self._alternatives(named, entropy) if named else self._draw(entropy)
        if level == LEVEL_PRIVATE:
            return self._two_hops(guard, targets, own=purpose in _OWN)
        if purpose is Purpose.CLIENT_RENDEZVOUS:
            return self._three_hops(guard, targets, entropy)
        return self._four_hops(guard, targets, entropy, own=purpose in _OWN)

    def introduction_points(self, count: int, entropy: Entropy) -> tuple[bytes, ...]:
        """Up to `count` relays for a descriptor, no two of one operator, family or subnet.

        Raises NoSafePathError when there are fewer than three.
        """
        chosen: list[Candidate] = []
        for candidate in self._draw(entropy):
            if len(chosen) == count:
                break
            if not candidate.conflicts(chosen):
                chosen.append(candidate)
        if len(chosen) < INTRODUCTION_POINTS_MIN:
            raise NoSafePathError(f"{len(chosen)} relays can be introduction points, 3 are needed")
        return tuple(candidate.relay_id for candidate in chosen)

    def _check_call(self, purpose: Purpose, level: int, named: Sequence[bytes]) -> None:
        if level not in {LEVEL_PRIVATE, LEVEL_ANONYMOUS}:
            raise LocalProtocolError(f"level {level}")
        if len(named) not in _NAMED[purpose]:
            raise LocalProtocolError(f"{len(named)} relays named for {purpose.name}")

    def _guard(self, level: int) -> Candidate:
        return self._candidates[self._guards.guard(level, self._unreachable)]

    def _draw(self, entropy: Entropy) -> Iterator[Candidate]:
        """Relays for an own choice, by weight, without the exclusion set."""
        pool = [c for key, c in sorted(self._candidates.items()) if key not in self._excluded]
        yield from iterate_weighted(pool, [candidate.weight for candidate in pool], entropy)

    def _alternatives(self, named: Sequence[bytes], entropy: Entropy) -> Iterator[Candidate]:
        """Those of the named relays that we know and do not exclude, in random order."""
        for relay_id in shuffled(dict.fromkeys(named), entropy):
            if relay_id not in self._excluded and relay_id in self._candidates:
                yield self._candidates[relay_id]

    def _vanguards(self, guard: Candidate, entropy: Entropy) -> Iterator[Candidate]:
        for relay_id in shuffled(self._guards.vanguard_ids(), entropy):
            vanguard = self._candidates.get(relay_id)
            if vanguard is not None and not vanguard.conflicts([guard]):
                yield vanguard

    def _two_hops(
        self, guard: Candidate, targets: Iterable[Candidate], *, own: bool
    ) -> tuple[bytes, ...]:
        for target in targets:
            if target.relay_id != guard.relay_id and not (own and target.conflicts([guard])):
                return guard.relay_id, target.relay_id
        raise NoSafePathError("all possible relays are excluded; try level 2 or other points")

    def _three_hops(
        self, guard: Candidate, targets: Iterable[Candidate], entropy: Entropy
    ) -> tuple[bytes, ...]:
        for target in targets:
            if target.conflicts([guard]):
                continue
            for vanguard in self._vanguards(guard, entropy):
                if not vanguard.conflicts([target]):
                    return guard.relay_id, vanguard.relay_id, target.relay_id
        raise NoSafePathError("no rendezvous point is apart from guard and vanguards")

    def _four_hops(
        self, guard: Candidate, targets: Iterable[Candidate], entropy: Entropy, *, own: bool
    ) -> tuple[bytes, ...]:
        for target in targets:
            if own and target.conflicts([guard]):
                continue
            hops = self._middle_hops(guard, target, entropy, own=own)
            if hops is not None:
                return guard.relay_id, *hops, target.relay_id
        raise NoSafePathError("no middle relays are apart from each other and from the last one")

    def _middle_hops(
        self, guard: Candidate, target: Candidate, entropy: Entropy, *, own: bool
    ) -> tuple[bytes, bytes] | None:
        """V and M. The last relay is one of ours to compare with only when we chose it."""
        ours = [guard, target] if own else [guard]
        for vanguard in self._vanguards(guard, entropy):
            if vanguard.relay_id == target.relay_id or (own and vanguard.conflicts([target])):
                continue
            for middle in self._draw(entropy):
                if middle.relay_id != target.relay_id and not middle.conflicts([*ours, vanguard]):
                    return vanguard.relay_id, middle.relay_id
        return None

    def _to_named(
        self, guard: Candidate, level: int, target: bytes, entropy: Entropy
    ) -> tuple[bytes, ...]:
        if level == LEVEL_PRIVATE:
            # The last relay of level 1 sees this guard anyway: comparing tells nothing new.
            if target == guard.relay_id:
                raise NoSafePathError("the relay named is our guard of level 1")
            return guard.relay_id, target
        vanguard = next(self._vanguards(guard, entropy), None)
        if vanguard is None:
            raise NoSafePathError("no vanguard is apart from the guard")
        pool = [
            candidate
            for key, candidate in sorted(self._candidates.items())
            if key not in {vanguard.relay_id, target}
        ]
        weights = [candidate.weight for candidate in pool]
        for middle in iterate_weighted(pool, weights, entropy):
            return guard.relay_id, vanguard.relay_id, middle.relay_id, target
        raise NoSafePathError("no relay is left between the vanguard and the one named")


def require_distinct_points(view: RelayView, points: Sequence[bytes]) -> None:
    """Check the introduction points that a descriptor names.

    Raises TooFewPointsError for fewer than three relays of the view with distinct operators.
    """
    operators = {view.get(point).operator for point in dict.fromkeys(points) if point in view}
    if len(operators) < INTRODUCTION_POINTS_MIN:
        raise TooFewPointsError(f"{len(operators)} operators stand behind {len(points)} points")
