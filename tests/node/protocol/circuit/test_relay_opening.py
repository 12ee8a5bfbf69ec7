"""SETUPs that fail, lie, loop or come twice."""

import pytest

from peerstream.node.protocol.circuit.bodies import (
    Result,
    encode_payload,
)
from peerstream.node.protocol.circuit.errors import (
    CircuitDestroyedError,
    CircuitTimeoutError,
    UnexpectedCellError,
)
from peerstream.node.protocol.onion.errors import CircuitRefusedError
from peerstream.node.protocol.onion.setup import Hop, build_setup
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType, encode_frame
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import circuit, everybody_forgot, relays
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def test_a_dead_hop_is_named_to_the_owner():
    network = MemoryNetwork(10)
    path = relays(network, 4)
    network.kill(path[2])
    owner = circuit(network, path)
    assert isinstance(owner.error, CircuitRefusedError)
    assert (owner.error.hop, owner.error.status) == (1, Status.CONNECT)
    network.advance(60.0)
    everybody_forgot(network)


def test_a_relay_nobody_knows_is_no_route():
    network = MemoryNetwork(11)
    path = relays(network, 3)
    del network.relays[path[2].relay_id]
    owner = circuit(network, path)
    assert (owner.error.hop, owner.error.status) == (1, Status.NO_ROUTE)


def test_a_dial_that_takes_too_long_is_answered_after_five_seconds():
    network = MemoryNetwork(12)
    path = relays(network, 3)
    network._dial = lambda _relay, _relay_id: None
    owner = circuit(network, path)
    network.advance(4.0)
    assert owner.error is None
    network.advance(1.0)
    assert (owner.error.hop, owner.error.status) == (0, Status.TIMEOUT)
    assert path[0].core.circuits == 0


def test_a_silent_hop_is_the_owner_s_timeout_and_forgotten_by_relays():
    network = MemoryNetwork(13)
    path = relays(network, 3)
    network.connect_relays(path[1], path[2])
    network.run()
    network.cables[0].blocked.add(network.cables[0].ends[1])
    for link in network.cables[0].ends:
        link.tick = lambda _now: None  # the link looks alive
    client = network.client()
    owner = client.circuit(path)
    network.run()
    network.advance(10.0)
    assert isinstance(owner.error, CircuitTimeoutError)
    network.advance(2.0)
    assert path[0].core.circuits == 0


def test_relays_drop_a_silent_circuit_themselves():
    network = MemoryNetwork(14)
    path = relays(network, 3)
    network.connect_relays(path[1], path[2])
    network.run()
    network.cables[0].blocked.add(network.cables[0].ends[1])
    for link in network.cables[0].ends:
        link.tick = lambda _now: None
    client = network.client()
    client.circuit(path)
    client.circuits.clear()  # an owner without a deadline
    network.run()
    network.advance(58.0, tick=2.0)
    assert path[0].core.circuits == path[1].core.circuits == 1
    network.advance(6.0, tick=2.0)
    assert path[0].core.circuits == path[1].core.circuits == 0


def test_a_hop_that_destroys_while_opening_is_answered_by_the_one_before():
    network = MemoryNetwork(15)
    path = relays(network, 3)
    stale = MemoryNetwork(16).relay()
    hops = [path[0].hop(network), path[1].hop(network)]
    hops.append(Hop(path[2].relay_id, stale.hop(network).onion_key))  # a key it does not have
    client = network.client()
    owner = client.circuit(path)
    owner.circuit.close()
    network.run()
    owner = client.circuit(path[:1])
    owner.circuit.close()
    network.run()
    again = client.circuit(path)
    again.circuit.close()
    fresh = type(again.circuit)(next(iter(client.links.values())), hops, owner=again, cell_class=2)
    fresh.open(
        encode_payload(Command.OPEN, b""),
        bucket=network.wall // 600,
        entropy=network.entropy,
        now=network.now,
    )
    network.run()
    assert (again.error.hop, again.error.status) == (1, Status.CLOSED)
    assert path[2].core.breaches == {"SetupKeyError": 1}
    everybody_forgot(network)


@pytest.mark.parametrize("path", ["aba", "abac", "abcb", "abab"])
def test_a_path_may_turn_back(path):
    """A relay that refused would tell a stranger who names rendezvous points who our guard is."""
    network = MemoryNetwork(17)
    known = dict(zip("abc", relays(network, 3), strict=True))
    owner = circuit(network, [known[name] for name in path])
    assert owner.error is None
    for hop in range(len(path)):
        owner.circuit.send_control(Command.ECHO, bytes([hop]), hop)
    network.run()
    assert len(owner.take(Command.RESULT)) == len(path)
    owner.circuit.close()
    network.run()
    everybody_forgot(network)


def test_the_first_hop_destroys_before_the_reply():
    network = MemoryNetwork(18)
    path = relays(network, 1)
    client = network.client()
    owner = client.circuit(path)
    path[0].core._wall += 7_200
    network.run()
    assert isinstance(owner.error, CircuitDestroyedError)
    assert path[0].core.breaches == {"SetupExpiredError": 1}


def raw_setup(network, relay, payload=b"\1\1\0\0", wall=None):
    return build_setup(
        [relay.hop(network)],
        payload,
        cell_class=2,
        real_time=False,
        bucket=(wall or network.wall) // 600,
        entropy=network.entropy,
    ).frame


def test_a_replayed_setup_is_silence_also_on_another_link():
    network = MemoryNetwork(19)
    (relay,) = relays(network, 1)
    first, second = network.client(), network.client()
    frame = raw_setup(network, relay)
    for client in (first, second):
        link = network.connect_client(client, relay)
        link.send(link.open_circuit_id(), FrameType.SETUP, frame)
        network.run()
    assert relay.core.circuits == 1
    assert relay.core.breaches == {"SetupReplayedError": 1}
    assert len(relay.records) == 1


@pytest.mark.parametrize("where", [0, 4, 5, 700, 1_130, 9_000, 16_383])
def test_a_changed_setup_is_silence(where):
    network = MemoryNetwork(20)
    (relay,) = relays(network, 1)
    frame = bytearray(raw_setup(network, relay))
    frame[where] ^= 0x40
    link = network.connect_client(network.client(), relay)
    link.send(link.open_circuit_id(), FrameType.SETUP, bytes(frame))
    network.run()
    assert relay.core.circuits == 0
    assert not relay.records
    assert sum(relay.core.breaches.values()) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",  # random filling only
        b"\xff\1\0\0",  # no such command
        b"\1\2\0\0",  # no such version
        b"\1\1\xff\xff",  # longer than the payload
        encode_payload(Command.OPEN, b"x"),
        encode_payload(Command.PAD_DROP, b""),
        encode_payload(Command.PEER_LOST_SEEN, b""),
        encode_payload(Command.DIR_GET, b""),  # no directory here
        encode_payload(Command.JOINED, b""),
        encode_payload(Command.INTRO_REGISTER, bytes(99)),
        encode_payload(Command.INTRODUCE, bytes(99)),
        encode_payload(Command.INTRODUCE_WAIT, bytes(99)),
        encode_payload(Command.RDV_LISTEN, bytes(34)),
        encode_payload(Command.RDV_LISTEN, bytes(32) + b"\xff\xff"),
        encode_payload(Command.RDV_JOIN, bytes(99)),
    ],
)
def test_a_payload_that_makes_no_sense_is_refused(payload):
    network = MemoryNetwork(21)
    (relay,) = relays(network, 1)
    client = network.client()
    owner = client.circuit([relay])
    owner.circuit.close()
    fresh = type(owner.circuit)(
        client.links[relay.relay_id], [relay.hop(network)], owner=owner, cell_class=2
    )
    fresh.open(payload, bucket=network.wall // 600, entropy=network.entropy, now=network.now)
    network.run()
    assert isinstance(owner.error, CircuitRefusedError)
    assert owner.error.status is Status.PROTO
    everybody_forgot(network)


def test_a_cell_before_the_reply_is_refused():
    network = MemoryNetwork(22)
    (relay,) = relays(network, 1)
    client = network.client()
    owner = client.circuit([relay])
    link = client.links[relay.relay_id]
    hello = b"".join(relay.links[0].data_to_send(1_000))
    link.receive_data(hello, 0.0)
    link.receive_data(encode_frame(0x8000_0001, FrameType.CELL, bytes(CELL_SIZES[2])), network.now)
    assert isinstance(owner.error, UnexpectedCellError)


def test_a_second_reply_is_dropped():
    network = MemoryNetwork(23)
    path = relays(network, 2)
    owner = circuit(network, path)
    path[1].links[0].send(0x8000_0001, FrameType.REPLY, bytes(1_024))
    path[0].links[0].send(0x8000_0001, FrameType.REPLY, bytes(1_024))
    network.run()
    assert owner.reason is None
    owner.circuit.send_control(Command.ECHO, b"alive")
    network.run()
    assert owner.take(Command.RESULT) == [Result(Command.ECHO, Status.OK, b"alive").encode()]
