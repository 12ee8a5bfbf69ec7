"""Finding a descriptor: which periods are asked, and what an answer of a store is worth."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import errors as identity
from peerstream.identity.blinding import blind_secret
from peerstream.identity.delegation import Scope
from peerstream.identity.descriptor import (
    Audience,
    DescriptorKey,
    IntroductionPoint,
    RecordRules,
    seal_descriptor,
)
from peerstream.node.protocol.directory.errors import (
    MalformedDocumentError,
    TooFewPointsError,
)
from peerstream.node.protocol.directory.lookup import (
    BOUNDARY_S,
    Judge,
    Sought,
    judge_grant,
    periods_to_ask,
)
from tests.node.protocol.directory.network import (
    EPOCH,
    NETWORK,
    WALL,
    full_directory,
    relay,
    seeded,
    view_of,
)
from tests.node.protocol.parties import (
    DAY,
    DIRECTORY,
    OTHER_NETWORK,
    PERIOD,
    RELAYS,
    Party,
    checks,
)

CALLER, CALLEE, THIEF = Party("caller"), Party("callee"), Party("thief")
JUDGE = Judge(RecordRules(network_id=NETWORK), DIRECTORY)
SOUGHT = Sought(CALLEE.account, CALLEE.identity.public)
CLIENT_KEY = b"c" * 32


def judged(document, *, period=PERIOD, highest=0, sought=SOUGHT, judge=JUDGE, **changes):
    return judge.descriptor(
        document, sought, period, checks=checks(**changes), highest_revision=highest
    )


def sealed(contents, *, party=CALLEE, audience=None, period=PERIOD, network_id=NETWORK):
    audience = audience or Audience()
    blinded = blind_secret(party.identity, period, audience.contact_secret)
    return seal_descriptor(
        contents,
        DescriptorKey(blinded, network_id, seeded("dk")),
        revision=WALL - 10,
        expiry=WALL + 3_000,
        audience=audience,
        entropy=seeded("seal"),
    )


def points(*relays, handshake_key=0):
    return tuple(
        IntroductionPoint(each.relay_id, bytes([number]) * 32, handshake_key)
        for number, each in enumerate(relays)
    )


def test_what_holds_names_the_handshake():
    found = judged(CALLEE.descriptor())
    assert found.contents == CALLEE.contents()
    assert (found.blinded, found.period) == (SOUGHT.blinded(PERIOD), PERIOD)
    assert (found.revision, found.expiry) == (WALL - 10, -(-(WALL + 3_000) // 600) * 600)


def test_the_highest_revision_itself_may_be_read_again():
    assert judged(CALLEE.descriptor(), highest=WALL - 10).revision == WALL - 10


# Impostor, replayed, stale, wrong network, revoked, other relay set: `test_refusals.py`.
REFUSED = {
    "it would live for too long": (
        CALLEE.descriptor(expiry=WALL + 4 * 3_600), {}, identity.LifetimeError,
    ),
    "a revision of tomorrow": (
        CALLEE.descriptor(revision=WALL + 3_601), {}, identity.FutureRevisionError,
    ),
    "of neither this period nor a neighbour": (
        CALLEE.descriptor(period=PERIOD - 2), {"period": PERIOD - 2}, identity.WrongPeriodError,
    ),
    "of a neighbouring period, for this one": (
        CALLEE.descriptor(period=PERIOD + 1), {}, identity.OtherIdentityError,
    ),
    "garbage": (b"\xff" * 4_348, {}, identity.EncodingError),
    "nothing": (b"", {}, identity.EncodingError),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_hold_is_refused_by_name(case):
    document, changes, error = REFUSED[case]
    with pytest.raises(error) as refused:
        judged(document, **changes)
    assert type(refused.value) is error


@given(st.integers(0, 8 * 4_348 - 1))
def test_any_flipped_bit_of_a_record_is_refused_by_name(bit):
    document = bytearray(CALLEE.descriptor())
    document[bit // 8] ^= 1 << bit % 8
    with pytest.raises(identity.IdentityError):
        judged(bytes(document))


# What a descriptor may name: with fewer choices than three, whether a caller can use one tells
# which relay its guard is.


TWINS = full_directory([*RELAYS[:8], relay(8, operator=0)])
TWIN_VIEW = {"view_root": TWINS.view(WALL).root}


@pytest.mark.parametrize(
    "named",
    [points(RELAYS[0], RELAYS[1], relay(8, operator=0)), points(*map(relay, (20, 21, 22)))],
    ids=["two of one operator", "of another relay set"],
)
@pytest.mark.parametrize("where", ["introduction_points", "meeting_points"])
def test_fewer_than_three_operators_are_refused(named, where):
    judge = Judge(RecordRules(network_id=NETWORK), TWINS)
    with pytest.raises(TooFewPointsError):
        judged(CALLEE.descriptor(**{where: named}, **TWIN_VIEW), judge=judge)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_meeting_points_are_refused_and_none_is_fine(count):
    assert judged(CALLEE.descriptor(meeting_points=())).contents.meeting_points == ()
    with pytest.raises(TooFewPointsError):
        judged(CALLEE.descriptor(meeting_points=points(*RELAYS[3 : 3 + count])))


@pytest.mark.parametrize("where", ["introduction_points", "meeting_points"])
def test_points_whose_handshake_key_is_over_do_not_count(where):
    (key,) = CALLEE.contents().handshake_keys
    keys = (key, replace(key, expiry=WALL))
    named = (*points(RELAYS[0]), *points(*RELAYS[1:3], handshake_key=1))
    with pytest.raises(TooFewPointsError):
        judged(CALLEE.descriptor(handshake_keys=keys, **{where: named}))


@pytest.mark.parametrize(
    "public",
    [b"\xff" * 1_184 + b"\x09" * 32, None],
    ids=["not reduced", "of low order"],
)
def test_a_handshake_key_that_is_none_is_refused(public):
    (key,) = CALLEE.contents().handshake_keys
    bad = replace(key, public=public or key.public[:-32] + bytes(32))
    with pytest.raises(MalformedDocumentError):
        judged(CALLEE.descriptor(handshake_keys=(bad,)))


def test_the_view_of_a_neighbouring_epoch_is_fine():
    directory = full_directory(RELAYS)
    before = view_of(RELAYS[:8], EPOCH - 1)
    directory.add_view(before)
    document = CALLEE.descriptor(view_epoch=EPOCH - 1, view_root=before.root)
    judge = Judge(RecordRules(network_id=NETWORK), directory)
    assert judged(document, judge=judge).contents.view_root == before.root


# Who may read it


def test_whoever_is_no_contact_is_not_authorised():
    document = sealed(CALLEE.contents(), audience=Audience(client_keys=(CLIENT_KEY,)))
    assert judged(document, sought=replace(SOUGHT, client_key=CLIENT_KEY)).contents.account
    for client_key in (None, b"d" * 32):
        with pytest.raises(identity.NotAuthorisedError):
            judged(document, sought=replace(SOUGHT, client_key=client_key))


def test_without_the_contact_secret_nothing_is_found():
    document = sealed(CALLEE.contents(), audience=Audience(b"s" * 32))
    card = replace(SOUGHT, contact_secret=b"s" * 32)
    assert judged(document, sought=card).contents.account == CALLEE.account
    assert card.blinded(PERIOD) != SOUGHT.blinded(PERIOD)
    with pytest.raises(identity.OtherIdentityError):
        judged(document)


def test_secrets_are_in_no_repr():
    sought = replace(SOUGHT, contact_secret=b"s" * 32, client_key=CLIENT_KEY)
    assert b"s" * 32 not in repr(sought).encode()
    assert "ssss" not in repr(sought)
    assert "cccc" not in repr(sought)


# Grants


def grant(party=CALLEE):
    return party.signed.encode()


def test_a_grant_names_the_identity_key():
    assert judge_grant(grant(), CALLEE.account, checks()) == CALLEE.identity.public


GRANT_REFUSED = {
    "another account's": (grant(THIEF), {}, identity.OtherIdentityError),
    "wrong network": (
        grant(replace(CALLEE, network_id=OTHER_NETWORK)), {}, identity.WrongNetworkError,
    ),
    "revoked": (grant(), {"revoked_before": lambda _: CALLEE.issued}, identity.RevokedError),
    "superseded": (
        grant(), {"newest_issued": lambda _: CALLEE.issued + 1}, identity.SupersededError,
    ),
    "expired": (
        grant(replace(CALLEE, issued=WALL - 9 * DAY, life=8 * DAY)), {}, identity.ExpiredError,
    ),
    "not valid yet": (
        grant(replace(CALLEE, issued=WALL + 30)), {}, identity.NotYetValidError,
    ),
    "only allows to dial": (grant(replace(CALLEE, scope=Scope.DIAL)), {}, identity.ScopeError),
    "by another wallet": (
        replace(THIEF.signed, delegation=THIEF.delegation(CALLEE.account)).encode(), {},
        identity.BadSignatureError,
    ),
    "garbage": (b"\xa1\x01\x41\x00", {}, identity.EncodingError),
}  # fmt: skip


@pytest.mark.parametrize("case", GRANT_REFUSED)
def test_a_grant_that_does_not_hold_is_refused_by_name(case):
    document, changes, error = GRANT_REFUSED[case]
    with pytest.raises(error) as refused:
        judge_grant(document, CALLEE.account, checks(**changes))
    assert type(refused.value) is error


# Periods


@pytest.mark.parametrize("period_s", [86_400, 2_400, 60])
def test_the_neighbour_is_asked_close_to_the_boundary(period_s):
    start = 700 * period_s
    slack = min(BOUNDARY_S, period_s // 4)
    assert periods_to_ask(start, period_s) == (700, 699)
    assert periods_to_ask(start + slack - 1, period_s) == (700, 699)
    assert periods_to_ask(start + slack, period_s) == (700,)
    assert periods_to_ask(start + period_s - slack - 1, period_s) == (700,)
    assert periods_to_ask(start + period_s - slack, period_s) == (700, 701)
    assert periods_to_ask(start + period_s - 1, period_s) == (700, 701)


@given(st.integers(10**9, 2**33), st.sampled_from([60, 2_400, 86_400]))
def test_the_present_period_is_asked_first_and_no_more_than_one_other(wall, period_s):
    first, *others = periods_to_ask(wall, period_s)
    assert first == wall // period_s
    assert [abs(other - first) for other in others] in ([], [1])
    # whose clock is up to 15 minutes (or a quarter) away from ours looks where we look
    slack = min(BOUNDARY_S, period_s // 4)
    for theirs in (wall - slack, wall + slack - 1):
        assert set(periods_to_ask(theirs, period_s)) & {first, *others}
