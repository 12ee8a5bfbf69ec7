"""A call at the caller: every input in every state, attempts, deadlines, whose answer counts."""

from dataclasses import replace
from itertools import product

import pytest

from peerstream.node.protocol.circuit.bodies import Introduction, IntroductionWait
from peerstream.node.protocol.rendezvous.call import (
    ATTEMPTS_MAX,
    BROKEN_PATHS_HURRIED,
    BROKEN_PATHS_MAX,
    JOIN_SECONDS,
    NEXT_LEAST,
    NEXT_SECONDS,
    TRANSITIONS,
    Input,
    State,
    agreed_class,
    agreed_level,
)
from peerstream.node.protocol.rendezvous.errors import (
    CallStateError,
    LevelUnavailableError,
    NoAnswerError,
    PointUnknownError,
)
from peerstream.node.protocol.session.caller import ResumeSession
from peerstream.node.protocol.session.errors import (
    BadMessageError,
    CallRefusedError,
    HandshakeError,
    MalformedMessageError,
)
from peerstream.node.protocol.session.limits import SessionLimits
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.directory.network import WALL
from tests.node.protocol.parties import RENDEZVOUS, Party
from tests.node.protocol.rendezvous.calling import (
    AUTH,
    CALLEE,
    CALLER,
    FIVE,
    FOUND,
    IDS,
    NOW,
    answered,
    exhaust,
    happen,
    introduce,
    live_reception,
    new_call,
    standing,
    with_contents,
)

OVER = {State.JOINED, State.FAILED}


@pytest.mark.parametrize(
    ("state", "happened"), list(product(State, Input)), ids=lambda member: member.value
)
def test_every_input_in_every_state(state, happened):
    call, body = standing(state)
    following = TRANSITIONS.get((state, happened))
    if following is None and happened is Input.LATE:
        happen(call, happened, body)  # time passes in every state
    elif following is None:
        # whoever answers a call that was given up comes too late: no fault of ours
        given_up = state is State.FAILED and happened in {Input.JOIN, Input.FAIL}
        with pytest.raises(NoAnswerError if given_up else CallStateError):
            happen(call, happened, body)
    elif happened is Input.FAIL:
        with pytest.raises(HandshakeError):
            happen(call, happened, body)
    else:
        happen(call, happened, body)
    assert call.state is (following or state)


def test_the_table_has_an_end_in_each_state_that_is_over():
    assert not {state for state, _ in TRANSITIONS} & OVER
    for state in set(State) - OVER:
        assert TRANSITIONS[state, Input.FAIL] is State.FAILED


# Attempts and deadlines


def test_no_more_than_three_points_are_tried():
    call = new_call()
    assert set(call.points) == set(IDS)
    exhaust(call)
    with pytest.raises(NoAnswerError) as failed:
        _ = call.points
    assert failed.value.reasons == ("BUSY",) * ATTEMPTS_MAX
    assert call.state is State.FAILED
    with pytest.raises(NoAnswerError):
        _ = call.points


def test_no_point_is_tried_twice():
    call = new_call()
    point, _ = introduce(call)
    call.refused("NOT_FOUND")
    assert point not in call.points
    for unknown in (point, b"\x99" * 32):
        with pytest.raises(PointUnknownError):
            call.introduce(unknown, RENDEZVOUS)
    assert call.state is State.READY


def test_a_point_that_a_relay_before_it_kept_us_from_is_tried_again():
    call = new_call()
    every = set(call.points)
    for _ in range(BROKEN_PATHS_MAX):
        introduce(call)
        call.unreached("no circuit of 4 hops")
        assert set(call._left) == every
    point, _ = introduce(call)
    call.unreached("no circuit of 4 hops")
    assert set(call._left) == every - {point}  # one of ours, or somebody who wants us to repeat


def test_others_are_tried_before_a_point_that_was_not_reached():
    """A point that stands still looks like a path that does."""
    call = new_call()
    every, tried = set(call.points), set()
    while tried != every:
        assert set(call.points) == every - tried
        point, _ = introduce(call)
        call.unreached("a path took too long")
        tried.add(point)
    assert set(call.points) == every


def test_a_call_in_a_hurry_leaves_a_point_soon_that_is_not_reached():
    call = new_call(patience_s=1.0)
    every = set(call.points)
    for _ in range(BROKEN_PATHS_HURRIED):
        introduce(call)
        call.unreached("a path took too long")
    point, _ = introduce(call)
    call.unreached("a path took too long")
    assert set(call._left) == every - {point}


def test_points_that_are_not_safe_leave_the_others():
    call = new_call()
    point, _ = introduce(call)
    call.unreached("a path took too long")
    call.none_safe("they are excluded")  # said of those that come first
    assert call.points == (point,)


def test_an_answer_counts_to_what_was_said_to_have_come_nowhere():
    call = new_call()
    _, body = introduce(call)
    call.unreached("no circuit of 4 hops")
    introduce(call)
    assert call.joined(answered(body)).secrets.chains


def test_points_left_that_are_not_safe_end_the_call_with_all_reasons():
    call = new_call()
    introduce(call)
    call.refused("BUSY")
    call.none_safe("they are excluded")
    with pytest.raises(NoAnswerError) as failed:
        _ = call.points
    assert failed.value.reasons == ("BUSY", "they are excluded")
    assert call.state is State.FAILED


def test_a_point_is_not_lost_to_an_introduction_out_of_turn():
    call, _ = standing(State.INTRODUCING)
    with pytest.raises(CallStateError):
        call.introduce(IDS[4], RENDEZVOUS)
    call.refused("BUSY")
    assert IDS[4] in call.points


@pytest.mark.parametrize("state", [State.INTRODUCING, State.WAITING])
def test_asking_for_points_out_of_turn_ends_no_call(state):
    call = new_call()
    for _ in range(ATTEMPTS_MAX - 1):
        introduce(call)
        call.refused("BUSY")
    _, body = introduce(call)
    if state is State.WAITING:
        call.passed_on(NOW)
    with pytest.raises(CallStateError):
        _ = call.points
    assert call.joined(answered(body)).secrets.chains


def test_another_point_is_asked_before_the_callees_twelve_seconds_are_over():
    call = new_call()
    for patience in (NEXT_SECONDS, NEXT_SECONDS, JOIN_SECONDS):
        introduce(call)
        call.tick(1e9)
        assert call.state is State.INTRODUCING  # the circuit has a deadline of its own
        call.passed_on(NOW)
        assert call.deadline == NOW + patience
        call.tick(NOW + patience - 0.001)
        assert call.state is State.WAITING
        call.tick(NOW + patience)
        assert call.state is State.READY


@pytest.mark.parametrize(
    ("took", "patience"), [(0.01, NEXT_LEAST), (0.3, 1.2), (5.0, NEXT_SECONDS)]
)
def test_another_point_is_asked_the_sooner_the_quicker_the_first_took_it(took, patience):
    call = new_call()
    introduce(call)
    call.passed_on(NOW, took)
    assert call.deadline == NOW + patience


def test_a_call_in_a_hurry_asks_another_point_while_the_first_may_answer():
    call = new_call(patience_s=1.0, next_s=0.25)
    for patience in (0.25, 0.25, 1.0):
        introduce(call)
        call.passed_on(NOW)
        assert call.deadline == NOW + patience
        call.tick(call.deadline)


def test_a_call_in_a_hurry_waits_a_second_at_each_point():
    call = new_call(patience_s=1.0)
    for _ in range(ATTEMPTS_MAX):
        introduce(call)
        call.passed_on(NOW)
        assert call.deadline == NOW + 1.0
        call.tick(NOW + 1.0)
    with pytest.raises(NoAnswerError):
        call.points()


def test_at_level_1_no_other_point_is_asked_while_the_callee_may_join_at_this_one():
    call = new_call(level=1)
    introduce(call)
    call.passed_on(NOW)
    assert call.deadline == NOW + JOIN_SECONDS


def test_all_reasons_are_told_in_order():
    call = new_call()
    introduce(call)
    call.refused("NOT_FOUND")
    introduce(call)
    call.passed_on(NOW)
    call.tick(call.deadline)
    introduce(call)
    call.refused("no circuit of 4 hops")
    with pytest.raises(NoAnswerError) as failed:
        _ = call.points
    assert failed.value.reasons == (
        "NOT_FOUND", "the callee did not join in time", "no circuit of 4 hops",
    )  # fmt: skip


# Whose answer counts


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("state", [State.READY, State.INTRODUCING, State.WAITING])
def test_a_late_join_by_any_earlier_introduction_counts(which, state):
    call = new_call()
    bodies = []
    for _ in range(2):
        bodies.append(introduce(call)[1])
        call.passed_on(NOW)
        call.tick(call.deadline)
    bodies.append(introduce(call)[1])
    if state is not State.INTRODUCING:
        call.passed_on(NOW)
    if state is State.READY:
        call.tick(call.deadline)
    accepted = call.joined(answered(bodies[which]))
    assert call.state is State.JOINED
    assert accepted.answer.streams == SessionLimits().streams


def test_a_refusal_by_the_callee_ends_the_call_with_its_reason():
    call = new_call()
    _, body = introduce(call)
    call.passed_on(NOW)
    message2 = answered(body, anonymous=False)
    with pytest.raises(CallRefusedError) as refused:
        call.joined(message2)
    assert refused.value.refusal is Status.AUTH_REQUIRED
    assert call.state is State.FAILED


def test_somebody_elses_answer_ends_the_call():
    call, other = new_call(), Party("other").call(FOUND)
    introduce(call)
    _, body = introduce(other)
    with pytest.raises(BadMessageError):
        call.joined(answered(body))
    assert call.state is State.FAILED


@pytest.mark.parametrize("size", [0, 2_047, 2_049, 9_185])
def test_a_blob_of_no_size_of_ours_ends_the_call(size):
    call, _ = standing(State.WAITING)
    with pytest.raises(MalformedMessageError):
        call.joined(bytes(size))
    assert call.state is State.FAILED


def test_whoever_joins_before_anybody_was_asked_is_somebody_else():
    """A hostile rendezvous point can say JOINED at any time: that is no bug of ours."""
    call = new_call()
    with pytest.raises(BadMessageError):
        call.joined(bytes(2_048))
    assert call.state is State.FAILED


def test_an_answer_to_a_call_that_was_given_up_is_no_bug_of_ours():
    call, body = standing(State.FAILED)
    with pytest.raises(NoAnswerError) as failed:
        call.joined(answered(body))
    assert failed.value.reasons == ("LIMIT", "BUSY", "BUSY")


# What a descriptor allows


def test_points_whose_handshake_key_is_over_are_not_tried():
    (key,) = FOUND.contents.handshake_keys
    keys = (key, replace(key, expiry=WALL))
    points = (FIVE[0], *(replace(point, handshake_key=1) for point in FIVE[1:]))
    call = CALLER.call(with_contents(handshake_keys=keys, introduction_points=points))
    assert call.points == (IDS[0],)
    with pytest.raises(PointUnknownError):
        call.introduce(IDS[1], RENDEZVOUS)


def test_each_point_is_called_by_its_own_handshake_key():
    newer = Party("newer")
    (key,) = FOUND.contents.handshake_keys
    keys = (key, replace(key, public=newer.handshake.public.raw))
    points = (FIVE[0], *(replace(point, handshake_key=1) for point in FIVE[1:]))
    found = with_contents(handshake_keys=keys, introduction_points=points)
    call = CALLER.call(found)
    renewed = replace(CALLEE)
    renewed.handshake = newer.handshake
    for number, party in enumerate((CALLEE, renewed)):
        body = call.introduce(IDS[number], RENDEZVOUS)
        assert party.receives(Introduction.decode(body).blob, auth=number).call is not None
        call.refused("CLOSED")


def test_the_level_is_the_stricter_of_both_wishes():
    levels = {
        (wanted, least): agreed_level(wanted, replace(FOUND.contents, minimum_level=least))
        for wanted, least in product((1, 2), repeat=2)
    }
    assert levels == {(1, 1): 1, (1, 2): 2, (2, 1): 2, (2, 2): 2}


def test_the_cell_class_is_ours_or_the_callees_largest():
    contents = replace(FOUND.contents, cell_classes=(0, 2))
    assert [agreed_class(wanted, contents) for wanted in range(4)] == [0, 2, 2, 2]


def test_level_1_needs_meeting_points():
    with pytest.raises(LevelUnavailableError):
        CALLER.call(with_contents(meeting_points=()), level=1)


# What goes out


def test_the_body_at_level_2():
    call = new_call(cookie=b"k" * 32, cell_class=3, service="files")
    point, body = introduce(call)
    introduction = Introduction.decode(body)
    assert introduction.auth_key == AUTH[point]
    auth = CALLEE.auth.index(introduction.auth_key)
    request = CALLEE.receives(introduction.blob, auth=auth).request
    assert (request.relay_id, request.cookie) == (RENDEZVOUS, b"k" * 32)
    assert (request.level, request.cell_class, request.service) == (2, 3, "files")


def test_the_body_at_level_1_names_the_meeting_point_as_rendezvous():
    call = new_call(level=1)
    (point, *_) = call.points
    introduction = IntroductionWait.decode(call.introduce(point, point))
    assert introduction.auth_key == AUTH[point]
    auth = CALLEE.auth.index(introduction.auth_key)
    reception = live_reception()
    request = CALLEE.receives(introduction.blob, auth=auth, level=1, reception=reception).request
    assert (request.relay_id, request.cookie) == (point, introduction.cookie)
    assert request.level == 1


def test_two_relays_asked_for_one_call_see_nothing_in_common():
    """Else two meeting points could tell that they serve one address (decision 0040)."""
    for level, kind in ((1, IntroductionWait), (2, Introduction)):
        call = new_call(level=level, cookie=b"k" * 32)
        seen = []
        for point in IDS[:2]:
            introduction = kind.decode(call.introduce(point, point))
            seen.append([part for part in introduction if part not in CALLEE.auth])
            call.refused("BUSY")
        for one, other in zip(*seen, strict=True):
            pieces = {one[n : n + 8] for n in range(4, len(one) - 8)}
            assert not any(other[n : n + 8] in pieces for n in range(4, len(other) - 8))


def test_an_answer_at_level_1():
    call = new_call(level=1)
    point = call.points[0]
    body = call.introduce(point, point)
    call.passed_on(NOW)
    assert call.joined(answered(body, level=1)).secrets.session_id


def test_a_call_that_resumes_carries_the_proof_and_the_path():
    key = b"\x0a" * 32
    call = CALLER.call(FOUND, service="", resume=ResumeSession(b"s" * 16, key, 24))
    _, body = introduce(call)
    auth = CALLEE.auth.index(Introduction.decode(body).auth_key)
    invitation = CALLEE.receives(Introduction.decode(body).blob, auth=auth, resume_key=key)
    assert (invitation.call.resumes, invitation.call.first_path) == (b"s" * 16, 24)
    accepted = call.joined(invitation.message2)
    assert accepted.secrets.chains == invitation.call.secrets.chains
    assert accepted.secrets.first_path == 24


def test_secrets_are_in_no_repr():
    call = new_call(cookie=b"k" * 32, early=b"GET /private", service="files")
    shown = repr(call) + repr(call._terms)
    assert "kkkk" not in shown
    assert "private" not in shown
