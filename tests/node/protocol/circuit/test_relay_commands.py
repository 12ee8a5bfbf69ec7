"""Commands in control cells, and directory handlers."""

import pytest

from peerstream.node.protocol.circuit.bodies import (
    Listening,
    Result,
)
from peerstream.node.protocol.circuit.leg import OWN_CELLS_MAX
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import COOKIE, circuit, everybody_forgot, relays
from tests.node.protocol.circuit.memory_network import MemoryNetwork


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Command.OPEN, b""),
        (Command.RESULT, b""),
        (Command.RDV_LISTEN, b""),
        (Command.PEER_LOST_SEEN, b""),
        (Command.DIR_GET, b""),
    ],
)
def test_a_control_cell_that_makes_no_sense_ends_the_circuit(command, data):
    network = MemoryNetwork(30)
    path = relays(network, 2)
    owner = circuit(network, path)
    owner.circuit.send_control(command, data)
    network.run()
    assert owner.reason is Status.CLOSED
    assert sum(path[1].core.breaches.values()) == 1
    everybody_forgot(network)


@pytest.mark.parametrize("command", [Command.RDV_LISTEN, Command.INTRO_REGISTER])
def test_hops_in_the_middle_run_no_commands(command):
    network = MemoryNetwork(31)
    path = relays(network, 3)
    owner = circuit(network, path)
    owner.circuit.send_control(command, Listening(COOKIE).encode(), 1)
    network.run()
    assert owner.reason is Status.CLOSED
    assert path[1].core.breaches == {"CommandError": 1}


def test_answers_that_nobody_reads_end_the_circuit():
    network = MemoryNetwork(32)
    path = relays(network, 2)
    owner = circuit(network, path)
    owner.circuit._leg.grant_at = 1 << 60  # it grants nothing
    queued = 0
    while owner.reason is None:
        owner.circuit.send_control(Command.ECHO, b"?")
        network.run()
        queued = max(queued, path[0].queued(), path[1].queued())
    assert path[1].core.breaches == {"AnswersUnreadError": 1}
    assert queued == OWN_CELLS_MAX * CELL_SIZES[2]
    everybody_forgot(network)


def test_directory_handlers_answer_at_once_or_later():
    pending = []

    def get(circuit, body):
        circuit.answer(Status.OK, b"found")
        circuit.send_control(Command.DIR_RECORD, body * 3_000)

    network = MemoryNetwork(33)
    path = [network.relay(), network.relay()]
    store = network.relay(
        {Command.DIR_GET: get, Command.DIR_PUT: lambda circuit, _body: pending.append(circuit)}
    )
    owner = circuit(network, [*path, store], Command.DIR_GET, b"rec")
    assert owner.message == b"found"
    assert owner.take(Command.DIR_RECORD) == [b"rec" * 3_000]
    owner.circuit.send_control(Command.DIR_PUT, b"r" * 12_000)
    network.run()
    assert not owner.take(Command.RESULT)
    pending.pop().answer(Status.BAD_RECORD)
    network.run()
    assert owner.take(Command.RESULT) == [Result(Command.DIR_PUT, Status.BAD_RECORD).encode()]
    owner.circuit.send_control(Command.DIR_PUT, b"r")
    network.run()
    owner.circuit.close()
    network.run()
    pending.pop().answer(Status.OK)  # nobody is there any more: nothing happens
    network.run()
