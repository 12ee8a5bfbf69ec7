"""Who is introduced, how often, and while it is away."""

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import BLOB, KEY, PRIVATE, circuit, register, relays
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def standing(network, path, rate=600, burst=16):
    return circuit(network, path, Command.INTRO_REGISTER, register(PRIVATE, rate, burst))


def introduce(network, path, key=KEY):
    return circuit(network, path, Command.INTRODUCE, Introduction(key, BLOB).encode())


def test_introducing_nobody_is_not_found():
    network = MemoryNetwork(40)
    assert introduce(network, relays(network, 3)).error.status is Status.NOT_FOUND


def test_a_registration_for_another_circuit_is_refused():
    network = MemoryNetwork(41)
    path = relays(network, 2)
    body = register(PRIVATE)(b"another circuit's binding.......")
    owner = circuit(network, path, Command.INTRO_REGISTER, body)
    assert owner.error.status is Status.SIGNATURE
    assert path[1].core.introduction_keys == 0


def test_introductions_are_limited_to_what_the_service_wants():
    network = MemoryNetwork(42)
    path = relays(network, 2)
    service = standing(network, path, rate=60, burst=3)
    answers = [introduce(network, path).message for _ in range(4)]
    assert answers == [b"", b"", b"", None]
    network.advance(1.0)
    assert introduce(network, path).message == b""
    assert len(service.take(Command.INTRODUCTION)) == 4


def test_introductions_wait_for_a_service_that_lost_its_circuit():
    network = MemoryNetwork(43)
    guard, other_guard, point = relays(network, 3)
    client_path = [*relays(network, 2), point]
    service = standing(network, [guard, point])
    network.kill(guard)
    network.run()
    answers = [introduce(network, client_path).message for _ in range(17)]
    assert answers == [b""] * 16 + [None]
    network.advance(19.0)
    again = standing(network, [other_guard, point])
    assert len(again.take(Command.INTRODUCTION)) == 16
    assert not service.take(Command.INTRODUCTION)


def test_a_service_that_does_not_come_back_is_forgotten():
    network = MemoryNetwork(44)
    guard, point = relays(network, 2)
    standing(network, [guard, point])
    network.kill(guard)
    network.run()
    assert point.core.introduction_keys == 1
    network.advance(24.0)
    assert point.core.introduction_keys == 0
    assert introduce(network, [*relays(network, 1), point]).error.status is Status.NOT_FOUND


def test_the_newest_registration_of_a_key_is_served():
    network = MemoryNetwork(45)
    path = relays(network, 2)
    first, second = standing(network, path), standing(network, path)
    introduce(network, path)
    assert first.reason is Status.CLOSED
    assert second.take(Command.INTRODUCTION) == [BLOB]
