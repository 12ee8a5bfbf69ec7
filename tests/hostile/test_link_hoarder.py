"""Clients that take a relay's links and do nothing with them, until no newcomer finds one."""

import trio

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.neighbours import RESTING_S
from tests.node.roles.relays import ask, network, open_circuit, until

LINKS, HOARDERS = 4, 7
RELAYS = 3


async def hoard(world, relay):
    """Take a link after the other, a second apart; returns the hoarders' ends."""
    links = []
    for number in range(HOARDERS):
        client = await world.start_client(1 + number)
        links.append(await client.neighbours.dial(relay.relay_id))
        await trio.sleep(1)
    return links


async def linked_relay(world):
    """Return a relay that has its links to the others."""
    relay = world.nodes[0]
    await until(lambda: relay.neighbours.count == RELAYS - 1, 60)
    return relay


async def test_links_that_rest_longest_make_room_and_none_that_is_used(autojump_clock):
    async with network(RELAYS) as world:
        relay = await linked_relay(world)
        relay.neighbours.links_max = LINKS + RELAYS - 1
        honest = await world.start_client(0)
        owner = await open_circuit(honest, [relay.relay_id])
        links = await hoard(world, relay)
        assert not any(link.closed for link in links)  # nobody rests for so long yet
        await trio.sleep(RESTING_S + 2)
        assert relay.neighbours.count == LINKS + RELAYS - 1
        assert [link.closed for link in links] == [True] * 4 + [False] * 3
        assert owner.reason is None
        assert await ask(honest, owner, Command.ECHO, b"still here") is Status.OK
        newcomer = await world.start_client(100)
        assert (await open_circuit(newcomer, [relay.relay_id])).message == b""
        await trio.sleep(RESTING_S + 2)
        assert relay.neighbours.causes["RestingLinkClosed"] == 5
        assert owner.reason is None


async def test_a_link_whose_circuits_ended_rests_from_then_on(autojump_clock):
    async with network(RELAYS) as world:
        relay = await linked_relay(world)
        client = await world.start_client(0)
        owner = await open_circuit(client, [relay.relay_id])
        await trio.sleep(2 * RESTING_S)
        relay.neighbours.links_max = 0
        await trio.sleep(5)
        assert owner.reason is None  # it has a circuit
        owner.circuit.close()
        client.links.wake()
        await trio.sleep(RESTING_S - 5)
        assert relay.neighbours.count == RELAYS
        await trio.sleep(10)
        assert relay.neighbours.count == RELAYS - 1  # the other relays' stay
