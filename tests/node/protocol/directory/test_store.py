"""A store takes what is its own, newer, signed and in time, and nothing else."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.identity import canonical
from peerstream.identity.blinding import blind_secret
from peerstream.identity.delegation import Delegation, Scope
from peerstream.identity.descriptor.record import (
    EXPIRY_STEP,
    MAGIC,
    DescriptorKey,
    RecordHeader,
    RecordRules,
)
from peerstream.identity.keys import IdentityKey
from peerstream.identity.signer import LocalSigner
from peerstream.node.protocol.directory import store as store_module
from peerstream.node.protocol.directory.commands import Get, Kind, Put
from peerstream.node.protocol.directory.errors import (
    InvalidRecordError,
    NotResponsibleError,
    RecordNotFoundError,
    RecordRefusedError,
    StaleRevisionError,
    StoreFullError,
    TooManyUpdatesError,
)
from peerstream.node.protocol.directory.ring import Ring, RingRules, grant_index, ring_seed
from peerstream.node.protocol.directory.store import DescriptorStore, StoreRules
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.directory.network import NETWORK, WALL, seeded

PERIOD_S = 2_400
PERIOD = WALL // PERIOD_S
US = bytes([1]) * 32
RECORDS = RecordRules(network_id=NETWORK, period_seconds=PERIOD_S, lifetime_seconds=10_800)
SMALL = 4_348
KEYS = st.binary(min_size=32, max_size=32)


def identity(name: object) -> IdentityKey:
    return IdentityKey.from_bytes(hashlib.sha256(repr(name).encode()).digest())


def key_of(name: object = "S", period: int = PERIOD, network: bytes = NETWORK) -> DescriptorKey:
    return DescriptorKey(blind_secret(identity(name), period), network, seeded((name, period)))


def record(
    key: DescriptorKey | None = None,
    *,
    revision: int = WALL,
    life: int = 10_800,
    size: int = 4_096,
    blinded: bytes | None = None,
) -> bytes:
    key = key or key_of()
    header = RecordHeader(
        magic=MAGIC,
        blinded=blinded or key.blinded,
        descriptor_key=key.public,
        certificate=key.certificate,
        period=key.period,
        revision=revision,
        expiry=(WALL + life) // EXPIRY_STEP * EXPIRY_STEP,
        salt=seeded(revision)(32),
        ciphertext_size=size,
    )
    signed = header.encode() + seeded((revision, "text"))(size)
    return signed + key.sign(signed)


def store_of(members: int = 3, budget: int = 1_000_000, updates: int = 20) -> DescriptorStore:
    store = DescriptorStore(US, StoreRules(RECORDS, updates, budget))
    ids = [US, *(bytes([n]) * 32 for n in range(2, members + 1))]
    for period in (PERIOD - 1, PERIOD, PERIOD + 1):
        store.set_ring(Ring(period, ids, ring_seed(NETWORK, period), RingRules(2, 4)))
    return store


def put(store: DescriptorStore, data: bytes, wall: int = WALL):
    return store.put(Put(Kind.RECORD, data), wall)


def get(store: DescriptorStore, key: bytes, wall: int = WALL) -> bytes:
    return store.get(Get(Kind.RECORD, key), wall)


def test_what_was_put_is_there():
    store, data = store_of(), record()
    stored = put(store, data)
    assert stored.key == key_of().blinded
    assert set(stored.replicate_to) == {bytes([2]) * 32, bytes([3]) * 32}
    assert get(store, stored.key) == data
    assert store.size == len(data) == SMALL


def test_the_same_record_again_is_fine_and_goes_nowhere():
    store, data = store_of(), record()
    put(store, data)
    for _ in range(50):
        assert put(store, data).replicate_to == ()


@pytest.mark.parametrize("revision", [WALL - 1, WALL])
def test_a_stale_revision_is_refused(revision):
    store, key = store_of(), key_of()
    put(store, record(key, revision=WALL))
    other = record(key, revision=revision, size=8_192)
    with pytest.raises(StaleRevisionError):
        put(store, other)
    assert len(get(store, key.blinded)) == SMALL


def test_a_newer_revision_replaces():
    store, key = store_of(), key_of()
    put(store, record(key, size=8_192))
    newer = record(key, revision=WALL + 1)
    assert put(store, newer).replicate_to
    assert get(store, key.blinded) == newer
    assert store.size == len(newer)
    assert len(store) == 1


def test_a_squatter_cannot_sign_for_a_blinded_key():
    store, victim, squatter = store_of(), key_of("victim"), key_of("squatter")
    with pytest.raises(InvalidRecordError):
        put(store, record(squatter, blinded=victim.blinded))


def test_squatting_does_not_use_up_the_victims_updates():
    store, victim, squatter = store_of(updates=2), key_of("victim"), key_of("squatter")
    for n in range(9):
        with pytest.raises(InvalidRecordError):
            put(store, record(squatter, blinded=victim.blinded, revision=WALL + n))
    put(store, record(victim))


@pytest.mark.parametrize("period", [PERIOD - 2, PERIOD + 2])
def test_a_record_of_another_period_is_refused(period):
    store = store_of()
    ring = Ring(period, [US], bytes(32), RingRules(2, 4))
    store._rings[period] = ring
    with pytest.raises(InvalidRecordError):
        put(store, record(key_of(period=period)))


def test_the_next_period_can_be_published_ahead():
    assert put(store_of(), record(key_of(period=PERIOD + 1)))


def test_a_record_of_another_network_is_refused():
    with pytest.raises(InvalidRecordError):
        put(store_of(), record(key_of(network=bytes(32))))


def test_a_record_is_for_its_stores():
    store = store_of(members=200)
    answers = []
    for n in range(60):
        key = key_of(n)
        try:
            put(store, record(key))
        except NotResponsibleError:
            answers.append(False)
        else:
            answers.append(True)
        assert answers[-1] == store._rings[PERIOD].is_responsible(US, key.blinded)
    assert answers.count(True) < 10
    with pytest.raises(NotResponsibleError):
        put(DescriptorStore(US, StoreRules(RECORDS, 20, 10**6)), record())


@pytest.mark.parametrize("life", [0, -600, 13_000])
def test_a_record_that_is_over_or_lives_too_long_is_refused(life):
    with pytest.raises(InvalidRecordError):
        put(store_of(), record(life=life))


@pytest.mark.parametrize("change", ["short", "long", "huge", "empty", "flip"])
def test_other_shapes_are_refused(change):
    data = record()
    bad = {
        "short": data[:-1],
        "long": data + b"\0",
        "huge": data + bytes(20_000),
        "empty": b"",
        "flip": data[:300] + bytes([data[300] ^ 1]) + data[301:],
    }[change]
    with pytest.raises(InvalidRecordError):
        put(store_of(), bad)


@settings(max_examples=50)
@given(st.binary(max_size=300), st.sampled_from([Kind.RECORD, Kind.GRANT]))
def test_garbage_is_refused_by_name(data, kind):
    with pytest.raises(RecordRefusedError):
        store_of().put(Put(kind, data), WALL)


def test_updates_are_limited_per_hour():
    store, key = store_of(updates=3), key_of()
    for n in range(3):
        put(store, record(key, revision=WALL + n))
    with pytest.raises(TooManyUpdatesError):
        put(store, record(key, revision=WALL + 9))
    other = key_of("other")
    put(store, record(other))
    hour = WALL + 3_600
    next_period = key_of(period=PERIOD + 1)
    store.set_ring(Ring(PERIOD + 2, [US], bytes(32), RingRules(2, 4)))
    put(store, record(next_period, revision=hour, life=13_200), hour)


def test_what_is_over_is_gone():
    store, data = store_of(), record(life=1_200)
    key = put(store, data).key
    late = WALL + 1_200
    with pytest.raises(RecordNotFoundError):
        get(store, key, late)
    store.expire(late)
    assert (store.size, len(store)) == (0, 0)
    store.expire(late + 3_600)
    assert store._updates == {}


def test_a_full_store_drops_what_ends_first():
    store = store_of(budget=2 * SMALL)
    first = put(store, record(key_of(1), life=3_000)).key
    second = put(store, record(key_of(2), life=6_000)).key
    third = put(store, record(key_of(3), life=9_000)).key
    with pytest.raises(RecordNotFoundError):
        get(store, first)
    assert get(store, second)
    assert get(store, third)
    with pytest.raises(StoreFullError):
        put(store, record(key_of(4), life=3_000))
    assert store.size == 2 * SMALL


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 12)), max_size=25))
def test_the_budget_holds_and_the_size_is_true(steps):
    store = store_of(budget=3 * SMALL)
    for name, revision, life in steps:
        with suppress(RecordRefusedError):
            put(store, record(key_of(name), revision=WALL + revision, life=900 * life))
        assert store.size == sum(len(held.document) for held in store._held.values())
        assert store.size <= 3 * SMALL


def test_answers_carry_the_status():
    store, data = store_of(), record()
    answer, others = store.answer_put(Put(Kind.RECORD, data), WALL)
    assert (answer.status, len(others)) == (Status.OK, 2)
    stale, nobody = store.answer_put(Put(Kind.RECORD, record(revision=WALL - 5)), WALL)
    assert (stale.status, nobody) == (Status.STALE_REVISION, ())
    assert store.answer_get(Get(Kind.RECORD, key_of().blinded), WALL).document == data
    assert store.answer_get(Get(Kind.RECORD, US), WALL).status is Status.NOT_FOUND
    refused, _ = store.answer_put(Put(Kind.DIRECTORY_HASH, bytes(32)), WALL)
    assert refused.status is Status.BAD_RECORD


# Grants

WALLET = LocalSigner(bytes([7]) * 32)


def grant(issued: int = WALL, *, network: bytes = NETWORK, scope: Scope = Scope.ACCEPT) -> bytes:
    delegation = Delegation(
        account=WALLET.address,
        identity_key=identity("P").public,
        issued=issued,
        not_before=issued - 10,
        not_after=issued + 86_400,
        scope=scope,
    )
    return canonical.encode(delegation.sign(WALLET, network).to_fields())


def test_a_grant_is_found_by_the_account_in_this_period_and_the_next():
    store, data = store_of(), grant()
    assert len(store.put(Put(Kind.GRANT, data), WALL).replicate_to) == 2
    for period in (PERIOD, PERIOD + 1):
        key = grant_index(NETWORK, WALLET.address.raw, period)
        assert store.get(Get(Kind.GRANT, key), WALL) == data
    assert store.put(Put(Kind.GRANT, data), WALL).replicate_to == ()


def test_the_latest_grant_wins():
    store = store_of()
    store.put(Put(Kind.GRANT, grant(WALL)), WALL)
    newer = grant(WALL + 5)
    store.put(Put(Kind.GRANT, newer), WALL + 10)
    with pytest.raises(StaleRevisionError):
        store.put(Put(Kind.GRANT, grant(WALL + 1)), WALL + 20)
    key = grant_index(NETWORK, WALLET.address.raw, PERIOD)
    assert store.get(Get(Kind.GRANT, key), WALL) == newer


def test_a_grant_that_proves_nothing_is_refused():
    forged = bytearray(grant())
    forged[-5] ^= 1
    more = {**canonical.decode(grant(), max_size=1_024), 9: b"mark"}
    for bad in (
        bytes(forged),
        grant(network=bytes(32)),
        grant(scope=Scope.DIAL),
        grant(WALL + 9_000),
        canonical.encode(more),
    ):
        with pytest.raises(InvalidRecordError):
            store_of().put(Put(Kind.GRANT, bad), WALL)


def test_another_store_gets_what_it_keeps_too_in_pages(monkeypatch):
    monkeypatch.setattr(store_module, "RECALLED_BYTES", 3 * len(record()))
    store, other, stranger = store_of(members=3), bytes([2]) * 32, bytes([9]) * 32
    documents = {}
    for number in range(7):
        key = key_of(f"S{number}")
        documents[key.blinded] = record(key)
        put(store, documents[key.blinded])
    store.put(Put(Kind.GRANT, grant()), WALL)
    found, after, pages = [], b"", 0
    while after or not pages:
        page, after = store.shared_with(other, after, WALL)
        found += page
        pages += 1
    assert pages == 3
    assert {data for kind, data in found if kind is Kind.RECORD} == set(documents.values())
    assert [kind for kind, _ in found].count(
        Kind.GRANT
    ) == 2  # this period's key and the next one's
    assert store.shared_with(stranger, b"", WALL) == ((), b"")
    assert store.shared_with(US, b"", WALL) == ((), b"")
    assert store.shared_with(other, b"", WALL + 90_000) == ((), b"")


@given(members=st.integers(1, 20), rules=st.tuples(st.integers(1, 3), st.integers(1, 6)), key=KEYS)
def test_companions_have_between_them_all_that_a_store_keeps(members, rules, key):
    ids = [bytes([n]) * 32 for n in range(1, members + 1)]
    ring = Ring(PERIOD, ids, ring_seed(NETWORK, PERIOD), RingRules(*rules))
    for us in ids:
        companions = ring.companions(us)
        assert us not in companions
        if rules[1] == 1:
            assert companions == ()
        for replica in range(rules[0]):
            stores = ring.stores(key, replica)
            if us in stores:
                assert set(stores) - {us} <= set(companions)
    assert ring.companions(bytes(32)) == ()
