"""Networks of relays: they find each other, carry circuits, change keys, come back."""

import pytest
import trio

from peerstream.node.ports import SourceSnapshot, StorageError
from peerstream.node.protocol.directory.errors import NoDescriptorError
from peerstream.node.protocol.onion.errors import CircuitRefusedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.status import Status
from tests.node.roles.relays import (
    START_WALL,
    MemoryStorage,
    World,
    ask,
    open_circuit,
    until,
)

EPOCH_S = 600


def all_usable(nodes):
    return lambda: all(node.usable for node in nodes)


async def start_usable(world, numbers=None, within=5):
    """Start the relays of a world, and return them once each of them is usable."""
    nodes = await world.start(numbers)
    await until(all_usable(nodes), within)
    return nodes


async def test_twelve_relays_find_each_other_within_seconds(nursery, autojump_clock):
    world = World(nursery, 12)
    nodes = await world.start()
    assert await until(all_usable(nodes), 5) < 3
    assert sum(node.links.asked for node in nodes) < 12 * 40  # nobody is asked by all all the time
    await trio.sleep(10)
    for node in nodes:
        assert len(node.keeper.directory.signed_addresses()) == 12
        assert not node.keeper.causes


async def test_two_first_addresses_are_enough(nursery, autojump_clock):
    world = World(nursery, 12)
    snapshot = world.source.snapshot
    first = {r.relay_id: (r.endpoint,) for r in world.identities[:2]}
    world.source.snapshot = SourceSnapshot(snapshot.views, snapshot.identities, endpoints=first)
    await start_usable(world, within=15)
    client = await world.start_client()
    assert client.usable


async def test_a_circuit_goes_through_relays_that_had_no_link(nursery, autojump_clock):
    world = World(nursery, 4)
    nodes = await start_usable(world)
    client = await world.start_client()
    path = [node.relay_id for node in nodes[:3]]
    owner = await open_circuit(client, path)
    assert owner.message == b""
    assert await ask(client, owner, Command.ECHO, b"are you there?") is Status.OK
    assert nodes[1].relay.core.cells_relayed > 0
    assert [node.relay.statistics()["circuits"] for node in nodes] == [1, 1, 1, 0]
    world.internet.cut(path[0], path[1])
    await until(lambda: owner.reason is not None, 5)
    assert [node.relay.core.circuits for node in nodes] == [0, 0, 0, 0]


async def test_a_next_hop_that_is_down_or_unlisted_is_named_to_the_owner(nursery, autojump_clock):
    world = World(nursery, 4)
    nodes = await start_usable(world)
    client = await world.start_client()
    path = [node.relay_id for node in nodes[:2]]
    world.internet.refusing.add(path[1])
    owner = await open_circuit(client, path)
    assert isinstance(owner.error, CircuitRefusedError)
    assert (owner.error.hop, owner.error.status) == (0, Status.CONNECT)
    unlisted = [world.identities[n] for n in (0, 2, 3)]
    nodes[0].source.snapshot = world.snapshot(unlisted, serial=3)
    nodes[0].keeper.directory._views.clear()
    await nodes[0].keeper.read()
    owner = await open_circuit(client, path)
    assert owner.error.status is Status.NO_ROUTE


def forget_address(node, relay_id):
    node.keeper.directory._addresses.pop(relay_id)


async def test_a_relay_that_lacks_the_next_ones_address_asks_others_for_it(nursery, autojump_clock):
    world = World(nursery, 5)
    nodes = await start_usable(world)
    client = await world.start_client()
    await trio.sleep(60)  # every round asks for all; by now nobody asks in a hurry
    path = [node.relay_id for node in nodes[:2]]
    world.internet.cut(*path)
    forget_address(nodes[0], path[1])
    owner = await open_circuit(client, path)
    assert owner.message == b""


async def test_nobody_makes_a_relay_search_all_the_time(nursery, autojump_clock):
    world = World(nursery, 5)
    nodes = await start_usable(world)
    client = await world.start_client()
    await trio.sleep(60)
    path = [node.relay_id for node in nodes[:2]]
    for node in nodes:
        forget_address(node, path[1])
        node.keeper.directory.add_addresses = lambda _data, _wall: None  # it hides from all
    world.internet.cut(*path)
    before = sum(node.links.asked for node in nodes)
    started = trio.current_time()
    for _ in range(20):
        owner = await open_circuit(client, path)
        assert owner.error.status is Status.CONNECT
    rounds = (trio.current_time() - started) / (EPOCH_S / 120) + 1
    assert sum(node.links.asked for node in nodes) - before <= 3 * 4 * rounds + 5 * rounds + 15


async def test_a_replayed_setup_is_refused_also_by_the_relay_that_came_back(
    nursery, autojump_clock
):
    world = World(nursery, 3)
    nodes = await start_usable(world)
    client = await world.start_client()
    link = await client.neighbours.dial(nodes[0].relay_id)
    sent, send = [], link.send
    link.send = lambda *frame: (sent.append(frame), send(*frame))
    assert (await open_circuit(client, [nodes[0].relay_id])).message == b""
    (setup,) = [body for _, kind, body in sent if kind is FrameType.SETUP]

    nodes[0].kill()
    await until(lambda: link.closed, 5)
    again = await world.start_relay(0)
    other = await client.neighbours.dial(again.relay_id)
    other.send(other.open_circuit_id(), FrameType.SETUP, setup)
    await until(lambda: again.relay.core.breaches, 5)
    assert again.relay.core.breaches == {"SetupReplayedError": 1}
    assert (await open_circuit(client, [again.relay_id])).message == b""  # it has its keys still


async def test_a_setup_whose_tag_cannot_be_kept_is_refused(nursery, autojump_clock):
    world = World(nursery, 3)
    nodes = await start_usable(world)
    client = await world.start_client()
    world.storages[0].full = StorageError("no space left")
    owner = await open_circuit(client, [nodes[0].relay_id])
    assert owner.error.status is Status.BUSY
    world.storages[0].full = None
    assert (await open_circuit(client, [nodes[0].relay_id])).message == b""


async def test_keys_change_with_the_epochs_and_circuits_open_all_the_time(nursery, autojump_clock):
    world = World(nursery, 3, wall=START_WALL + 470)
    nodes = await start_usable(world)
    client = await world.start_client()
    epoch = START_WALL // EPOCH_S
    first = world.storages[0].seeds
    assert set(first) == {epoch, epoch + 1}
    directory = client.keeper.directory
    while world.clock.wall() < START_WALL + 2 * EPOCH_S + 70:
        assert client.usable
        assert all(node.usable for node in nodes)
        if world.clock.wall() < START_WALL + 500:  # the last sixth begins
            assert not directory.descriptor_hashes(epoch + 1)
        owner = await open_circuit(client, [node.relay_id for node in nodes[:3]])
        assert owner.message == b""
        owner.circuit.close()
        await trio.sleep(15)
    # old keys are erased within a minute of their time
    assert set(world.storages[0].seeds) == {epoch + 1, epoch + 2, epoch + 3}
    assert world.storages[0].seeds[epoch + 1] == first[epoch + 1]
    assert not any(node.keeper.directory.evidence() for node in nodes)


async def test_a_relay_that_lost_its_keys_waits_for_the_next_epoch(nursery, autojump_clock):
    world = World(nursery, 4, wall=START_WALL + 300)
    nodes = await start_usable(world)
    await trio.sleep(10)
    nodes[0].kill()
    world.storages[0] = MemoryStorage()
    again = await world.start_relay(0)
    await trio.sleep(100)
    for node in (*nodes[1:], again):
        assert not node.keeper.directory.evidence()
    epoch = START_WALL // EPOCH_S
    published = nodes[1].keeper.directory.descriptor(again.relay_id, epoch).descriptor
    assert published.onion_key != again.relay._keys.key(epoch).public.raw
    await until(lambda: world.clock.wall() >= START_WALL + EPOCH_S + 5, 400)
    client = await world.start_client()
    assert (await open_circuit(client, [again.relay_id])).message == b""


async def test_new_keys_that_cannot_be_kept_are_not_published(nursery, autojump_clock):
    world = World(nursery, 3, wall=START_WALL + EPOCH_S - 30)
    nodes = await start_usable(world)
    epoch = START_WALL // EPOCH_S
    world.storages[0].full = StorageError("no space left")
    await until(lambda: world.clock.wall() > START_WALL + 2 * EPOCH_S - 30, 700)
    with pytest.raises(NoDescriptorError):
        nodes[1].keeper.directory.descriptor(nodes[0].relay_id, epoch + 2)
    world.storages[0].full = None
    await trio.sleep(40)
    assert nodes[1].keeper.directory.descriptor(nodes[0].relay_id, epoch + 2)
    assert nodes[0].keeper.causes["StorageError"]


async def test_a_relay_joins_and_one_leaves_while_the_network_runs(nursery, autojump_clock):
    world = World(nursery, 5)
    everybody = world.identities
    world.source.snapshot = world.snapshot(everybody[:4])
    nodes = await start_usable(world, range(4))
    changed = world.snapshot(everybody[1:], serial=2)
    world.source.snapshot = changed
    newcomer = await world.start_relay(4)
    for node in nodes:
        node.source.snapshot = changed
    await until(
        lambda: newcomer.relay_id in nodes[1].keeper.directory.candidates(world.clock.wall()), 120
    )
    assert nodes[0].relay_id not in nodes[1].keeper.directory.candidates(world.clock.wall())
    assert nodes[1].keeper.knows(nodes[0].relay_id)  # its view was in force a moment ago
    assert set(nodes[1].keeper.roots()) == {1, 2}


async def test_a_relay_outside_of_the_set_is_no_relay_to_anybody(nursery, autojump_clock):
    world = World(nursery, 4)
    world.source.snapshot = world.snapshot(world.identities[:3])
    nodes = await start_usable(world, range(3))
    outsider = await world.start_relay(3)
    await trio.sleep(20)
    assert outsider.keeper.causes["UnknownRelayError"]
    for node in nodes:
        assert outsider.relay_id not in node.keeper.directory.signed_addresses()
        assert not node.keeper.knows(outsider.relay_id)


async def test_relays_start_around_one_that_hangs_and_one_that_lies(nursery, autojump_clock):
    world = World(nursery, 12)
    world.internet.hanging.add(world.identities[0].relay_id)
    nodes = await world.start(range(1, 12))

    async def lie(asker: bytes, question: bytes) -> bytes:
        return b"\0\0\0\1\xff"

    nodes[0].links.serve(lie)
    assert await until(all_usable(nodes[1:]), 30) < 10
    client = await world.start_client()
    assert client.usable


async def test_circuits_go_around_relays_that_were_killed(nursery, autojump_clock):
    world = World(nursery, 8)
    nodes = await start_usable(world)
    client = await world.start_client()
    path = [node.relay_id for node in nodes[:3]]
    first = await open_circuit(client, path)
    nodes[1].kill()
    await until(lambda: first.reason is not None, 5)
    refused = await open_circuit(client, path)
    assert (refused.error.hop, refused.error.status) == (0, Status.CONNECT)
    around = [path[0], nodes[4].relay_id, path[2]]
    assert (await open_circuit(client, around)).message == b""
    assert all(node.usable for node in nodes if node is not nodes[1])
