"""Descriptors: sealed for an audience, opened by it, and every reason to refuse one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import (
    Address,
    Audience,
    DescriptorKey,
    HandshakeKey,
    IdentityKey,
    IntroductionPoint,
    LocalSigner,
    Record,
    RecordRules,
    blind_public,
    blind_secret,
    errors,
    open_descriptor,
    seal_descriptor,
)
from peerstream.identity.descriptor import authorisation
from peerstream.identity.descriptor import contents as contents_module
from peerstream.identity.descriptor.record import HEADER_SIZE, RECORD_MAXIMUM
from peerstream.identity.descriptor.sealing import round_expiry
from tests.identity.samples import (
    DAY,
    IDENTITY,
    NETWORK,
    NOW,
    PERIOD,
    RULES,
    WALLET,
    FixedEntropy,
    checks,
    contents,
    delegation,
    descriptor_key,
    fixed,
    points,
    record,
    verified,
)

CONTACT = fixed("contact")
CLIENTS = [fixed(f"client {n}") for n in range(64)]
RECORD = record()


def opened(data, contact_secret=b"", client_key=None, **changes):
    return open_descriptor(
        verified(data),
        IDENTITY.public,
        WALLET.address,
        contact_secret,
        client_key=client_key,
        checks=checks(**changes),
    )


@pytest.mark.parametrize(
    ("audience", "client_key"),
    [
        (Audience(), None),
        (Audience(CONTACT), None),
        (Audience(CONTACT, CLIENTS[:1]), CLIENTS[0]),
        (Audience(CONTACT, CLIENTS), CLIENTS[63]),
        (Audience(b"", CLIENTS[:17]), CLIENTS[16]),
    ],
)
def test_the_audience_reads_what_was_sealed(audience, client_key):
    assert opened(record(audience), audience.contact_secret, client_key) == contents()


points_strategy = st.lists(
    st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32)),
    min_size=3,
    max_size=10,
    unique_by=lambda pair: pair[0],
)


@given(
    many=points_strategy,
    keys=st.integers(1, 4),
    level=st.integers(1, 2),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    classes=st.sets(st.integers(0, 3), min_size=1),
    epoch=st.integers(0, 2**64 - 1),
)
def test_open_undoes_seal(many, keys, level, flags, classes, epoch):
    made = tuple(IntroductionPoint(r, a, n % keys) for n, (r, a) in enumerate(many))
    given_contents = contents(
        handshake_keys=tuple(HandshakeKey(fixed(f"hk {n}", 1_216), NOW + n) for n in range(keys)),
        introduction_points=made,
        meeting_points=made[:2],
        minimum_level=level,
        accepts_early=flags[0],
        accepts_anonymous=flags[1],
        authorisation_required=flags[2],
        cell_classes=tuple(sorted(classes)),
        view_epoch=epoch,
    )
    assert opened(record(contents=given_contents)) == given_contents


def test_listed_and_card_records_look_alike():
    listed, card = record(), record(Audience(CONTACT))
    assert len(listed) == len(card) == 4_348
    assert listed[4:36] != card[4:36]
    assert verified(card).header.period == verified(listed).header.period


def test_the_three_sizes():
    big = contents(handshake_keys=(HandshakeKey(fixed("hk", 1_216), NOW),) * 4)
    sizes = {
        len(record()),
        len(record(contents=big)),
        len(record(Audience(CONTACT, CLIENTS), contents=big)),
    }
    assert sizes == {4_348, 8_444, 12_540}
    assert max(sizes) == RECORD_MAXIMUM


# What a store or a client refuses.


def test_a_flipped_bit_anywhere_is_refused():
    for position in [*range(HEADER_SIZE), *range(HEADER_SIZE, len(RECORD), 97), len(RECORD) - 1]:
        broken = bytearray(RECORD)
        broken[position] ^= 1 << position % 8
        with pytest.raises(errors.IdentityError):
            verified(bytes(broken))


@given(st.integers(0, len(RECORD) * 8 - 1))
def test_any_flipped_bit_is_refused(bit):
    broken = (int.from_bytes(RECORD) ^ 1 << bit).to_bytes(len(RECORD))
    with pytest.raises(errors.IdentityError):
        verified(broken)


@given(st.binary(max_size=600) | st.binary(max_size=200).map(lambda b: b"PSD1" + b))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(errors.EncodingError):
        Record.parse(data)


@given(st.binary(min_size=180, max_size=180), st.integers(0, 2))
def test_arbitrary_headers_raise_named_errors(header, size_class):
    size = (4_096, 8_192, 12_288)[size_class]
    data = b"PSD1" + header + size.to_bytes(4) + bytes(size + 64)
    with pytest.raises(errors.IdentityError):
        Record.parse(data).verify(now=NOW, rules=RULES)


@pytest.mark.parametrize("cut", [0, 1, 100, HEADER_SIZE, len(RECORD) - 1])
def test_cut_and_longer_records_are_refused(cut):
    for data in (RECORD[:cut], RECORD + bytes(cut + 1)):
        with pytest.raises(errors.EncodingError):
            Record.parse(data)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"rules": RecordRules(network_id=fixed("other"))}, errors.BadSignatureError),
        ({"highest_revision": NOW + 1}, errors.StaleRevisionError),
        ({"now": NOW + 3_600}, errors.ExpiredError),
        ({"now": NOW - 2 * DAY}, errors.WrongPeriodError),
        ({"now": NOW + 2 * DAY}, errors.WrongPeriodError),
        ({"now": NOW - 3_601}, errors.FutureRevisionError),
        ({"now": NOW - 10_000}, errors.LifetimeError),
        ({"blinded": fixed("other")}, errors.OtherIdentityError),
    ],
)
def test_each_breach_has_its_name(changes, error):
    with pytest.raises(error):
        verified(RECORD, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"highest_revision": NOW},
        {"now": NOW + 3_599},
        {"now": NOW - 3_600},
        {"blinded": blind_public(IDENTITY.public, PERIOD)},
        {"rules": RecordRules(network_id=NETWORK, period_seconds=DAY, lifetime_seconds=3_000)},
    ],
)
def test_the_last_value_inside_each_bound_passes(changes):
    assert len(verified(RECORD, **changes).digest) == 32


@pytest.mark.parametrize("period", [PERIOD - 1, PERIOD, PERIOD + 1])
def test_neighbour_periods_are_kept(period):
    verified(record(period=period))


@pytest.mark.parametrize("period", [PERIOD - 2, PERIOD + 2])
def test_other_periods_are_not(period):
    with pytest.raises(errors.WrongPeriodError):
        verified(record(period=period))


def test_a_descriptor_key_serves_its_own_period_and_identity_only():
    other = IdentityKey.from_bytes(fixed("other identity"))
    theirs = DescriptorKey(blind_secret(other, PERIOD), NETWORK, FixedEntropy())
    elsewhere = DescriptorKey(blind_secret(IDENTITY, PERIOD), fixed("other"), FixedEntropy())
    times, entropy = {"revision": NOW, "expiry": NOW}, FixedEntropy()
    for key in (theirs, elsewhere, descriptor_key(CONTACT)):
        with pytest.raises(errors.OtherIdentityError):
            seal_descriptor(contents(), key, audience=Audience(), entropy=entropy, **times)


def test_a_certificate_moved_to_another_period_is_refused():
    moved = bytearray(RECORD)
    moved[132:140] = (PERIOD + 1).to_bytes(8)
    with pytest.raises(errors.BadSignatureError):
        verified(bytes(moved))


# What only the reader sees.


def test_another_account_s_reader_is_told_so():
    for identity, account, secret in (
        (IdentityKey.from_bytes(fixed("x")).public, WALLET.address, b""),
        (IDENTITY.public, WALLET.address, CONTACT),
        (IDENTITY.public, Address(bytes(20)), b""),
    ):
        with pytest.raises(errors.OtherIdentityError):
            open_descriptor(verified(RECORD), identity, account, secret, checks=checks())


def test_an_identity_key_cannot_claim_an_account_that_did_not_delegate_to_it():
    """The thief has an identity key and his own wallet's word, not the victim's."""
    victim = LocalSigner(fixed("victim")).address
    forged = replace(delegation().sign(WALLET, NETWORK), delegation=delegation(account=victim))
    data = record(contents=contents(delegation=forged))
    with pytest.raises(errors.BadSignatureError):
        open_descriptor(verified(data), IDENTITY.public, victim, b"", checks=checks())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"network_id": fixed("other")}, errors.WrongNetworkError),
        ({"now": NOW + 61 * DAY}, errors.ExpiredError),
        ({"revoked_before": lambda _account: NOW}, errors.RevokedError),
        ({"newest_issued": lambda _account: NOW + 1}, errors.SupersededError),
    ],
)
def test_the_delegation_inside_is_checked(changes, error):
    with pytest.raises(error):
        opened(RECORD, **changes)


def test_strangers_and_removed_contacts_read_nothing():
    data = record(Audience(CONTACT, CLIENTS[:5]))
    for client_key in (None, CLIENTS[5], fixed("stranger")):
        with pytest.raises(errors.NotAuthorisedError):
            opened(data, CONTACT, client_key)


def test_a_repeated_revision_with_other_contents_uses_another_key():
    """A restored backup may publish the same revision twice; no two records share a keystream."""
    one = record(entropy=FixedEntropy("one"))
    two = record(entropy=FixedEntropy("two"), contents=contents(introduction_points=points(3, "b")))
    pairs = zip(one[HEADER_SIZE:-64], two[HEADER_SIZE:-64], strict=True)
    difference = bytes(a ^ b for a, b in pairs)
    assert difference.count(0) < 64
    assert opened(one) != opened(two)


def test_one_contact_s_entries_are_not_recognised_from_record_to_record():
    def entry_ids(seed):
        entries, _ = authorisation.seal_for(CLIENTS[:16], b"body", fixed(seed), FixedEntropy(seed))
        return {entries[n : n + 8] for n in range(0, len(entries), 56)}

    assert not entry_ids("one") & entry_ids("two")


@pytest.mark.parametrize("count", [1, 15, 16, 17, 64])
def test_the_number_of_contacts_shows_only_in_steps(count):
    entries, _ = authorisation.seal_for(CLIENTS[:count], b"", fixed("salt"), FixedEntropy())
    assert len(entries) == 56 * (-(-count // 16) * 16)
    assert entries == b"".join(sorted(entries[n : n + 56] for n in range(0, len(entries), 56)))


@pytest.mark.parametrize(
    "client_keys", [[*CLIENTS, fixed("65th")], [CLIENTS[0], CLIENTS[0]], [b"short"], []]
)
def test_other_lists_of_clients_are_refused(client_keys):
    with pytest.raises(errors.EncodingError):
        authorisation.seal_for(client_keys, b"", fixed("salt"), FixedEntropy())


@given(st.binary(max_size=56 * 17), st.binary(max_size=100))
def test_arbitrary_authorisation_sections_raise_named_errors(entries, sealed):
    with pytest.raises((errors.EncodingError, errors.NotAuthorisedError)):
        authorisation.open_with(CLIENTS[0], entries, sealed, fixed("salt"))


def test_an_entry_with_our_id_and_another_key_opens_nothing():
    salt = fixed("salt")
    entries, sealed = authorisation.seal_for(CLIENTS[:1], b"body", salt, FixedEntropy())
    for start in range(0, len(entries), 56):
        broken = bytearray(entries)
        broken[start + 20] ^= 1
        entries = bytes(broken)
    with pytest.raises(errors.NotAuthorisedError):
        authorisation.open_with(CLIENTS[0], entries, sealed, salt)


# Contents that break the rules.


@pytest.mark.parametrize(
    "changes",
    [
        {"introduction_points": points(2)},
        {"introduction_points": points(11)},
        {"introduction_points": points(3)[:2] + points(1)},
        {"meeting_points": points(1) * 2},
        {"introduction_points": (*points(2), IntroductionPoint(fixed("r"), fixed("a"), 1))},
        {"introduction_points": (*points(2), IntroductionPoint(fixed("r"), fixed("a"), -1))},
        {"introduction_points": (*points(2), IntroductionPoint(b"short", fixed("a"), 0))},
        {"introduction_points": (*points(2), IntroductionPoint(fixed("r"), b"short", 0))},
        {"handshake_keys": ()},
        {"handshake_keys": (HandshakeKey(fixed("hk", 1_216), NOW),) * 5},
        {"handshake_keys": (HandshakeKey(fixed("hk", 1_215), NOW),)},
        {"handshake_keys": (HandshakeKey(fixed("hk", 1_216), -1),)},
        {"minimum_level": 0},
        {"minimum_level": 3},
        {"cell_classes": ()},
        {"cell_classes": (2, 1)},
        {"cell_classes": (1, 1)},
        {"cell_classes": (4,)},
        {"view_epoch": -1},
        {"view_root": bytes(31)},
    ],
)
def test_contents_outside_the_limits_are_refused(changes):
    with pytest.raises(errors.EncodingError):
        contents(**changes)


def test_a_handshake_key_has_an_end():
    made = contents()
    point = made.introduction_points[0]
    assert made.usable_handshake_key(point, NOW).expiry == NOW + 3_600
    with pytest.raises(errors.ExpiredError):
        made.usable_handshake_key(point, NOW + 3_600)


@given(
    key=st.integers(1, 6),
    value=st.recursive(
        st.integers(0, 2**64 - 1) | st.binary(max_size=40) | st.booleans(),
        lambda inner: st.lists(inner, max_size=4),
        max_leaves=8,
    ),
)
def test_arbitrary_body_fields_are_refused_by_name(key, value):
    body = contents().body_fields() | {key: value}
    fields = contents_module.Fields(body, contents_module.BODY_KNOWN)
    try:
        read = contents_module.DescriptorContents.from_fields(contents().delegation, fields)
    except errors.EncodingError:
        return
    assert key == 4 or read.body_fields() == body  # unknown flag bits are dropped


@pytest.mark.parametrize(("time", "rounded"), [(NOW, NOW), (NOW + 1, NOW + 600), (NOW - 1, NOW)])
def test_expiry_is_rounded_up(time, rounded):
    assert round_expiry(time) == rounded


def test_keys_and_audiences_show_no_secret():
    shown = repr(Audience(CONTACT, CLIENTS[:2])) + repr(descriptor_key())
    assert "contact_secret" not in shown
    assert shown.endswith(f"<descriptor key of period {PERIOD}>")


def test_the_largest_contents_fit_the_largest_record():
    wallet_signature = bytes(2_048)
    huge = contents(
        delegation=replace(contents().delegation, signature=wallet_signature),
        handshake_keys=(HandshakeKey(fixed("hk", 1_216), NOW),) * 4,
        introduction_points=points(10),
        meeting_points=points(10, "m"),
    )
    assert len(record(Audience(CONTACT, CLIENTS), contents=huge)) == RECORD_MAXIMUM


@pytest.mark.parametrize("changes", [{"revision": -1}, {"revision": 2**64}, {"expiry": 2**32}])
def test_times_that_no_record_can_hold_are_refused_by_name(changes):
    with pytest.raises(errors.EncodingError):
        record(**changes)
