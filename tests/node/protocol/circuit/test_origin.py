"""The owner's side: deadlines, keepalive, hops that speak nonsense, calls in the wrong state."""

import itertools

import pytest

from peerstream.node.protocol.circuit.errors import (
    CircuitDestroyedError,
    CircuitStateError,
    LinkFullError,
)
from peerstream.node.protocol.circuit.port import CellPort
from peerstream.node.protocol.onion.errors import BadReplyError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES, REPLY_SIZE
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def opened(network, hops=3):
    path = [network.relay() for _ in range(hops)]
    owner = network.client().circuit(path)
    network.run()
    return owner, path


def relay_circuit(relay):
    (circuit,) = relay.core._circuits
    return circuit


def test_a_circuit_is_a_cell_port():
    network = MemoryNetwork(1)
    port: CellPort = opened(network)[0].circuit
    assert port.cell_size == CELL_SIZES[2]
    assert port.room() == 32
    assert len(port.new_cell()) == CELL_SIZES[2] + 24


def test_calls_in_the_wrong_state_are_our_bug():
    network = MemoryNetwork(2)
    relay = network.relay()
    owner = network.client().circuit([relay])
    circuit = owner.circuit
    assert circuit.room() == 0
    with pytest.raises(CircuitStateError):
        circuit.send_control(Command.ECHO, b"")
    with pytest.raises(CircuitStateError):
        circuit.send_cell(circuit.new_cell())
    circuit.close()
    circuit.close()
    with pytest.raises(CircuitStateError):
        circuit.open(b"", bucket=0, entropy=network.entropy, now=0.0)


def test_a_closed_link_takes_no_circuit():
    network = MemoryNetwork(3)
    relay = network.relay()
    client = network.client()
    first = client.circuit([relay]).circuit
    first._link.close()
    again = type(first)(first._link, first.path, owner=first._owner, cell_class=2)
    with pytest.raises(LinkFullError):
        again.open(b"", bucket=0, entropy=network.entropy, now=0.0)
    assert isinstance(first._owner.error, CircuitDestroyedError)
    assert "1 hops" in repr(first)


def test_a_changed_reply_blames_a_pair_of_hops():
    network = MemoryNetwork(4)
    path = [network.relay() for _ in range(3)]
    owner = network.client().circuit(path)
    for _ in range(20):
        network.step()
        if path[2].core.circuits:
            break
    circuit = relay_circuit(path[1])
    network.run()
    assert owner.message == b""
    owner = network.client().circuit(path)
    circuits = set(path[1].core._circuits)
    while len(path[1].core._circuits) == len(circuits):
        network.step()
    (circuit,) = path[1].core._circuits - circuits
    circuit.reply_received(bytes(REPLY_SIZE))
    network.run()
    assert isinstance(owner.error, BadReplyError)
    assert owner.error.hop == 2


def test_every_open_circuit_is_kept_alive_every_three_to_eight_minutes():
    network = MemoryNetwork(5)
    owner, path = opened(network)
    times, seen = [], 0
    for _ in range(4_000):
        network.advance(1.0)
        kept = relay_circuit(path[2])._kept
        if kept != seen:
            times.append(network.now)
            seen = kept
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert len(gaps) > 6
    assert all(180 <= gap <= 481 for gap in gaps)
    assert len(set(gaps)) > 3
    assert owner.reason is None


@pytest.mark.parametrize(
    "body",
    [
        b"\xfe\0\0\0",  # no such command
        b"\x42\2\0\0",  # a flag of the future
        b"\x42\0\xff\xff",  # more data than a cell
    ],
)
def test_a_hop_that_speaks_nonsense_loses_its_circuit(body):
    network = MemoryNetwork(6)
    owner, path = opened(network)
    circuit = relay_circuit(path[1])
    buffer = circuit._buffers.take(CELL_SIZES[2])
    inside = buffer[8:]
    inside[:] = bytes(len(inside))
    inside[:16] = circuit._backward.originate()
    inside[16 : 16 + len(body)] = body
    circuit._backward.encipher(inside[: CELL_SIZES[2]], inside)
    circuit.up.push_own(buffer)
    network.run()
    assert owner.reason is Status.PROTO
    assert sum(owner.circuit._link.breaches.values()) == 1
    assert [relay.core.circuits for relay in path] == [0, 0, 0]


def test_only_the_last_hop_can_say_that_the_far_half_is_lost():
    network = MemoryNetwork(7)
    owner, path = opened(network)
    relay_circuit(path[0]).send_control(Command.PEER_LOST, b"")
    network.run()
    assert owner.controls == [(0, Command.PEER_LOST, b"")]
    assert owner.circuit.room()


def test_a_message_longer_than_a_cell_crosses_from_and_to_every_hop():
    network = MemoryNetwork(8)
    path = [network.relay() for _ in range(4)]
    owner = network.client().circuit(path, cell_class=0)
    network.run()
    long = network.entropy(5_000)
    for hop, relay in enumerate(path):
        relay_circuit(relay).send_control(Command.DIR_RECORD, long)
        owner.circuit.send_control(Command.PAD_DROP, long, hop)
    network.run()
    assert sorted(hop for hop, _, data in owner.controls if data == long) == [0, 1, 2, 3]
    assert owner.reason is None


def test_an_owner_that_closes_while_it_is_told_something_is_left_alone():
    network = MemoryNetwork(9)
    listener, joiner = Meeting(network).meet()
    listener.cell_received = lambda _buffer: listener.circuit.close()
    for _ in range(3):
        joiner.send(bytes(CELL_SIZES[2]))
    network.run()
    assert listener.reason is None
    assert joiner.take(Command.PEER_LOST)
