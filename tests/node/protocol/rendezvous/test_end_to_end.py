"""From a descriptor at a store to bytes both ways, over real circuits, at both levels."""

import pytest

from peerstream.node.protocol.rendezvous.call import State
from peerstream.node.protocol.rendezvous.errors import NoAnswerError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.errors import (
    CallerRequiredError,
    CallRefusedError,
    ReplayedMessageError,
)
from peerstream.node.protocol.session.state import State as SessionState
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.rendezvous.street import CallingParty, Street, attach, settle

BODY = bytes(range(256)) * 400


def exchange(street, caller, callee):
    """Bytes to the callee and back on one stream."""
    number = caller.session.open_stream("files")
    for one, other in ((caller, callee), (callee, caller)):
        sent, got = 0, b""
        while len(got) < len(BODY):
            sent += one.session.send(number, BODY[sent:])
            settle(street.network, (caller, callee), 1)
            got += other.session.receive(number, len(BODY))
        assert got == BODY
    assert caller.session.failure is callee.session.failure is None


def only_session(street):
    ((session_id, end),) = street.callee.sessions.items()
    return session_id, end


@pytest.mark.parametrize("level", [1, 2])
def test_two_sessions_over_a_descriptor_from_a_store(level):
    street = Street(level)
    caller = CallingParty(street).connect(level)
    session_id, callee = only_session(street)
    assert caller.session.session_id == session_id
    exchange(street, caller, callee)
    assert callee.log[0] == ev.CallerVerified()
    assert street.callee.causes == []


@pytest.mark.parametrize(("level", "relays"), [(1, 3), (2, 6)])
def test_cells_cross_six_relays_at_level_2_and_three_at_level_1(level, relays):
    street = Street(level)
    caller = CallingParty(street).connect(level)
    _, callee = only_session(street)
    before = [relay.core.cells_relayed for relay in street.relays]
    exchange(street, caller, callee)
    after = [relay.core.cells_relayed for relay in street.relays]
    assert sum(one < other for one, other in zip(before, after, strict=True)) == relays


def test_a_callee_of_level_2_is_called_at_level_2_whatever_the_caller_wants():
    street = Street(2)
    _, _, level = CallingParty(street).begin(1)
    assert level == 2


@pytest.mark.parametrize("level", [1, 2])
def test_a_point_whose_circuit_is_gone_is_passed_over(level):
    street = Street(level)
    points = street.callee.publisher._points
    gone = next(p for p in points if p.level == level)
    street.network.kill(street.network.relays[gone.relay_id])
    caller = CallingParty(street).connect(level)
    exchange(street, caller, only_session(street)[1])


def test_a_callee_that_answers_late_is_still_heard():
    street = Street(2)
    party = CallingParty(street)
    call, listener, level = party.begin()
    party.introduce(call, level)
    street.network.advance(12.5)
    call.tick(street.network.now)
    assert call.state is State.READY
    party.introduce(call, level)
    late = next(iter(street.callee.circuits.values()))
    for owner in street.callee.circuits.values():
        if owner is not late:
            owner.controls.clear()  # the second introduction never arrives
    street.callee.serve()
    street.network.run()
    (blob,) = listener.take(Command.JOINED)
    assert call.joined(blob).secrets.session_id == only_session(street)[0]


def test_the_second_of_two_answers_is_turned_away_at_the_rendezvous():
    street = Street(2)
    party = CallingParty(street)
    call, listener, level = party.begin()
    for _ in range(2):
        party.introduce(call, level)
        street.network.advance(12.5)
        call.tick(street.network.now)
    street.callee.serve()
    street.network.run()
    assert len(listener.take(Command.JOINED)) == 1
    assert call.joined(listener.take(Command.JOINED)[0])


def test_a_callee_that_is_gone_does_not_answer():
    street = Street(2)
    party = CallingParty(street)
    for relay in street.relays[6:9]:
        street.network.kill(relay)
    call, _, level = party.begin()
    for _ in range(3):
        party.introduce(call, level)
    with pytest.raises(NoAnswerError) as failed:
        _ = call.points
    assert len(failed.value.reasons) == 3


@pytest.mark.parametrize("level", [1, 2])
def test_a_caller_without_a_name_hears_why_it_is_refused(level):
    street = Street(level)
    with pytest.raises(CallRefusedError) as refused:
        CallingParty(street, anonymous=True).dial(level)
    assert refused.value.refusal is Status.AUTH_REQUIRED
    assert [type(cause) for cause in street.callee.causes] == [CallerRequiredError]
    assert street.callee.sessions == {}


def test_an_introduction_that_is_replayed_costs_the_callee_no_circuit():
    street = Street(2)
    party = CallingParty(street)
    call, _, level = party.begin()
    party.introduce(call, level)
    owner = next(o for o in street.callee.circuits.values() if o.controls)
    again = list(owner.controls)
    street.callee.serve()
    circuits = len(street.callee.node.circuits)
    owner.controls.extend(again)
    street.callee.serve()
    assert [type(cause) for cause in street.callee.causes] == [ReplayedMessageError]
    assert len(street.callee.node.circuits) == circuits


@pytest.mark.parametrize("level", [1, 2])
def test_a_session_that_lost_its_path_goes_on_by_a_new_call(level):
    street = Street(level)
    party = CallingParty(street)
    caller = party.connect(level)
    _, callee = only_session(street)
    number = caller.session.open_stream("files")
    settle(street.network, (caller, callee))
    for node in (party.node, street.callee.node):
        node.circuits[-1].close()
        street.network.run()
    for end in (caller, callee):
        end.session.path_lost(0, street.network.now)
        assert end.session.state is SessionState.STRANDED
    assert caller.session.send(number, b"still here") == 10
    ticket = caller.session.resume_ticket()
    accepted, owner, reached = party.dial(level, ticket)
    caller.session.resume(accepted.secrets, street.network.now)
    attach(street.network, caller, ticket.first_path, owner, reached)
    settle(street.network, (caller, callee))
    assert callee.session.receive(number, 100) == b"still here"
    assert only_session(street) == (caller.session.session_id, callee)
