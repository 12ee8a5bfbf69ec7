"""A client that sends SETUPs which look like real ones and open for nobody, link after link."""

from peerstream.node.protocol.circuit.errors import BadSetupsError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import SETUP_SIZE
from tests.node.protocol.circuit.memory_network import MemoryNetwork

LINKS, EACH = 25, 40


def send_garbage(network, hostile, guard):
    """Fill a new link with SETUPs whose header names the guard's key; the rest is chance."""
    link = network.connect_client(hostile, guard)
    header = guard.hop(network).header()
    for _ in range(EACH):
        frame = header + network.entropy(SETUP_SIZE - len(header))
        link.send(link.open_circuit_id(), FrameType.SETUP, frame)
    return link


def test_each_link_costs_three_and_others_are_served():
    network = MemoryNetwork(60)
    guard, point = network.relay(), network.relay()
    honest = network.client().circuit([guard, point])
    network.run()
    tags = len(guard.records)
    hostile = network.client()
    for number in range(LINKS):
        link = send_garbage(network, hostile, guard)
        honest.circuit.send_control(Command.ECHO, b"still here")
        network.run()
        assert link.closed
        assert isinstance(network.cable(link).errors[-1], BadSetupsError)
        assert len(honest.take(Command.RESULT)) == number + 1
    opened = guard.core.breaches
    assert sum(opened.values()) == 3 * LINKS  # of 1 000: what came behind the third was not read
    assert guard.core.circuits == 1
    assert len(guard.records) == tags
    assert guard.core.held_bytes == 0
