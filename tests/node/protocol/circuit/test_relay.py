"""A relay among relays: what fails, what is refused, what ends, what it keeps."""

import gc
import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.protocol.circuit.bodies import (
    Introduction,
    Joining,
    Listening,
    Result,
    encode_payload,
)
from peerstream.node.protocol.circuit.errors import (
    CircuitDestroyedError,
    CircuitTimeoutError,
    UnexpectedCellError,
)
from peerstream.node.protocol.circuit.leg import OWN_CELLS_MAX
from peerstream.node.protocol.onion.errors import CircuitRefusedError
from peerstream.node.protocol.onion.setup import Hop, build_setup
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType, encode_frame
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import BLOB, COOKIE, Meeting, register
from tests.node.protocol.circuit.memory_network import MemoryNetwork

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEY = PRIVATE.public_key().public_bytes_raw()


def relays(network, count):
    return [network.relay() for _ in range(count)]


def circuit(network, path, *arguments, **options):
    owner = network.client().circuit(path, *arguments, **options)
    network.run()
    return owner


def everybody_forgot(network):
    assert [relay.core.circuits for relay in network.relays.values()] == [0] * len(network.relays)
    assert all(link.circuits == 0 for cable in network.cables for link in cable.ends)


# Ends


@pytest.mark.parametrize("closer", ["owner", "CLOSE", *range(1, 4)])
def test_every_way_to_end_a_circuit_ends_it_everywhere(closer):
    network = MemoryNetwork(1)
    path = relays(network, 4)
    owner = circuit(network, path)
    if closer == "owner":
        owner.circuit.close()
    elif closer == "CLOSE":
        owner.circuit.finish()
    else:
        network.kill(path[closer])
    network.run()
    everybody_forgot(network)
    assert owner.reason is (None if closer == "owner" else Status.CLOSED)


def test_a_circuit_may_be_closed_by_a_hop_in_the_middle_when_its_owner_asks():
    network = MemoryNetwork(2)
    owner = circuit(network, relays(network, 3))
    owner.circuit.send_control(Command.CLOSE, b"", 1)
    network.run()
    everybody_forgot(network)


def test_a_cell_for_nobody_ends_the_circuit():
    network = MemoryNetwork(3)
    path = relays(network, 3)
    owner = circuit(network, path)
    owner.send(bytes(CELL_SIZES[2]))
    network.run()
    assert owner.reason is Status.CLOSED  # the reason stays between the last two hops
    assert path[2].core.breaches == {"UnexpectedCellError": 1}
    everybody_forgot(network)


def test_a_garbled_cell_is_noise_at_the_end():
    network = MemoryNetwork(4)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    leg = next(iter(meeting.client.links.values()))._legs[0x8000_0001]
    listener.send(bytes(CELL_SIZES[2]))
    leg.waiting[0][5_000] ^= 1
    network.run()
    assert len(joiner.cells) == 1
    assert joiner.cells[0].count(0) < 200


def test_idle_circuits_end_and_the_kept_alive_do_not():
    network = MemoryNetwork(5)
    path = relays(network, 3)
    kept = circuit(network, path)
    left = network.client()
    owner = left.circuit(path)
    network.run()
    left.circuits.clear()  # nobody ticks it: no keepalive
    network.advance(1_500.0, tick=10.0)
    assert owner.reason is Status.CLOSED
    assert kept.reason is None
    network.advance(86_400.0, tick=30.0)
    assert kept.reason is Status.CLOSED
    everybody_forgot(network)


def test_a_circuit_works_after_its_contexts_were_dropped():
    network = MemoryNetwork(6)
    listener, joiner = Meeting(network).meet()
    for number in range(4):
        network.advance(60.0, tick=2.0)
        listener.send(bytes([number]) * CELL_SIZES[2])
        network.run()
    assert joiner.cells == [bytes([number]) * CELL_SIZES[2] for number in range(4)]


# Opening


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


def test_a_path_may_not_turn_back_at_once():
    network = MemoryNetwork(17)
    first, second = relays(network, 2)
    owner = circuit(network, [first, second, first])
    assert (owner.error.hop, owner.error.status) == (1, Status.NO_ROUTE)


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


# Commands


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


# Introductions


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


# Rendezvous


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


# What it keeps


def test_ten_thousand_circuits_leave_nothing_behind():
    network = MemoryNetwork(60)
    (relay,) = relays(network, 1)
    client = network.client()

    def open_and_close(count):
        for _ in range(count):
            owner = client.circuit([relay], cell_class=0)
            network.run()
            owner.circuit.close()
            network.run()
            client.circuits.clear()
        relay.records.clear()
        network.advance(2_000.0, tick=500.0)  # the replay filter forgets
        gc.collect()

    open_and_close(200)
    tracemalloc.start()
    open_and_close(100)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    open_and_close(9_600)
    tracemalloc.start()
    open_and_close(100)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    everybody_forgot(network)
    assert after - before < 20_000


def test_a_relay_that_holds_too_much_drops_the_slowest_readers():
    network = MemoryNetwork(61)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    other = network.relay()
    alive = circuit(network, [meeting.point, other])
    joiner.circuit._leg.grant_at = 1 << 60
    network.cable(joiner.circuit._link).blocked.add(joiner.circuit._link)
    while listener.circuit.room():
        listener.send(bytes(CELL_SIZES[2]))
    network.run()
    slowest = max(network.relays.values(), key=lambda relay: relay.core.held_bytes)
    assert slowest.core.held_bytes >= slowest.queued() > 0
    object.__setattr__(slowest.core._parts, "held_bytes_max", 8 * CELL_SIZES[2])
    refused = network.client().circuit([slowest])
    network.run()
    assert isinstance(refused.error, CircuitDestroyedError)
    assert refused.error.status is Status.BUSY
    network.advance(1.0)
    assert slowest.core.breaches["MemoryNeededError"] == 1
    assert slowest.core.held_bytes <= 8 * CELL_SIZES[2]
    assert alive.reason is None


def test_a_relay_with_all_its_circuits_is_busy():
    network = MemoryNetwork(62)
    (relay,) = relays(network, 1)
    object.__setattr__(relay.core._parts, "circuits_max", 2)
    owners = [circuit(network, [relay]) for _ in range(3)]
    assert [owner.message for owner in owners] == [b"", b"", None]
    assert owners[2].error.status is Status.BUSY


def test_a_hostile_neighbour_takes_only_its_own_circuits_along():
    network = MemoryNetwork(63)
    meeting = Meeting(network)
    listener, joiner = meeting.meet()
    guard = meeting.client_path[0]
    attacker = network.client()
    doomed = attacker.circuit([guard, meeting.client_path[1]])
    network.run()
    link = attacker.links[guard.relay_id]
    cable = network.cable(link)
    cable.deliver(guard.links[-1], b"\xff" * 64)
    network.cables.remove(cable)
    network.run()
    assert [type(error).__name__ for error in cable.errors] == ["FrameError"]
    assert doomed.reason is Status.CLOSED
    listener.send(b"x" * CELL_SIZES[2])
    network.run()
    assert joiner.cells == [b"x" * CELL_SIZES[2]]


def test_a_full_replay_filter_is_busy_and_not_the_client_s_fault():
    network = MemoryNetwork(64)
    (relay,) = relays(network, 1)
    relay.core._parts.replay_filter._design_load = 1
    owners = [circuit(network, [relay]) for _ in range(6)]
    assert [owner.message for owner in owners] == [b"", b""] + [None] * 4
    assert {owner.error.status for owner in owners[2:]} == {Status.BUSY}


def test_a_link_too_slow_for_new_circuits_refuses_them():
    network = MemoryNetwork(65)
    first, second = relays(network, 2)
    cable = network.connect_relays(first, second)
    network.run()
    cable.cut = True  # nothing is fetched from it any more
    client = network.client()
    owners = []
    for _ in range(140):
        owners.append(client.circuit([first, second]))
        network.run()
    refused = [owner for owner in owners if owner.error is not None]
    assert 0 < len(refused) < 20
    assert {(owner.error.hop, owner.error.status) for owner in refused} == {(0, Status.BUSY)}


def test_too_many_dials_are_refused():
    network = MemoryNetwork(66)
    first, second = relays(network, 2)
    network._dial = lambda _relay, _relay_id: None
    client = network.client()
    for _ in range(1_025):
        owner = client.circuit([first, second])
        network.run()
    assert owner.error.status is Status.BUSY
    network.advance(6.0)
    assert first.core.circuits == 0
