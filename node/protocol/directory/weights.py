"""How often a relay is chosen, the same for every reader of a view (SPEC 6.6).

weight = bond, capped per operator, lowered by what the relay says it can carry. Measurements are
no part of it: readers who disagree about weights choose differently, and can be told apart.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from peerstream.node.protocol.directory.relay_set import RelayEntry, RelayView
from peerstream.node.protocol.errors import LocalProtocolError

GUARDS_WANTED: Final = 20  # below this many of age, the oldest half may be guards as well
_SCALE: Final = 1 << 16  # bonds may be 1: whole numbers must survive the cap and two halvings
_PERCENT: Final = 100

Entropy = Callable[[int], bytes]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeightRules:
    """cap_rule: no operator over max(1 %, 2/operators) of all bonds; age in epochs."""

    cap_rule: bool
    minimum_guard_age: int


def capped_weights(relays: Iterable[RelayEntry], rules: WeightRules) -> dict[bytes, int]:
    """Weight by relay_id, from the registered bonds alone. Units: 1/65 536 of a bond's unit.

    The cap falls on an operator's relays in proportion. Families are no part of it: anybody can
    register a family, and would lower the weight of those who are truly in it.
    """
    entries = list(relays)
    weights = {entry.relay_id: entry.weight * _SCALE for entry in entries}
    if not rules.cap_rule or not entries:
        return weights
    by_operator: defaultdict[bytes, int] = defaultdict(int)
    for entry in entries:
        by_operator[entry.operator] += weights[entry.relay_id]
    total = sum(by_operator.values())
    cap = max(total // _PERCENT, 2 * total // len(by_operator))
    for entry in entries:
        theirs = by_operator[entry.operator]
        if theirs > cap:
            weights[entry.relay_id] = weights[entry.relay_id] * cap // theirs
    return weights


def view_weights(
    view: RelayView, classes: Mapping[bytes, int], rules: WeightRules
) -> dict[bytes, int]:
    """Weight by relay_id for the relays with a descriptor; `classes`: their bandwidth classes."""
    capped = capped_weights(view, rules)
    return {key: capped[key] >> classes[key] for key in classes if key in capped}


def guard_eligible(view: RelayView, rules: WeightRules) -> frozenset[bytes]:
    """Who may become a guard: relays of age, or the oldest half while fewer than 20 are.

    A young relay is cheap to have thrown in for one attack. Everybody as old as the youngest of
    the oldest half counts to it, so that nobody gains by the bytes of an id.
    """
    aged = {e.relay_id for e in view if view.epoch - e.from_epoch >= rules.minimum_guard_age}
    if len(aged) >= GUARDS_WANTED or not len(view):
        return frozenset(aged)
    starts = sorted(entry.from_epoch for entry in view)
    median = starts[(len(starts) - 1) // 2]
    return frozenset(aged | {e.relay_id for e in view if e.from_epoch <= median})


def draw_below(limit: int, entropy: Entropy) -> int:
    """Return a uniform number in 0..limit-1. Rejects what would make small numbers likelier."""
    if limit < 1:
        raise LocalProtocolError("nothing to draw from")
    bits = (limit - 1).bit_length()
    size = (bits + 7) // 8
    while True:
        number = int.from_bytes(entropy(size), "big") >> (8 * size - bits)
        if number < limit:
            return number


def choose_weighted(items: Sequence[T], weights: Sequence[int], entropy: Entropy) -> T:
    """One item, with probability weight / sum of weights; the sum must not be zero."""
    point = draw_below(sum(weights), entropy)
    for item, weight in zip(items, weights, strict=True):
        if point < weight:
            return item
        point -= weight
    raise LocalProtocolError("a negative weight")


def iterate_weighted(items: Sequence[T], weights: Sequence[int], entropy: Entropy) -> Iterable[T]:
    """Draw without putting back: the first is `choose_weighted`, the rest are second choices."""
    left = [(item, weight) for item, weight in zip(items, weights, strict=True) if weight > 0]
    while left:
        place = choose_weighted(range(len(left)), [weight for _, weight in left], entropy)
        yield left.pop(place)[0]


def shuffled(items: Iterable[T], entropy: Entropy) -> list[T]:
    """Return the items in a uniformly random order."""
    left = list(items)
    return [left.pop(draw_below(len(left), entropy)) for _ in range(len(left))]
