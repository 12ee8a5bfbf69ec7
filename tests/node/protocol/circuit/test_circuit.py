"""Circuits through real relays: opening, cells, commands, ends."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.protocol.circuit.bodies import Introduction, IntroductionWait, Result
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import BLOB, COOKIE, Meeting, register
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
    echoes = [(hop, Result(Command.ECHO, Status.OK, bytes([hop]) * 9).encode()) for hop in range(4)]
    assert sorted((hop, data) for hop, _, data in owner.controls) == echoes


@pytest.mark.parametrize("cell_class", range(4))
@pytest.mark.parametrize("real_time", [False, True])
def test_introduction_rendezvous_and_cells_both_ways(cell_class, real_time):
    network = MemoryNetwork(cell_class, cuts_small=cell_class < 2)
    meeting = Meeting(network, cell_class, real_time=real_time)
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    key = private.public_key().public_bytes_raw()
    standing = meeting.service.circuit(
        [*meeting.service_path, meeting.intro], Command.INTRO_REGISTER, register(private)
    )
    listener = meeting.listen()
    network.run()
    introduced = meeting.client.circuit(
        [*meeting.client_path, network.relay(), meeting.intro],
        Command.INTRODUCE,
        Introduction(key, BLOB).encode(),
    )
    network.run()
    assert introduced.message == b""
    assert standing.take(Command.INTRODUCTION) == [BLOB]
    joiner = meeting.join(blob=b"b" * 2048)
    network.run()
    assert listener.take(Command.JOINED) == [b"b" * 2048]
    size = CELL_SIZES[cell_class]
    sent = [[network.random.randbytes(size) for _ in range(300)] for _ in range(2)]
    for owner, cells in zip((listener, joiner), sent, strict=True):
        waiting = list(cells)

        def pump(owner=owner, waiting=waiting):
            while waiting and owner.circuit.room():
                owner.send(waiting.pop(0))

        owner.on_room = pump
        pump()
    network.run()
    # 300 cells pass the change of keys after 256 in every layer.
    assert joiner.cells == sent[0]
    assert listener.cells == sent[1]
    assert meeting.point.core.cells_relayed == 600


def test_introduce_and_wait_at_one_relay():
    network = MemoryNetwork(1)
    meeting = Meeting(network)
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    key = private.public_key().public_bytes_raw()
    standing = meeting.service.circuit(
        [*meeting.service_path, meeting.point], Command.INTRO_REGISTER, register(private)
    )
    network.run()
    caller = meeting.client.circuit(
        [*meeting.client_path, meeting.point],
        Command.INTRODUCE_WAIT,
        IntroductionWait(key, COOKIE, BLOB).encode(),
    )
    network.run()
    assert caller.message == b""
    assert standing.take(Command.INTRODUCTION) == [BLOB]
    meeting.join()
    network.run()
    assert caller.take(Command.JOINED) == [bytes(2048)]


def test_introduce_and_wait_for_nobody_leaves_no_cookie():
    network = MemoryNetwork(2)
    meeting = Meeting(network)
    caller = meeting.client.circuit(
        [*meeting.client_path, meeting.point],
        Command.INTRODUCE_WAIT,
        IntroductionWait(b"k" * 32, COOKIE, BLOB).encode(),
    )
    network.run()
    assert caller.error.status is Status.NOT_FOUND
    assert meeting.point.core.cookies == 0
