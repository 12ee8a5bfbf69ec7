"""Weights, the ring, guards: the same for everybody, or secret and lasting."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.directory import dir_hash
from peerstream.node.protocol.directory.errors import (
    MalformedDocumentError,
    NoSafePathError,
    ViewMismatchError,
)
from peerstream.node.protocol.directory.guards import (
    Candidate,
    GuardState,
    exclusion_size,
    extend_guards,
    extend_vanguards,
    refresh,
)
from peerstream.node.protocol.directory.merkle import merkle_root
from peerstream.node.protocol.directory.ring import Ring, RingRules, grant_index, ring_seed
from peerstream.node.protocol.directory.weights import (
    WeightRules,
    capped_weights,
    choose_weighted,
    draw_below,
    guard_eligible,
    iterate_weighted,
    shuffled,
    view_weights,
)
from peerstream.node.protocol.errors import LocalProtocolError
from tests.node.protocol.directory.network import (
    DEVNET,
    EPOCH,
    NETWORK,
    WALL,
    relay,
    seeded,
    view_of,
)

NO_RULES = WeightRules(cap_rule=False, minimum_guard_age=0)
CAP = WeightRules(cap_rule=True, minimum_guard_age=0)


def chi_square(counts: Counter, expected: dict) -> float:
    return sum((counts[key] - mean) ** 2 / mean for key, mean in expected.items())


# Weights


def test_choices_follow_the_weights():
    weights = {"a": 1, "b": 2, "c": 7, "never": 0}
    entropy = seeded("weights")
    counts = Counter(
        choose_weighted(list(weights), list(weights.values()), entropy) for _ in range(10_000)
    )
    # 2 degrees of freedom: above 18 once in ten thousand seeds.
    assert chi_square(counts, {"a": 1_000, "b": 2_000, "c": 7_000}) < 18
    assert counts["never"] == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 255, 256, 257, 2**70])
def test_a_draw_is_below_its_limit(limit):
    entropy = seeded(limit)
    assert all(0 <= draw_below(limit, entropy) < limit for _ in range(200))


def test_small_numbers_are_not_likelier():
    entropy = seeded("uniform")
    counts = Counter(draw_below(5, entropy) for _ in range(10_000))
    assert chi_square(counts, dict.fromkeys(range(5), 2_000)) < 24


def test_there_is_nothing_to_draw_from_nothing():
    with pytest.raises(LocalProtocolError):
        draw_below(0, seeded(1))
    assert list(iterate_weighted(["a"], [0], seeded(1))) == []


@given(st.lists(st.integers(0, 9), max_size=8), st.integers())
def test_an_order_has_everybody_of_weight_once(weights, seed):
    items = list(range(len(weights)))
    order = list(iterate_weighted(items, weights, seeded(seed)))
    assert sorted(order) == [i for i in items if weights[i]]
    assert sorted(shuffled(items, seeded(seed))) == items


def test_no_operator_weighs_more_than_the_cap():
    relays = [relay(0, operator=99, weight=10**20), relay(1, operator=99, weight=10**20)]
    relays += [relay(n, weight=1) for n in range(2, 12)]
    weights = capped_weights((r.entry for r in relays), CAP)
    total = sum(r.entry.weight for r in relays)
    theirs = weights[relays[0].relay_id] + weights[relays[1].relay_id]
    assert theirs * 11 <= 2 * total * 65_536
    assert weights[relays[2].relay_id] == 65_536
    free = capped_weights((r.entry for r in relays), NO_RULES)
    assert free[relays[0].relay_id] == 10**20 * 65_536


def test_a_relay_can_lower_its_own_weight_only():
    relays = [relay(n, weight=1) for n in range(3)]
    classes = {each.relay_id: n for n, each in enumerate(relays)}
    weights = view_weights(view_of(relays), classes, CAP)
    assert [weights[r.relay_id] for r in relays] == [65_536, 32_768, 16_384]


def test_guards_are_old_or_the_oldest_half():
    ages = WeightRules(cap_rule=True, minimum_guard_age=10)
    old = [relay(n, from_epoch=EPOCH - 10) for n in range(20)]
    young = [relay(n, from_epoch=EPOCH - 9) for n in range(20, 30)]
    assert guard_eligible(view_of(old + young), ages) == {r.relay_id for r in old}
    few = guard_eligible(view_of(old[:3] + young), ages)
    assert few == {r.relay_id for r in old[:3] + young}
    mixed = [relay(n, from_epoch=EPOCH - n) for n in range(9)]
    assert guard_eligible(view_of(mixed), ages) == {r.relay_id for r in mixed[4:]}


# The ring


def ring_of(count: int, seed: bytes = bytes(32)) -> Ring:
    ids = [n.to_bytes(32, "big") for n in range(count)]
    return Ring(7, ids, seed, RingRules(2, 4))


def test_records_spread_over_the_ring():
    ring = ring_of(12)
    loads = Counter(
        store for key in range(1_500) for store in ring.responsible(ring_seed(NETWORK, key))
    )
    # Places on a ring are uneven: nobody is idle, nobody carries thrice the mean.
    mean = sum(loads.values()) / 12
    assert len(loads) == 12
    assert max(loads.values()) < 3 * mean
    assert min(loads.values()) > mean / 6


@given(st.integers(0, 12), st.binary(min_size=32, max_size=32))
def test_every_record_has_its_stores(count, key):
    ring = ring_of(count)
    stores = ring.responsible(key)
    assert len(set(stores)) == len(stores) <= min(12, count)
    assert len(stores) >= min(6, count)
    assert len(ring.stores(key, 0)) == min(6, count)
    assert all(ring.is_responsible(store, key) for store in stores)


@pytest.mark.parametrize(("relays", "stores"), [(1, 1), (5, 5), (99, 6), (100, 4), (2_000, 4)])
def test_a_small_ring_has_more_stores(relays, stores):
    assert len(ring_of(relays).stores(bytes(32), 0)) == stores


def test_a_ring_does_not_depend_on_the_order_of_its_members():
    ids = [n.to_bytes(32, "big") for n in range(9)]
    key, rules = bytes([5]) * 32, RingRules(2, 4)
    one, other = (Ring(7, order, bytes(32), rules) for order in (ids, [*ids[::-1], ids[0]]))
    assert one.responsible(key) == other.responsible(key)


def test_period_seed_and_network_move_everything():
    key = bytes([5]) * 32
    seeds = {
        ring_seed(NETWORK, 7),
        ring_seed(NETWORK, 8),
        ring_seed(bytes(32), 7),
        ring_seed(NETWORK, 7, bytes(32)),
    }
    assert len(seeds) == 4
    assert len({ring_of(50, seed).responsible(key) for seed in seeds}) == 4
    assert grant_index(NETWORK, bytes(20), 7) != grant_index(NETWORK, bytes(20), 8)


def test_a_new_member_takes_little():
    before, after = ring_of(50), ring_of(51)
    keys = [ring_seed(NETWORK, n) for n in range(200)]
    kept = sum(len({*before.responsible(k)} & {*after.responsible(k)}) for k in keys)
    assert kept > 0.9 * sum(len(before.responsible(k)) for k in keys)


# The directory hash


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32)))
def test_the_directory_hash_is_over_all_pairs(hashes):
    root = dir_hash.directory_hash(EPOCH, hashes)
    assert root == dir_hash.directory_hash(EPOCH, dict(reversed(hashes.items())))
    for relay_id in hashes:
        assert root != dir_hash.directory_hash(EPOCH, {**hashes, relay_id: bytes([1]) * 32})
        assert len(dir_hash.directory_proof(EPOCH, hashes, relay_id)) == 12
    if hashes:
        assert root != dir_hash.directory_hash(EPOCH + 1, hashes)
    else:
        assert root == merkle_root({})


def test_a_majority_of_three_is_needed():
    own, lie = bytes(32), bytes([1]) * 32
    dir_hash.require_majority(own, [own, own, lie])
    for answers in ([own, own], [own, lie, lie], [own, own, lie, lie]):
        with pytest.raises(ViewMismatchError):
            dir_hash.require_majority(own, answers)


def test_a_key_that_only_we_are_shown_is_disputed():
    shown, real = bytes([1]) * 32, bytes([2]) * 32
    own = {b"a" * 32: shown, b"b" * 32: real}
    others = [{b"a" * 32: real, b"b" * 32: real}, {b"a" * 32: real}, {}]
    assert dir_hash.disputed(own, others) == {b"a" * 32}


def test_pages_cover_the_directory():
    hashes = {n.to_bytes(32, "big"): bytes([n % 256]) * 32 for n in range(300)}
    pages = [dir_hash.directory_page(hashes, page) for page in range(4)]
    assert [len(page) for page in pages] == [8_192, 8_192, 44 * 64, 0]
    found = {k: v for page in pages for k, v in dir_hash.read_directory_page(page).items()}
    assert found == hashes
    for bad in (bytes(63), bytes(128), bytes(64 * 129)):
        with pytest.raises(MalformedDocumentError):
            dir_hash.read_directory_page(bad)


# Guards


def candidates_of(count: int, **changes: object) -> dict[bytes, Candidate]:
    ids = [n.to_bytes(32, "big") for n in range(count)]
    base = Candidate(b"", 100, frozenset(), guard=True)
    return {i: replace(base, relay_id=i, marks=frozenset({b"relay" + i}), **changes) for i in ids}


def fresh(candidates: dict[bytes, Candidate], seed: object = 1, wall: int = WALL) -> GuardState:
    state = GuardState(NETWORK)
    return again(state, candidates, seed, wall)


def again(state, candidates, seed: object = 2, wall: int = WALL) -> GuardState:
    return refresh(
        state,
        candidates,
        DEVNET.guard_rules,
        members=len(candidates),
        wall=wall,
        entropy=seeded(seed),
    )


@settings(max_examples=30)
@given(st.integers(5, 40), st.integers())
def test_every_place_is_filled(count, seed):
    state = fresh(candidates_of(count), seed)
    assert len(state.guards) == 3
    assert len(state.live_guards) == 2
    assert len(state.vanguards) == 4
    assert len(state.excluded) == exclusion_size(count)
    assert {state.guard(1), state.guard(2)} <= state.exclusion()
    assert state.guard(2) not in state.vanguard_ids()
    assert state.guard(1) != state.guard(2)
    assert GuardState.decode(state.encode()) == state


def test_guards_stay():
    candidates = candidates_of(30)
    state = fresh(candidates)
    assert again(state, candidates, seed="other") == state
    silent = {k: replace(c, weight=0, guard=False) for k, c in candidates.items()}
    assert again(state, silent, seed="other") == state
    low, high = DEVNET.guard_life_s
    assert all(low <= term.expiry - WALL <= high for term in state.guards)
    assert again(state, candidates, wall=WALL + high + 1).guards != state.guards


def test_a_guard_that_left_the_network_is_replaced():
    candidates = candidates_of(30)
    state = fresh(candidates)
    gone = state.guard(2)
    left = {k: c for k, c in candidates.items() if k != gone}
    after = again(state, left)
    assert after.guard(2) == state.guards[1].relay_id
    assert len(after.guards) == 3
    assert gone not in after.exclusion()


def test_only_guards_of_age_are_drawn():
    candidates = candidates_of(30)
    aged = set(list(candidates)[:6])
    candidates = {k: replace(c, guard=k in aged) for k, c in candidates.items()}
    for seed in range(20):
        state = fresh(candidates, seed)
        assert {t.relay_id for t in (*state.guards, *state.live_guards)} <= aged


def test_a_backup_is_used_when_the_first_cannot_be_reached():
    state = fresh(candidates_of(30))
    first, second, third = (term.relay_id for term in state.guards)
    assert state.guard(2, frozenset({first})) == second
    assert second in state.in_use(second).exclusion()
    assert state.in_use(first) == state
    with pytest.raises(NoSafePathError):
        state.guard(2, frozenset({first, second, third}))
    with pytest.raises(NoSafePathError):
        state.in_use(bytes([255]) * 32)


@pytest.mark.parametrize(("level", "count"), [(2, 3), (1, 2)])
def test_so_many_guards_more_and_no_further(level, count):
    candidates, rules = candidates_of(30), DEVNET.guard_rules
    state = before = fresh(candidates)
    for number in range(10):
        draw = seeded(number)
        state = extend_guards(state, level, candidates, rules, wall=WALL, entropy=draw)
    terms, old = (state.live_guards if level == 1 else state.guards), before.ids(level)
    assert len(terms) == len(state.ids(level)) == count + 3
    assert {term.relay_id for term in terms[:count]} == old
    assert state.guard(level) == before.guard(level)
    assert again(state, candidates, seed="later") == state
    assert GuardState.decode(state.encode()) == state


def test_so_many_vanguards_more_and_none_that_is_said_to_be_dead():
    candidates, rules = candidates_of(30), DEVNET.guard_rules
    state = before = fresh(candidates)
    dead = {*list(candidates)[:8], *before.vanguard_ids()}
    alive = {key: each for key, each in candidates.items() if key not in dead}
    for number in range(10):
        state = extend_vanguards(state, alive, rules, wall=WALL, entropy=seeded(number))
    assert state.vanguard_ids()[:4] == before.vanguard_ids()
    assert len(state.vanguard_ids()) == 7
    assert dead.isdisjoint(state.vanguard_ids()[4:])
    assert state.guard(2) not in state.vanguard_ids()
    assert again(state, candidates, seed="later") == state


def test_guards_are_drawn_by_weight():
    heavy = bytes(32)
    candidates = candidates_of(10)
    candidates[heavy] = replace(candidates[heavy], weight=900)
    first = Counter(fresh(candidates, seed).guard(2) == heavy for seed in range(300))
    # Half of the weight: 150 of 300, with a standard deviation of 9.
    assert 105 < first[True] < 195


@pytest.mark.parametrize(("members", "size"), [(5, 2), (24, 2), (36, 3), (96, 8), (10_000, 8)])
def test_the_exclusion_set_is_one_in_twelve(members, size):
    assert exclusion_size(members) == size


def test_a_damaged_state_is_malformed():
    twice = GuardState(NETWORK, guards=(fresh(candidates_of(9)).guards[0],) * 2)
    with pytest.raises(MalformedDocumentError):
        GuardState.decode(twice.encode())
