"""A relay among relays: how circuits end, and what is left of them."""

import gc
import tracemalloc

import pytest

from peerstream.node.protocol.circuit.errors import (
    CircuitDestroyedError,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES, SETUP_SIZE
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.circuit.meeting import (
    Meeting,
    circuit,
    everybody_forgot,
    relays,
)
from tests.node.protocol.circuit.memory_network import MemoryNetwork


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


def test_ten_thousand_circuits_leave_nothing_behind(alone):
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


def test_the_circuit_that_is_idle_longest_makes_room_for_a_newcomer():
    network = MemoryNetwork(62)
    (relay,) = relays(network, 1)
    object.__setattr__(relay.core._parts, "circuits_max", 3)
    oldest, busy = (circuit(network, [relay]) for _ in range(2))
    network.advance(10.0)
    younger = circuit(network, [relay])
    network.advance(40.0)
    busy.circuit.send_control(Command.ECHO, b"in use")  # since the last sweep
    network.run()
    newcomer = circuit(network, [relay])
    assert newcomer.message == b""
    assert oldest.reason is Status.LIMIT
    assert (busy.reason, younger.reason) == (None, None)
    assert relay.core.breaches["CircuitIdleError"] == 1
    assert relay.core.circuits == 3


def test_nobody_makes_room_for_a_setup_that_does_not_open():
    network = MemoryNetwork(63)
    (relay,) = relays(network, 1)
    object.__setattr__(relay.core._parts, "circuits_max", 2)
    owners = [circuit(network, [relay]) for _ in range(2)]
    network.advance(60.0)
    link = network.connect_client(network.client(), relay)
    header = relay.hop(network).header()
    for _ in range(2):
        frame = header + network.entropy(SETUP_SIZE - len(header))
        link.send(link.open_circuit_id(), FrameType.SETUP, frame)
    network.run()
    assert relay.core.breaches["SetupForgedError"] == 2
    assert [owner.reason for owner in owners] == [None, None]


def test_where_nobody_is_idle_all_circuits_are_looked_at_once_and_not_for_each_newcomer():
    network = MemoryNetwork(64)
    (relay,) = relays(network, 1)
    object.__setattr__(relay.core._parts, "circuits_max", 2)
    owners = [circuit(network, [relay]) for _ in range(2)]
    late = [circuit(network, [relay]) for _ in range(3)]
    assert [owner.error.status for owner in late] == [Status.BUSY] * 3
    assert len(relay.records) == 3  # of the two, and of the first newcomer: the rest was not opened
    network.advance(60.0)
    assert circuit(network, [relay]).message == b""
    assert [owner.reason for owner in owners].count(Status.LIMIT) == 1


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
