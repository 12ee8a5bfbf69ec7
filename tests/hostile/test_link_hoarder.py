"""Clients that take a relay's links and do nothing with them, until no newcomer finds one."""

import trio

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.neighbours import RESTING_S
from tests.node.roles.relays import ask, network, open_circuit

LINKS, HOARDERS = 4, 7


async def hoard(world, relay):
    """Take a link after the other, a second apart; returns the hoarders' ends."""
    links = []
    for number in range(HOARDERS):
        client = await world.start_client(1 + number)
        links.append(await client.neighbours.dial(relay.relay_id))
        await trio.sleep(1)
    return links


async def test_links_that_rest_longest_make_room_and_none_that_is_used(autojump_clock):
    async with network(3) as world:
        relay = world.nodes[0]
        relay.neighbours.links_max = LINKS
        honest = await world.start_client(0)
        owner = await open_circuit(honest, [relay.relay_id])
        links = await hoard(world, relay)
        assert not any(link.closed for link in links)  # nobody rests for so long yet
        await trio.sleep(RESTING_S + 2)
        assert relay.neighbours.count == LINKS
        assert [link.closed for link in links] == [True] * 4 + [False] * 3
        assert owner.reason is None
        assert await ask(honest, owner, Command.ECHO, b"still here") is Status.OK
        newcomer = await world.start_client(100)
        assert (await open_circuit(newcomer, [relay.relay_id])).message == b""
        await trio.sleep(RESTING_S + 2)
        assert relay.neighbours.causes["RestingLinkClosed"] == 5
        assert owner.reason is None


async def test_a_link_whose_circuits_ended_rests_from_then_on(autojump_clock):
    async with network(3) as world:
        relay = world.nodes[0]
        client = await world.start_client(0)
        owner = await open_circuit(client, [relay.relay_id])
        await trio.sleep(2 * RESTING_S)
        relay.neighbours.links_max = 0
        await trio.sleep(5)
        assert owner.reason is None  # it has a circuit
        owner.circuit.close()
        client.links.wake()
        await trio.sleep(RESTING_S - 5)
        assert relay.neighbours.count == 1
        await trio.sleep(10)
        assert relay.neighbours.count == 0
