"""A client that begins messages to hops and never ends them, in the smallest pieces."""

import tracemalloc
from dataclasses import replace

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import FLAG_MORE, Reassembler
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def piece(size, capacity=1_008):
    """A control cell's body: a piece of DIR_PUT that goes on, and padding."""
    header = bytes((Command.DIR_PUT, FLAG_MORE)) + size.to_bytes(2, "big")
    return (header + bytes(size)).ljust(capacity, b"\0")


def send(owner, body):
    """As no client of ours does: a control cell made by hand."""
    circuit = owner.circuit
    buffer = circuit.new_cell()
    buffer[8:24] = circuit._forward[-1].originate()
    buffer[24:-16] = body
    circuit._send_through(buffer, len(circuit._forward))


def test_pieces_cost_their_bytes_and_no_more(alone):
    """16 384 pieces of a byte, and as many of none: less than twice the message."""
    reassembler = Reassembler()
    one, none = piece(1, 16), piece(0, 16)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(16_000):
        reassembler.feed(one)
        reassembler.feed(none)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert reassembler.held == 16_000
    assert grown < 2 * 16_384


def test_a_relay_holds_so_many_unfinished_bytes_and_no_more():
    network = MemoryNetwork(30)
    relay, other = network.relay(), network.relay()
    core = relay.core
    core._parts = replace(core._parts, unfinished_bytes_max=20_000)
    hoarder, honest = network.client(), network.client()
    hoards = [hoarder.circuit([other, relay], cell_class=0) for _ in range(30)]
    network.run()
    for owner in hoards:
        send(owner, piece(1_000))
        network.run()
        assert core.unfinished_bytes <= 20_000
    ended = [owner.reason for owner in hoards if owner.reason is not None]
    assert len(ended) == 10
    assert core.breaches == {"MemoryNeededError": 10}
    echo = honest.circuit([other, relay])
    network.run()
    echo.circuit.send_control(Command.ECHO, b"still here")
    network.run()
    assert len(echo.take(Command.RESULT)) == 1
    for owner in hoards:
        owner.circuit.close()
    network.run()
    assert core.unfinished_bytes == 0


def test_what_is_unfinished_is_counted_exactly():
    """Through messages that end, break off, grow too long, and circuits that die."""
    network = MemoryNetwork(31)
    relay = network.relay()
    core, client = relay.core, network.client()
    ends = []
    for last in (None, piece(0) + b"", b"\xff" * 1_008, piece(1_000)):
        owner = client.circuit([relay], cell_class=0)
        network.run()
        for _ in range(16):
            send(owner, piece(1_000))
        network.run()
        assert core.unfinished_bytes == 16_000
        if last is None:
            owner.circuit.close()
        else:
            send(owner, last)
            network.run()
            owner.circuit.close()
        network.run()
        ends.append(owner.reason)
        assert core.unfinished_bytes == 0
    assert ends == [None, None, Status.PROTO, Status.PROTO]
