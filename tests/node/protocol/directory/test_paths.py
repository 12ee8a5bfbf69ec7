"""A path never breaks a rule, and never tells by failing who the guard is."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.directory.errors import NoSafePathError, TooFewPointsError
from peerstream.node.protocol.directory.guards import Candidate, GuardState, Term, refresh
from peerstream.node.protocol.directory.paths import (
    PathChooser,
    PathInputs,
    Purpose,
    keep_away,
    require_distinct_points,
)
from peerstream.node.protocol.errors import LocalProtocolError
from tests.node.protocol.directory.network import (
    DEVNET,
    NETWORK,
    WALL,
    relay,
    seeded,
    view_of,
)

OWN = (Purpose.CLIENT_RENDEZVOUS, Purpose.SERVICE_INTRODUCTION)
NAMED = (Purpose.CLIENT_INTRODUCTION, Purpose.CLIENT_DIRECTORY, Purpose.SERVICE_DIRECTORY)
LENGTHS = {
    Purpose.CLIENT_RENDEZVOUS: (2, 3),
    Purpose.CLIENT_INTRODUCTION: (2, 4),
    Purpose.CLIENT_DIRECTORY: (4, 4),
    Purpose.SERVICE_INTRODUCTION: (2, 4),
    Purpose.SERVICE_DIRECTORY: (4, 4),
    Purpose.SERVICE_RENDEZVOUS: (2, 4),
}


def relay_id(number: int) -> bytes:
    return number.to_bytes(32, "big")


def candidate(number: int, operator: int, subnet: int, weight: int = 100) -> Candidate:
    marks = {b"relay%d" % number, b"operator%d" % operator, b"subnet%d" % subnet}
    return Candidate(relay_id(number), weight, frozenset(marks), guard=True)


def alone(count: int) -> dict[bytes, Candidate]:
    """Relays that have nothing in common."""
    return {relay_id(n): candidate(n, n, n) for n in range(count)}


@st.composite
def crowds(draw) -> dict[bytes, Candidate]:
    count = draw(st.integers(5, 14))
    kinds = st.integers(0, 9)
    return {
        relay_id(n): candidate(n, draw(kinds), draw(kinds), draw(st.integers(0, 9)))
        for n in range(count)
    }


def guards_of(candidates: dict[bytes, Candidate], seed: object) -> GuardState:
    return refresh(
        GuardState(NETWORK),
        candidates,
        DEVNET.guard_rules,
        members=len(candidates),
        wall=WALL,
        entropy=seeded(("guards", seed)),
    )


def chooser_of(candidates: dict[bytes, Candidate], seed: object = 0) -> PathChooser:
    return PathChooser(PathInputs(candidates, guards_of(candidates, seed)))


def named_for(purpose: Purpose, candidates: dict, entropy) -> list[bytes]:
    ids = sorted(candidates)
    if purpose in OWN:
        return []
    if purpose is Purpose.SERVICE_RENDEZVOUS:
        return [ids[entropy(1)[0] % len(ids)]]
    return [ids[byte % len(ids)] for byte in entropy(4)]


def check(path, purpose, level, named, candidates, guards) -> None:
    level = 2 if "DIRECTORY" in purpose.name else level
    assert len(path) == LENGTHS[purpose][level - 1]
    assert path[0] == guards.guard(level)
    assert all(a != b for a, b in pairwise(path))
    hops = [candidates.get(hop) for hop in path]
    excluded = guards.exclusion()
    if level == 2:
        assert path[1] in guards.vanguard_ids()
        assert not hops[0].conflicts([hops[1]])
    if purpose in OWN:
        assert path[-1] not in excluded
        assert all(not hops[i].conflicts(hops[:i]) for i in range(len(hops)))
    elif purpose in NAMED:
        assert path[-1] in set(named) - excluded
        assert all(not hops[i].conflicts(hops[:i]) for i in range(len(hops) - 1))
        assert len(set(path)) == len(path)
    else:
        assert path[-1] == named[0]
    if len(path) == 4 and purpose is not Purpose.SERVICE_RENDEZVOUS:
        assert path[2] not in excluded


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(crowds(), st.sampled_from(list(Purpose)), st.sampled_from([1, 2]), st.integers())
def test_no_path_breaks_a_rule(candidates, purpose, level, seed):
    entropy = seeded(seed)
    guards = guards_of(candidates, seed)
    named = named_for(purpose, candidates, entropy)
    chooser = PathChooser(PathInputs(candidates, guards))
    try:
        path = chooser.path(purpose, level, entropy, named)
    except NoSafePathError:
        return
    check(path, purpose, level, named, candidates, guards)


@pytest.mark.parametrize("count", [5, 6, 9, 12, 40])
@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("level", [1, 2])
def test_from_five_relays_up_every_path_exists(count, purpose, level):
    candidates = alone(count)
    for seed in range(60):
        entropy = seeded((count, purpose.name, level, seed))
        guards = guards_of(candidates, seed)
        if purpose is Purpose.SERVICE_RENDEZVOUS:
            named = [relay_id(seed % count)]
            if level == 1 and named == [guards.guard(1)]:
                continue
        else:
            ids = sorted(candidates)
            named = [] if purpose in OWN else [ids.pop(b % len(ids)) for b in entropy(3)]
        path = PathChooser(PathInputs(candidates, guards)).path(purpose, level, entropy, named)
        check(path, purpose, level, named, candidates, guards)


@pytest.mark.parametrize("count", [5, 12])
def test_naming_each_relay_as_rendezvous_point_always_works(count):
    """The attack: dial once with every relay, and see which one fails."""
    candidates = alone(count)
    for seed in range(20):
        chooser = chooser_of(candidates, seed)
        for target in candidates:
            path = chooser.path(Purpose.SERVICE_RENDEZVOUS, 2, seeded(target), [target])
            assert path[-1] == target


def test_a_rendezvous_point_of_the_guards_operator_works_too():
    candidates = {relay_id(n): candidate(n, n // 2, n) for n in range(12)}
    guards = guards_of(candidates, 1)
    chooser = PathChooser(PathInputs(candidates, guards))
    for target in candidates:
        assert chooser.path(Purpose.SERVICE_RENDEZVOUS, 2, seeded(target), [target])


def test_an_unknown_rendezvous_point_is_no_question_about_us():
    chooser = chooser_of(alone(9))
    stranger = relay_id(500)
    assert chooser.path(Purpose.SERVICE_RENDEZVOUS, 2, seeded(1), [stranger])[-1] == stranger


def test_the_neighbour_of_a_named_relay_is_anybody():
    """A guard that never stood there would be found by who is missing."""
    candidates = alone(8)
    guards = guards_of(candidates, 3)
    chooser = PathChooser(PathInputs(candidates, guards))
    target = relay_id(0)
    middles = Counter(
        chooser.path(Purpose.SERVICE_RENDEZVOUS, 2, seeded(seed), [target])[2]
        for seed in range(600)
    )
    assert set(middles) == set(candidates) - {target}
    # Vanguards stand there less often: not when they are before it.
    assert min(middles.values()) > 30


def test_alternatives_in_the_exclusion_set_only_fail_by_name():
    candidates = alone(12)
    guards = guards_of(candidates, 1)
    chooser = PathChooser(PathInputs(candidates, guards))
    for purpose in NAMED:
        with pytest.raises(NoSafePathError):
            chooser.path(purpose, 2, seeded(1), sorted(guards.exclusion()))
        with pytest.raises(NoSafePathError):
            chooser.path(purpose, 2, seeded(1), [relay_id(500)])


def test_choices_among_alternatives_are_even():
    candidates = alone(30)
    guards = guards_of(candidates, 1)
    free = sorted(set(candidates) - guards.exclusion())[:3]
    chooser = PathChooser(PathInputs(candidates, guards))
    counts = Counter(
        chooser.path(Purpose.CLIENT_INTRODUCTION, 2, seeded(seed), free)[-1] for seed in range(600)
    )
    assert sum((counts[key] - 200) ** 2 / 200 for key in free) < 18


def test_own_choices_follow_the_weights():
    candidates = alone(12)
    guards = guards_of(candidates, 1)
    heavy = min(set(candidates) - guards.exclusion() - set(guards.vanguard_ids()))
    candidates[heavy] = replace(candidates[heavy], weight=900)
    chooser = PathChooser(PathInputs(candidates, guards))
    hits = sum(
        chooser.path(Purpose.CLIENT_RENDEZVOUS, 2, seeded(seed))[-1] == heavy for seed in range(400)
    )
    # 900 of 1 800: 200 of 400, with a standard deviation of 10.
    assert 150 < hits < 250


def test_a_guard_that_cannot_be_reached_is_passed_over():
    candidates = alone(12)
    guards = guards_of(candidates, 1)
    first, second, _ = (term.relay_id for term in guards.guards)
    down = PathChooser(PathInputs(candidates, guards, frozenset({first})))
    assert down.path(Purpose.CLIENT_RENDEZVOUS, 2, seeded(1))[0] == second
    silent = {key: c for key, c in candidates.items() if key != first}
    hidden = PathChooser(PathInputs(silent, guards))
    assert hidden.path(Purpose.CLIENT_RENDEZVOUS, 2, seeded(1))[0] == second


def test_a_service_goes_back_to_a_point_by_the_rules_of_its_own_choices():
    candidates = alone(9)
    guards = guards_of(candidates, 1)
    chooser = PathChooser(PathInputs(candidates, guards))
    entropy = seeded(3)
    point = chooser.path(Purpose.SERVICE_INTRODUCTION, 2, entropy)[-1]
    paths = {chooser.path(Purpose.SERVICE_INTRODUCTION, 2, entropy, [point]) for _ in range(50)}
    assert len(paths) > 5
    for path in paths:
        assert path[-1] == point
        assert len(set(path)) == 4
    for excluded in guards.exclusion():
        with pytest.raises(NoSafePathError):
            chooser.path(Purpose.SERVICE_INTRODUCTION, 2, entropy, [excluded])


def test_introduction_points_are_of_distinct_operators():
    candidates = {relay_id(n): candidate(n, n // 3, n) for n in range(30)}
    guards = guards_of(candidates, 1)
    chooser = PathChooser(PathInputs(candidates, guards))
    points = chooser.introduction_points(6, seeded(1))
    assert len(points) == 6
    assert not set(points) & guards.exclusion()
    assert len({int.from_bytes(point, "big") // 3 for point in points}) == 6
    few = {relay_id(n): candidate(n, 0, n) for n in range(9)}
    with pytest.raises(NoSafePathError):
        chooser_of(few).introduction_points(3, seeded(1))


def test_a_descriptor_with_one_point_thrice_is_a_question_about_the_guard():
    relays = [relay(n, operator=n // 2) for n in range(8)]
    view = view_of(relays)
    ids = [each.relay_id for each in relays]
    require_distinct_points(view, [ids[0], ids[2], ids[4]])
    for points in ([ids[0]] * 3, [ids[0], ids[1], ids[2]], [ids[0], ids[2], bytes(32)], []):
        with pytest.raises(TooFewPointsError):
            require_distinct_points(view, points)


@pytest.mark.parametrize(
    ("purpose", "level", "named"),
    [
        (Purpose.CLIENT_RENDEZVOUS, 2, [relay_id(1)]),
        (Purpose.CLIENT_INTRODUCTION, 2, []),
        (Purpose.SERVICE_RENDEZVOUS, 2, [relay_id(1), relay_id(2)]),
        (Purpose.SERVICE_INTRODUCTION, 2, [relay_id(1), relay_id(2)]),
        (Purpose.CLIENT_RENDEZVOUS, 3, []),
    ],
)
def test_a_call_that_makes_no_sense_is_our_bug(purpose, level, named):
    with pytest.raises(LocalProtocolError):
        chooser_of(alone(9)).path(purpose, level, seeded(1), named)


def guarded(count: int = 12) -> PathInputs:
    """Relays 0, 1 and 2 are guards, 3 to 6 vanguards, 7 the guard of level 1."""
    terms = [Term(relay_id(n), WALL + 1) for n in range(count)]
    guards = GuardState(
        NETWORK, tuple(terms[:3]), (terms[7],), tuple(terms[3:7]), excluded=(terms[0],)
    )
    return PathInputs(alone(count), guards)


def away_from(*numbers: int) -> frozenset[bytes]:
    return frozenset(map(relay_id, numbers))


@given(seed=st.integers(0, 2**32), away=st.sets(st.integers(3, 11), max_size=4))
def test_a_path_keeps_away_from_relays_that_are_feared(seed, away):
    inputs = keep_away(guarded(), away_from(*away), 2, ())
    try:
        path = PathChooser(inputs).path(Purpose.CLIENT_RENDEZVOUS, 2, seeded(seed))
    except NoSafePathError:
        assert {3, 4, 5, 6} <= away
        return
    assert path[0] == relay_id(0)
    assert away_from(*away).isdisjoint(path)


def test_only_the_first_two_guards_stand_in_for_each_other():
    def guard(away):
        inputs = keep_away(guarded(), away, 2, ())
        return PathChooser(inputs).path(Purpose.CLIENT_RENDEZVOUS, 2, seeded(1))[0]

    assert guard(away_from(0)) == relay_id(1)
    assert guard(away_from(1)) == relay_id(0)
    assert guard(away_from(0, 1)) == relay_id(1)
    assert guard(away_from(0, 1, 2)) == relay_id(1)


def test_guards_of_the_other_level_are_relays_like_any_other():
    """One may be a vanguard at level 2, where it is to be kept away from."""
    live = keep_away(guarded(), away_from(0, 7), 1, ())
    assert PathChooser(live).path(Purpose.CLIENT_RENDEZVOUS, 1, seeded(1))[0] == relay_id(7)
    assert relay_id(7) not in keep_away(guarded(), away_from(0, 7), 2, ()).candidates


def test_a_relay_named_alone_stays_and_its_guard_is_exchanged():
    inputs = keep_away(guarded(), away_from(0, 9), 2, [relay_id(9)])
    path = PathChooser(inputs).path(Purpose.SERVICE_RENDEZVOUS, 2, seeded(1), [relay_id(9)])
    assert path[0] == relay_id(1)
    assert path[-1] == relay_id(9)


def test_whoever_names_relays_for_second_paths_does_not_learn_which_one_is_never_before_them():
    inputs = keep_away(guarded(), away_from(0, 3, 9), 2, [relay_id(9)])
    entropy = seeded(5)
    before = Counter(
        PathChooser(inputs).path(Purpose.SERVICE_RENDEZVOUS, 2, entropy, [relay_id(9)])[2]
        for _ in range(2_000)
    )
    guards, others = [before[relay_id(n)] for n in (0, 1)], [before[relay_id(n)] for n in (8, 10)]
    assert min(guards) > 0.7 * max(others)
