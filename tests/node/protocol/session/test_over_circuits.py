"""Whole sessions over real onions: message 2 joins, six relays carry, relays die, bytes arrive."""

import pytest

from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.session import calls
from tests.node.protocol.session.joined import entropy_of

BODY = entropy_of("body")(1_500_000)


class Call:
    """A named caller and a callee, each with a session over circuits of one memory network."""

    def __init__(self, cell_class=2, tap=None):
        self.network = MemoryNetwork(5)
        self.tap = None if tap is None else tap(self.network)
        self.ends = []
        self.log = ([], [])
        self.meetings = {}
        handshake = calls.call(calls.named(), service="friends", cell_class=cell_class)
        opened = calls.opened(handshake.message1())
        opened.verify_caller(calls.checks())
        answer = opened.accept(calls.ANSWER, calls.entropy(2))
        blob = self.splice(0, answer.message2, cell_class)
        accepted = handshake.finish(blob)
        for role, secrets in ((Role.CALLER, accepted.secrets), (Role.CALLEE, answer.secrets)):
            self.ends.append(
                Session(
                    role,
                    secrets,
                    SessionTerms(2),
                    now=self.network.now,
                    entropy=entropy_of(role.value),
                )
            )
        self.caller, self.callee = self.ends
        self.attach(0)

    def splice(self, number, blob, cell_class=2):
        """Two circuits meet at a new relay; the blob as the listener gets it."""
        meeting = Meeting(self.network, cell_class)
        listener = meeting.listen()
        self.network.run()
        joiner = meeting.join(blob=blob)
        self.network.run()
        self.meetings[number] = (meeting, listener, joiner)
        return listener.take(Command.JOINED)[0]

    def attach(self, number):
        _, *owners = self.meetings[number]
        for end, owner in zip(self.ends, owners, strict=True):
            end.add_path(number, owner.circuit, 2, self.network.now)
            owner.cell_received = self.receiver(end, number)
            owner.closed = lambda _reason, end=end: end.path_lost(number, self.network.now)

    def receiver(self, end, number):
        return lambda buffer: end.receive_cell(number, buffer, self.network.now)

    def another(self):
        number = self.caller.allocate_path()
        self.caller.offer_path(AddPath(number, bytes(32), bytes(32), 2, 2))
        self.settle()
        assert any(isinstance(e, ev.PathOffered) for e in self.log[1])
        blob = self.splice(number, self.callee.join_blob(number))
        assert self.caller.open_join_blob(blob, number) == number
        self.attach(number)
        self.settle()
        return number

    def settle(self, rounds=3):
        for _ in range(rounds):
            self.network.now += 0.02
            for end, log in zip(self.ends, self.log, strict=True):
                end.tick(self.network.now)
                end.pump(self.network.now)
                log.extend(end.events())
            self.network.run()

    def transfer(self, between=None):
        number = self.caller.open_stream("files")
        sent, got = 0, b""
        for turn in range(2_000):
            if sent < len(BODY):
                sent += self.caller.send(number, BODY[sent : sent + 100_000])
                if sent == len(BODY):
                    self.caller.send_end(number)
            self.settle(1)
            if ev.StreamOpened(number, "files") in self.log[1]:
                got += self.callee.receive(number, 1 << 20)
            if between is not None and turn == between[0]:
                between[1]()
            if len(got) == len(BODY):
                break
        assert got == BODY


@pytest.mark.parametrize("cell_class", [0, 1, 2, 3])
def test_a_verified_session_over_six_relays(cell_class):
    call = Call(cell_class)
    call.transfer()
    assert call.log[1][0] == ev.CallerVerified()
    assert not any(isinstance(e, ev.PathClosed) for e in call.log[0] + call.log[1])


@pytest.mark.parametrize("which", range(6))
def test_the_death_of_any_relay_of_the_first_path_loses_no_byte(which):
    call = Call()
    call.another()
    meeting = call.meetings[0][0]
    relays = [*meeting.client_path, meeting.point, *meeting.service_path]
    call.transfer((4, lambda: call.network.kill(relays[which])))
    assert call.caller.failure is call.callee.failure is None


def test_a_session_without_a_second_path_strands_and_is_resumed_by_a_new_handshake():
    call = Call()
    number = call.caller.open_stream("files")
    call.settle()
    assert call.caller.send(number, BODY[:50_000]) == 50_000
    call.network.kill(call.meetings[0][0].point)
    call.network.advance(12.0)
    for end in call.ends:
        end.path_lost(0, call.network.now)
        assert end.state is State.STRANDED
    handshake = calls.call(resume=call.caller.resume_ticket())
    opened = calls.opened(handshake.message1())
    assert opened.resume.session_id == call.callee.session_id
    opened.verify_resume(call.callee.resume_key)
    answer = opened.accept(calls.ANSWER, calls.entropy(3))
    first = opened.resume.first_path
    accepted = handshake.finish(call.splice(first, answer.message2))
    call.caller.resume(accepted.secrets, call.network.now)
    call.callee.resume(answer.secrets, call.network.now)
    call.attach(first)
    call.settle(10)
    assert call.callee.receive(number, 1 << 20) == BODY[:50_000]
    assert call.callee.verified


def test_rekey_and_close_over_real_circuits():
    call = Call()
    call.another()
    call.caller.open_stream("held")
    call.settle()
    call.network.now += 601.0
    call.settle(20)
    assert ev.Rekeyed(1) in call.log[0]
    assert ev.Rekeyed(1) in call.log[1]
    call.transfer()
    call.caller.close(Status.FINISHED, call.network.now)
    call.settle()
    assert call.log[1][-1] == ev.SessionClosed(Status.FINISHED, by_peer=True)


def test_half_close_and_reset_cross_six_relays():
    call = Call()
    question, dropped = call.caller.open_stream("echo"), call.caller.open_stream("files")
    call.caller.send(question, b"question")
    call.caller.send_end(question)
    call.caller.send(dropped, BODY[:100_000])
    call.settle()
    assert call.callee.receive(question, 100) == b"question"
    call.callee.send(question, b"answer behind the caller's end")
    call.callee.reset(dropped, Status.NO_SERVICE)
    call.settle()
    assert ev.StreamEnded(question) in call.log[1]
    assert ev.StreamEnded(question) not in call.log[0]
    assert call.caller.receive(question, 100) == b"answer behind the caller's end"
    assert ev.StreamReset(dropped, Status.NO_SERVICE) in call.log[0]
    assert call.caller.send(dropped, b"more") == 0
    call.callee.send_end(question)
    call.settle()
    assert call.caller.receive(question, 100) == b""
    call.settle()
    assert ev.StreamEnded(question) in call.log[0]
    assert len(call.caller._streams) == len(call.callee._streams) == 0
