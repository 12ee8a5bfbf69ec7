"""Who is introduced, how often, and while it is away."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import (
    BLOB,
    KEY,
    PASS_NAME,
    PRIVATE,
    circuit,
    register,
    relays,
)
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


def test_contacts_have_a_rate_of_their_own():
    network = MemoryNetwork(46)
    path = relays(network, 2)
    service = standing(network, path, rate=60, burst=2)
    assert [introduce(network, path).message for _ in range(3)] == [b"", b"", None]
    passed = [introduce(network, path, PASS_NAME).message for _ in range(3)]
    assert passed == [b"", b"", None]
    assert service.take(Command.INTRODUCTION) == [BLOB] * 4


def test_strangers_leave_room_for_contacts_while_the_service_is_away():
    network = MemoryNetwork(47)
    guard, other_guard, point = relays(network, 3)
    client_path = [*relays(network, 2), point]
    standing(network, [guard, point], rate=6_000, burst=200)
    network.kill(guard)
    network.run()
    assert [introduce(network, client_path).message for _ in range(17)][-1] is None
    passed = [introduce(network, client_path, PASS_NAME).message for _ in range(5)]
    assert passed == [b""] * 4 + [None]
    again = standing(network, [other_guard, point])
    assert len(again.take(Command.INTRODUCTION)) == 20


def test_a_pass_name_takes_nothing_of_anybody_elses():
    network = MemoryNetwork(48)
    path = relays(network, 2)
    thief = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
    early = circuit(network, path, Command.INTRO_REGISTER, register(thief, pass_name=KEY))
    victim = standing(network, path)
    late = circuit(network, path, Command.INTRO_REGISTER, register(thief, pass_name=KEY))
    other = circuit(network, path, Command.INTRO_REGISTER, register(thief, pass_name=PASS_NAME))
    introduce(network, path)
    introduce(network, path, PASS_NAME)
    assert victim.take(Command.INTRODUCTION) == [BLOB] * 2
    assert not [own for own in (early, late, other) if own.take(Command.INTRODUCTION)]
    other.circuit.close()
    network.run()
    network.advance(24.0)
    assert introduce(network, path).message == introduce(network, path, PASS_NAME).message == b""


def test_a_pass_name_ends_with_its_key():
    network = MemoryNetwork(49)
    guard, point = relays(network, 2)
    service = standing(network, [guard, point])
    service.circuit.close()
    network.run()
    network.advance(24.0)
    refused = introduce(network, [*relays(network, 1), point], PASS_NAME)
    assert refused.error.status is Status.NOT_FOUND


def test_one_circuit_introduces_four_times():
    network = MemoryNetwork(50)
    path = relays(network, 2)
    service = standing(network, path)
    caller = introduce(network, path)
    for _ in range(6):
        caller.circuit.send_control(Command.INTRODUCE, Introduction(KEY, BLOB).encode())
    network.run()
    assert len(service.take(Command.INTRODUCTION)) == 4
    network.advance(10.5)
    caller.circuit.send_control(Command.INTRODUCE, Introduction(KEY, BLOB).encode())
    network.run()
    assert len(service.take(Command.INTRODUCTION)) == 5
