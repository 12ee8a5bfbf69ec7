"""Cookies, splices, and halves that are lost and replaced."""

import pytest

from peerstream.node.protocol.circuit.bodies import (
    Joining,
    Listening,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import COOKIE, Meeting, circuit, everybody_forgot, relays
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def test_a_second_join_gets_exists_and_an_unknown_cookie_not_found():
    network = MemoryNetwork(50)
    meeting = Meeting(network)
    early = meeting.join()
    network.run()
    assert early.error.status is Status.NOT_FOUND
    meeting.meet()
    late = meeting.join()
    network.run()
    assert late.error.status is Status.EXISTS


def test_a_cookie_cannot_be_taken_twice():
    network = MemoryNetwork(51)
    meeting = Meeting(network)
    first, second = meeting.listen(), meeting.listen()
    network.run()
    assert sorted((o.error is None) for o in (first, second)) == [False, True]
    assert {o.error.status for o in (first, second) if o.error} == {Status.EXISTS}


def test_classes_must_match():
    network = MemoryNetwork(52)
    meeting = Meeting(network)
    listener = meeting.listen()
    network.run()
    meeting.cell_class = 1
    joiner = meeting.join()
    network.run()
    assert joiner.error.status is Status.CLASS
    meeting.cell_class = 2
    meeting.join()
    network.run()
    assert listener.take(Command.JOINED)


def test_a_circuit_cannot_meet_itself():
    network = MemoryNetwork(53)
    meeting = Meeting(network)
    listener = meeting.listen()
    network.run()
    listener.circuit.send_control(Command.RDV_JOIN, Joining(COOKIE, bytes(2_048)).encode())
    network.run()
    assert listener.reason is Status.CLOSED
    assert meeting.point.core.breaches == {"CommandError": 1}
    assert meeting.point.core.cookies == 0


def test_a_cookie_lives_as_long_as_it_was_asked_to():
    network = MemoryNetwork(54)
    (point,) = relays(network, 1)
    owner = circuit(network, [point], Command.RDV_LISTEN, Listening(COOKIE, 30).encode())
    network.advance(29.0)
    assert owner.reason is None
    network.advance(4.0)
    assert owner.reason is Status.TIMEOUT
    assert point.core.cookies == 0


@pytest.mark.parametrize("lost", ["listener", "joiner"])
def test_the_lost_half_can_be_replaced_and_old_cells_do_not_reach_the_new_one(lost):
    network = MemoryNetwork(55)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    gone, healthy = (listener, joiner) if lost == "listener" else (joiner, listener)
    size = CELL_SIZES[2]
    healthy_cable = network.cable(healthy.circuit._link)
    healthy_cable.blocked.add(healthy.circuit._link)
    gone.circuit.close()
    network.run()
    assert healthy.reason is None
    for number in range(3):  # it does not know yet
        healthy.send(bytes([number]) * size)
    spare = [network.relay(), network.relay()]
    new = meeting.join(network.client(), path=spare, blob=b"r" * 2_048)
    network.run()
    assert new.message == b""
    assert new.cells == []
    healthy_cable.blocked.clear()
    network.run()
    lost_messages = [c for _, c, _ in healthy.controls if c is not Command.RESULT]
    assert lost_messages[-2:] == [Command.PEER_LOST, Command.JOINED]
    healthy.send(b"n" * size)
    new.send(b"o" * size)
    network.run()
    assert new.cells == [b"n" * size]
    assert healthy.cells == [b"o" * size]


def test_cells_that_came_before_the_loss_still_arrive():
    network = MemoryNetwork(56)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    cable = network.cable(listener.circuit._link)
    cable.blocked.add(listener.circuit._link)
    for number in range(20):
        joiner.send(bytes([number]) * CELL_SIZES[2])
    network.run()
    joiner.circuit.close()
    network.run()
    cable.blocked.clear()
    network.run()
    assert [cell[0] for cell in listener.cells] == list(range(20))
    assert listener.take(Command.PEER_LOST) == [b""]
    assert listener.circuit.room() == 0


def test_nobody_comes_back():
    network = MemoryNetwork(57)
    listener, joiner = Meeting(network).meet()
    joiner.circuit.close()
    network.run()
    network.advance(29.0)
    assert listener.reason is None
    network.advance(4.0)
    assert listener.reason is Status.CLOSED
    everybody_forgot(network)


def test_the_fourth_loss_in_ten_minutes_ends_both():
    network = MemoryNetwork(58)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    for _ in range(3):
        joiner.circuit.close()
        network.run()
        joiner = meeting.join()
        network.run()
        assert joiner.message == b""
    joiner.circuit.close()
    network.run()
    assert listener.reason is Status.CLOSED
    everybody_forgot(network)


def test_finishing_ends_both_halves_behind_the_last_cell():
    network = MemoryNetwork(59)
    listener, joiner = Meeting(network).meet()
    listener.send(bytes(CELL_SIZES[2]))
    listener.circuit.finish()
    network.step()
    network.run()
    assert joiner.reason is Status.CLOSED
    assert not joiner.take(Command.PEER_LOST)
    everybody_forgot(network)
