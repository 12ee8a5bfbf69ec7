"""Introductions at the callee: silence or refusal, who calls, resumed sessions (SPEC 12.4).

One refusal of each kind, with its status: `test_refusals.py`.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.bodies import IntroductionWait
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.errors import ReplayFilterFullError
from peerstream.node.protocol.onion.replay import ReplayFilter
from peerstream.node.protocol.rendezvous.errors import MeetingPointError
from peerstream.node.protocol.rendezvous.ranking import HeldSession
from peerstream.node.protocol.rendezvous.reception import Caller
from peerstream.node.protocol.session import errors as session
from peerstream.node.protocol.session.admission import CalleePolicy, ServicePolicy
from peerstream.node.protocol.session.caller import CallerIdentity, ResumeSession
from peerstream.node.protocol.session.limits import SessionLimits
from peerstream.node.protocol.wire.sizes import INTRODUCTION_BLOB_SIZE
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.directory.network import EPOCH, WALL
from tests.node.protocol.parties import POINTS, RENDEZVOUS, Party, Views, rules
from tests.node.protocol.rendezvous.calling import (
    CALLEE,
    CALLER,
    FOUND,
    live_reception,
)

THIEF = Party("thief")
NAMED = {"identity": CALLER.named()}
STOLEN = {"identity": CallerIdentity(CALLER.chain().encode(), THIEF.device)}
KEY, SESSION = b"\x0a" * 32, b"s" * 16
RESUME = ResumeSession(SESSION, KEY, 24)
MESSAGE = CALLER.calls(FOUND)[1]


def receive(message, *, auth=0, reception=None, **changes):
    return CALLEE.receives(message, auth=auth, reception=reception, **changes)


def services(**offered):
    policy = CalleePolicy(2, Views(), offered)
    return replace(rules(), policy=policy)


def received_under(given_rules, message):
    return CALLEE.reception().receive(CALLEE.auth[0], message, given_rules)


def ignored(error, message, **changes):
    with pytest.raises(error) as silent:
        receive(message, **changes)
    assert type(silent.value) is error
    assert isinstance(silent.value, RemoteProtocolError)


# Silence


@given(st.binary(max_size=80))
def test_garbage_of_any_size_is_met_with_silence(data):
    for blob in (data, data.ljust(INTRODUCTION_BLOB_SIZE, b"\x01")):
        with pytest.raises(RemoteProtocolError):
            receive(blob)


@given(st.integers(0, 8 * INTRODUCTION_BLOB_SIZE - 1))
def test_any_flipped_bit_is_met_with_silence(bit):
    message = bytearray(MESSAGE)
    message[bit // 8] ^= 1 << bit % 8
    with pytest.raises(session.HandshakeError):
        receive(bytes(message))


def test_a_replay_is_met_with_silence_after_a_restart_too():
    record = receive(MESSAGE).record
    restarted = ReplayFilter()
    restarted.load(record.bucket, [record.tag])
    ignored(session.ReplayedMessageError, MESSAGE, reception=CALLEE.reception(restarted))


def test_a_refused_introduction_is_a_replay_too():
    reception = CALLEE.reception()
    assert receive(MESSAGE, reception=reception, anonymous=False).call is None
    ignored(session.ReplayedMessageError, MESSAGE, reception=reception)


def test_a_flood_past_the_replay_filter_is_met_with_silence():
    reception = CALLEE.reception(ReplayFilter(design_load=1))
    for n in range(2):
        receive(Party(f"caller {n}").calls(FOUND)[1], reception=reception)
    ignored(ReplayFilterFullError, MESSAGE, reception=reception)


WRONG_BESIDES = {
    "a lower level": ({"level": 1}, {}),
    "an epoch that is not near": ({"epoch": EPOCH + 9}, {}),
    "another root": ({"root": bytes(32)}, {}),
    "no such service": ({"service": "gopher"}, {}),
    "nobody where a name is asked": ({}, {"anonymous": False}),
    "somebody else's certificates": (STOLEN, {}),
    "a revoked account": (NAMED, {"revoked_before": lambda _: CALLER.issued}),
    "no such session": ({"resume": RESUME}, {}),
}


@pytest.mark.parametrize("case", WRONG_BESIDES)
def test_nobody_answers_at_a_relay_that_is_in_no_view(case):
    """Whatever else is wrong with it: the relay may be the caller's own machine."""
    wanted, changes = WRONG_BESIDES[case]
    _, message = CALLER.calls(FOUND, rendezvous=b"\x99" * 32, **wanted)
    ignored(session.UnknownRendezvousError, message, **changes)


# The level of the answer


def at_level_1(rendezvous, **changes):
    call = CALLER.call(FOUND, level=1, **changes)
    body = call.introduce(POINTS[0], rendezvous)
    return call, IntroductionWait.decode(body).blob


def test_a_call_at_level_1_is_joined_at_its_own_meeting_point():
    call, message = at_level_1(POINTS[0])
    invitation = receive(message, reception=live_reception(), level=1)
    assert (invitation.level, invitation.request.relay_id) == (1, POINTS[0])
    assert call.joined(invitation.message2).secrets.chains == invitation.call.secrets.chains


@pytest.mark.parametrize("rendezvous", [RENDEZVOUS, POINTS[1]])
@pytest.mark.parametrize("wanted", [{}, {"service": "gopher"}, STOLEN])
def test_no_relay_of_the_callers_choice_is_shown_our_guard_of_level_1(rendezvous, wanted):
    _, message = at_level_1(rendezvous, **wanted)
    ignored(MeetingPointError, message, reception=live_reception(), level=1)


def test_an_introduction_point_of_level_2_is_no_meeting_point():
    _, message = at_level_1(POINTS[0])
    ignored(MeetingPointError, message, level=1)


def test_a_downgraded_call_is_refused_at_our_own_level():
    """The refusal would else be the two hops that the caller wanted us to make."""
    call, message = at_level_1(RENDEZVOUS)
    invitation = receive(message, level=2)
    assert type(invitation.refusal) is session.DowngradeError
    assert invitation.level == 2
    with pytest.raises(session.CallRefusedError) as refused:
        call.joined(invitation.message2)
    assert refused.value.refusal is Status.LEVEL


def test_a_call_above_our_level_is_joined_at_its_own():
    assert receive(MESSAGE, level=1).level == 2


# Refusals are for the caller's eyes


def test_only_the_caller_can_read_why_it_was_refused():
    call, message = CALLER.calls(FOUND)
    invitation = receive(message, anonymous=False)
    with pytest.raises(session.BadMessageError):
        THIEF.calls(FOUND)[0].joined(invitation.message2)
    with pytest.raises(session.CallRefusedError):
        call.joined(invitation.message2)


def test_a_refusal_has_the_size_of_an_answer():
    answers = [receive(MESSAGE), receive(MESSAGE, anonymous=False)]
    assert {len(each.message2) for each in answers} == {2_048}
    assert [each.record for each in answers] == [answers[0].record] * 2


# Who calls


def test_nobody_in_particular():
    call = receive(MESSAGE).call
    assert (call.caller, call.service, call.resumes) == (Caller(None), "files", b"")


def test_a_name_comes_with_its_device():
    _, message = CALLER.calls(FOUND, **NAMED)
    call = receive(message, anonymous=False).call
    assert call.caller == Caller(CALLER.account, CALLER.device.signing_public)
    assert call.secrets.caller_proof is not None


def test_another_device_of_the_account_is_not_revoked_with_one():
    _, message = CALLER.calls(FOUND, **NAMED)
    assert receive(message, revoked_devices=(THIEF.device.signing_public,)).refusal is None


# What the service reads, and what the caller learns of us


@pytest.mark.parametrize("reads", [True, False])
def test_early_data_reach_a_service_that_reads_them_and_no_other(reads):
    call, message = CALLER.calls(FOUND, early=b"GET /")
    given_rules = services(files=ServicePolicy(anonymous=True, early_data=reads))
    invitation = received_under(given_rules, message)
    assert invitation.call.early == (b"GET /" if reads else b"")
    assert call.joined(invitation.message2).answer.early_accepted is reads


@pytest.mark.parametrize("all_of_them", [True, False])
def test_the_caller_learns_whether_its_first_stream_is_taken(all_of_them):
    call, message = CALLER.calls(FOUND)
    given_rules = services(files=ServicePolicy(anonymous=True, takes_all=all_of_them))
    invitation = received_under(given_rules, message)
    assert call.joined(invitation.message2).answer.takes_stream is all_of_them


def test_the_caller_learns_our_limits():
    call, message = CALLER.calls(FOUND)
    limits = SessionLimits(streams=7, stream_window=70_000)
    invitation = received_under(replace(rules(), limits=limits), message)
    answer = call.joined(invitation.message2).answer
    assert (answer.streams, answer.stream_window) == (7, 70_000)


# Going on with a session


def resumed(held, *, level=2, **changes):
    call, message = CALLER.calls(FOUND, resume=RESUME, service="", level=level)
    given_rules = replace(rules(**changes), held=lambda _: held)
    return call, received_under(given_rules, message)


def test_a_session_that_is_held_goes_on():
    call, invitation = resumed(HeldSession(KEY, 2))
    assert (invitation.call.resumes, invitation.call.first_path) == (SESSION, 24)
    mine, theirs = call.joined(invitation.message2).secrets, invitation.call.secrets
    assert (mine.chains, mine.session_id) == (theirs.chains, theirs.session_id)
    assert mine.session_id != SESSION


def test_the_session_asked_for_is_the_one_that_the_caller_names():
    asked = []
    message = CALLER.calls(FOUND, resume=RESUME, service="")[1]
    received_under(replace(rules(), held=asked.append), message)
    assert set(asked) == {SESSION}


@pytest.mark.parametrize("held", [None, HeldSession(b"\x0b" * 32, 2)], ids=["not held", "forged"])
def test_a_session_that_is_not_the_callers_is_refused(held):
    call, invitation = resumed(held)
    assert type(invitation.refusal) is session.ResumeRefusedError
    assert invitation.call is None
    with pytest.raises(session.CallRefusedError) as refused:
        call.joined(invitation.message2)
    assert refused.value.refusal is Status.NOT_FOUND


def test_a_session_does_not_go_on_at_a_lower_level():
    call = CALLER.call(FOUND, resume=RESUME, service="", level=1)
    blob = IntroductionWait.decode(call.introduce(POINTS[0], POINTS[0])).blob
    given_rules = rules(level=1)
    for level, refusal in ((1, type(None)), (2, session.DowngradeError)):
        held = HeldSession(KEY, level)
        invitation = live_reception().receive(
            CALLEE.auth[0], blob, replace(given_rules, held=lambda _, held=held: held)
        )
        assert type(invitation.refusal) is refusal
        assert invitation.level == 1


def test_resuming_admits_at_no_lower_level_and_by_no_other_view():
    for changes, refusal in (
        ({"roots": {EPOCH: bytes(32)}}, session.ViewMismatchError),
        ({"roots": {EPOCH + 5: bytes(32)}}, session.UnknownEpochError),
    ):
        _, invitation = resumed(HeldSession(KEY, 2), **changes)
        assert type(invitation.refusal) is refusal


def test_secrets_are_in_no_repr():
    _, message = CALLER.calls(FOUND, early=b"GET /private", cookie=b"k" * 32)
    given_rules = services(files=ServicePolicy(anonymous=True, early_data=True))
    shown = repr(received_under(given_rules, message)) + repr(HeldSession(b"k" * 32, 2))
    assert "private" not in shown
    assert "kkkk" not in shown


def test_the_clock_is_the_one_of_the_checks():
    for shift, error in ((0, None), (1_200, session.WrongBucketError)):
        changes = {"now": WALL + shift}
        if error is None:
            assert receive(MESSAGE, **changes).refusal is None
        else:
            ignored(error, MESSAGE, **changes)
