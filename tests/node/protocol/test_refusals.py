"""Whoever is not who, what, where or when it must be is refused by name, in both directions."""

from dataclasses import replace

import pytest

from peerstream.identity import errors as identity
from peerstream.identity.delegation import Scope
from peerstream.node.protocol.directory.errors import TooFewPointsError, ViewMismatchError
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.rendezvous.call import agreed_level
from peerstream.node.protocol.rendezvous.errors import LevelUnavailableError, NoAnswerError
from peerstream.node.protocol.session import errors as session
from peerstream.node.protocol.session.caller import CallerIdentity
from peerstream.node.protocol.session.paths import PathTable, Role
from peerstream.node.protocol.session.schedule import session_secrets
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.directory.network import EPOCH, WALL
from tests.node.protocol.parties import DAY, OTHER_NETWORK, Party

CALLER, CALLEE, THIEF = Party("caller"), Party("callee"), Party("thief")
GOOD = CALLEE.descriptor()
FOUND = CALLER.judges(GOOD, CALLEE)
MESSAGE = CALLER.calls(FOUND)[1]


def with_points(party, **changes):
    return party.contents(introduction_points=CALLEE.contents().introduction_points, **changes)


def strange_points():
    points = CALLEE.contents().introduction_points
    return tuple(replace(p, relay_id=bytes([n]) * 32) for n, p in enumerate(points))


def test_the_honest_pair_meets():
    call, message = CALLER.calls(FOUND, identity=CALLER.named())
    invitation = CALLEE.receives(message, anonymous=False)
    assert invitation.refusal is None
    assert invitation.call.caller.account == CALLER.account
    assert call.joined(invitation.message2).secrets.chains == invitation.call.secrets.chains


# The caller refuses the callee.

CALLEE_IS_WRONG = {
    "impostor with its own wallet and keys": (THIEF.descriptor(), {}, identity.OtherIdentityError),
    "replayed: an older revision": (
        CALLEE.descriptor(revision=WALL - 500), {"highest": WALL - 10}, identity.StaleRevisionError,
    ),
    "replayed: of the period before": (
        CALLEE.descriptor(period=WALL // DAY - 1), {}, identity.OtherIdentityError,
    ),
    "stale": (CALLEE.descriptor(expiry=WALL - 700), {}, identity.ExpiredError),
    "wrong network": (
        replace(CALLEE, network_id=OTHER_NETWORK).descriptor(), {}, identity.BadSignatureError,
    ),
    "revoked": (GOOD, {"revoked_before": lambda _: CALLEE.issued}, identity.RevokedError),
    "delegation expired": (
        replace(CALLEE, issued=WALL - 9 * DAY, life=8 * DAY).descriptor(), {},
        identity.ExpiredError,
    ),
    "delegation not valid yet": (
        replace(CALLEE, issued=WALL + 30).descriptor(), {}, identity.NotYetValidError,
    ),
    "delegation superseded": (
        GOOD, {"newest_issued": lambda _: CALLEE.issued + 1}, identity.SupersededError,
    ),
    "delegation without the scope to accept": (
        replace(CALLEE, scope=Scope.DIAL).descriptor(), {}, identity.ScopeError,
    ),
    "another root of the same epoch": (
        CALLEE.descriptor(view_root=bytes(32)), {}, ViewMismatchError,
    ),
    "an epoch that is not near": (CALLEE.descriptor(view_epoch=EPOCH + 9), {}, ViewMismatchError),
    "relays of another set": (
        CALLEE.descriptor(introduction_points=strange_points()), {}, TooFewPointsError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLEE_IS_WRONG)
def test_the_caller_refuses_the_callee_by_name(case):
    document, changes, error = CALLEE_IS_WRONG[case]
    with pytest.raises(error) as refused:
        CALLER.judges(document, CALLEE, **changes)
    assert type(refused.value) is error


def test_an_identity_key_cannot_speak_for_an_account_that_did_not_delegate_to_it():
    forged = replace(THIEF.signed, delegation=THIEF.delegation(CALLEE.account))
    sought = replace(CALLEE)
    sought.identity = THIEF.identity
    with pytest.raises(identity.BadSignatureError):
        CALLER.judges(THIEF.descriptor(delegation=forged), sought)


def test_whoever_holds_another_handshake_key_cannot_answer():
    call, message = CALLER.calls(FOUND)
    impostor = replace(CALLEE)
    impostor.handshake = KemPrivateKey.from_seed(bytes(32))
    with pytest.raises(session.UnknownHandshakeKeyError):
        impostor.receives(message)
    _, another = THIEF.calls(FOUND)
    with pytest.raises(session.BadMessageError):
        call.joined(CALLEE.receives(another).message2)


def test_a_handshake_key_that_is_over_is_not_called():
    (key,) = CALLEE.contents().handshake_keys
    over = CALLEE.contents(handshake_keys=(replace(key, expiry=WALL),))
    with pytest.raises(identity.ExpiredError):
        over.usable_handshake_key(over.introduction_points[0], WALL)
    with pytest.raises(NoAnswerError):
        _ = CALLER.call(replace(FOUND, contents=over)).points


def test_a_callee_cannot_lower_the_level_of_its_caller():
    assert agreed_level(2, CALLEE.contents(minimum_level=1)) == 2
    assert agreed_level(1, CALLEE.contents(minimum_level=2)) == 2
    with pytest.raises(LevelUnavailableError):  # no points for level 1 in the descriptor
        CALLER.call(FOUND, level=1)
    table = PathTable(Role.CALLER, session_secrets(bytes(32), bytes(32), None), 2)
    with pytest.raises(LocalProtocolError):
        table.add(0, None, 1, 0.0)


# The callee refuses the caller: in silence what does not open, by message 2 what does.


def met_with_silence(message, error, callee=CALLEE, **changes):
    with pytest.raises(error) as refused:
        callee.receives(message, **changes)
    assert type(refused.value) is error


def test_a_replayed_introduction_is_met_with_silence():
    reception = CALLEE.reception(ReplayFilter())
    CALLEE.receives(MESSAGE, reception=reception)
    met_with_silence(MESSAGE, session.ReplayedMessageError, reception=reception)
    met_with_silence(MESSAGE, session.UnknownHandshakeKeyError, auth=1)


@pytest.mark.parametrize("shift", [-2, 2])
def test_an_introduction_of_another_time_is_met_with_silence(shift):
    _, message = CALLER.calls(FOUND, bucket=WALL // 600 + shift)
    met_with_silence(message, session.WrongBucketError)


def test_an_introduction_by_a_stale_descriptor_is_met_with_silence():
    renewed = replace(CALLEE)
    renewed.handshake = KemPrivateKey.from_seed(b"n" * 32)
    met_with_silence(MESSAGE, session.UnknownHandshakeKeyError, renewed)


def test_an_introduction_for_another_network_or_address_is_met_with_silence():
    _, message = replace(CALLER, network_id=OTHER_NETWORK).calls(FOUND)
    met_with_silence(message, session.BadMessageError)
    contents = with_points(THIEF, handshake_keys=CALLEE.contents().handshake_keys)
    _, message = CALLER.calls(replace(FOUND, contents=contents))
    met_with_silence(message, session.BadMessageError)


def test_a_rendezvous_relay_that_nobody_admitted_is_met_with_silence():
    _, message = CALLER.calls(FOUND, rendezvous=bytes(32))
    met_with_silence(message, session.UnknownRendezvousError)


NAMED = {"identity": CALLER.named()}
LIVE = replace(FOUND, contents=CALLEE.contents(meeting_points=FOUND.contents.introduction_points))


def shown(party, device=None):
    return {"identity": CallerIdentity(party.chain().encode(), device or party.device)}


# case: the call, the callee's rules, error and its cause, what the caller is told
CALLER_IS_WRONG = {
    "impostor: the victim's certificates, its own device": (
        shown(CALLER, THIEF.device), {}, session.BadCallerProofError, None, Status.AUTH_FAILED,
    ),
    "wrong network": (
        shown(replace(CALLER, network_id=OTHER_NETWORK)), {}, session.CallerCredentialsError,
        identity.WrongNetworkError, Status.AUTH_FAILED,
    ),
    "revoked account": (
        NAMED, {"revoked_before": lambda _: CALLER.issued}, session.CallerRevokedError,
        identity.RevokedError, Status.REVOKED,
    ),
    "revoked device": (
        NAMED, {"revoked_devices": (CALLER.device.signing_public,)}, session.CallerRevokedError,
        None, Status.REVOKED,
    ),
    "delegation expired": (
        shown(replace(CALLER, issued=WALL - 9 * DAY, life=8 * DAY)), {},
        session.CallerCredentialsError, identity.ExpiredError, Status.AUTH_FAILED,
    ),
    "delegation superseded": (
        NAMED, {"newest_issued": lambda _: CALLER.issued + 1}, session.CallerCredentialsError,
        identity.SupersededError, Status.AUTH_FAILED,
    ),
    "delegation without the scope to dial": (
        shown(replace(CALLER, scope=Scope.ACCEPT)), {}, session.CallerCredentialsError,
        identity.ScopeError, Status.AUTH_FAILED,
    ),
    "downgraded level": ({"level": 1}, {}, session.DowngradeError, None, Status.LEVEL),
    "another root of the same epoch": (
        {"root": bytes(32)}, {}, session.ViewMismatchError, None, Status.VIEW_MISMATCH,
    ),
    "an epoch that is not near": (
        {"epoch": EPOCH + 9}, {}, session.UnknownEpochError, None, Status.EXPIRED,
    ),
    "nobody where a name is asked": (
        {}, {"anonymous": False}, session.CallerRequiredError, None, Status.AUTH_REQUIRED,
    ),
    "no such service": (
        {"service": "gopher"}, {}, session.UnknownServiceError, None, Status.NO_SERVICE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLER_IS_WRONG)
def test_the_callee_refuses_the_caller_by_name_and_says_so(case):
    wanted, rules, error, cause, status = CALLER_IS_WRONG[case]
    call, message = CALLER.calls(LIVE, **wanted)
    invitation = CALLEE.receives(message, **rules)
    assert type(invitation.refusal) is error
    assert type(invitation.refusal.__cause__) is (cause or type(None))
    assert invitation.call is None
    with pytest.raises(session.CallRefusedError) as heard:
        call.joined(invitation.message2)
    assert heard.value.refusal is status
