"""Relays have links to each other before a circuit needs them."""

import trio

from peerstream.node.roles import links_ahead
from peerstream.node.roles.links_ahead import AGAIN_S
from tests.node.roles.relays import World, open_circuit, until


def missing(nodes):
    """Return which relays lack a link to how many others."""
    ids = {node.relay_id for node in nodes}
    return {
        node.relay_id: len(ids - node.neighbours.relays) - 1
        for node in nodes
        if ids - node.neighbours.relays != {node.relay_id}
    }


async def test_each_pair_has_one_link_after_a_while_and_one_dial_made_it(nursery, autojump_clock):
    world = World(nursery, 8)
    nodes = await world.start()
    await until(lambda: not missing(nodes), 60)
    assert sum(world.internet.dials.values()) == 8 * 7 // 2
    assert all(node.neighbours.count == 7 for node in nodes)


async def test_a_circuit_then_waits_for_no_dial(nursery, autojump_clock):
    world = World(nursery, 5)
    nodes = await world.start()
    client = await world.start_client()
    await until(lambda: not missing(nodes), 60)
    before = sum(world.internet.dials.values())
    await open_circuit(client, [node.relay_id for node in nodes[:3]])
    assert sum(world.internet.dials.values()) == before + 1  # the client's to its guard


async def test_who_cannot_be_reached_is_left_alone_for_a_while(nursery, autojump_clock):
    world = World(nursery, 4)
    absent = max(identity.relay_id for identity in world.identities)
    world.internet.refusing.add(absent)
    nodes = [node for node in await world.start() if node.relay_id != absent]
    await trio.sleep(AGAIN_S - 1)
    for node in nodes:
        assert world.internet.dials[node.relay_id, absent] == 1
    world.internet.refusing.clear()
    await until(lambda: not missing(nodes), 2 * AGAIN_S)


async def test_in_a_large_network_not_everybody_is_dialled(nursery, autojump_clock, monkeypatch):
    monkeypatch.setattr(links_ahead, "LINKS_MAX", 2)
    world = World(nursery, 8)
    nodes = await world.start()
    await trio.sleep(60)
    dialled = [sum(n for (by, _), n in world.internet.dials.items() if by == node.relay_id)
               for node in nodes]  # fmt: skip
    assert max(dialled) <= 2
