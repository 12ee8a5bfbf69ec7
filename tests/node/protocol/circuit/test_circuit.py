"""Circuits through real relays: opening, cells, commands, ends."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
    IntroductionWait,
    Joining,
    Listening,
    Registration,
    Result,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def path(network, count):
    return [network.relay() for _ in range(count)]


@pytest.mark.parametrize("hops", [1, 2, 3, 4, 5])
def test_a_circuit_of_any_length_opens(hops):
    network = MemoryNetwork(hops)
    owner = network.client().circuit(path(network, hops))
    network.run()
    assert owner.message == b""
    assert owner.error is None


@pytest.mark.parametrize("cell_class", range(4))
def test_every_hop_answers_an_echo_at_every_class(cell_class):
    network = MemoryNetwork(cell_class, cuts_small=cell_class < 2)
    owner = network.client().circuit(path(network, 4), cell_class=cell_class)
    network.run()
    for hop in range(4):
        owner.circuit.send_control(Command.ECHO, bytes([hop]) * 9, hop)
    network.run()
    echoes = [
        (hop, Result(Command.ECHO, Status.OK, bytes([hop]) * 9).encode()) for hop in range(4)
    ]
    assert sorted((hop, data) for hop, _, data in owner.controls) == echoes
