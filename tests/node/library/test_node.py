"""Two nodes and their relays over sockets: a stream between two addresses, both verified."""

import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from peerstream.node.library.node import NodeSettings, ServiceOffer, Target, open_node
from peerstream.node.library.relay import open_relay
from peerstream.node.roles.errors import IdentityRequiredError
from tests.node.library.test_relay import NETWORK, admitted, dht_network, make_relays
from tests.node.network.support import PATIENCE_S, eventually
from tests.node.roles.people import echo, make_identity

BODY = bytes(range(256)) * 8_000


@asynccontextmanager
async def relays(tmp_path, count, directory="static"):
    settings = make_relays(tmp_path, count)
    if directory == "dht":
        settings = admitted(settings)

    def knows_all(relay):
        # with an address of each, or stores could not hand a record to each other
        found = relay.statistics()
        return found["complete"] and found["relays"] == count

    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(open_relay(each)) for each in settings]
        await eventually(lambda: all(knows_all(relay) for relay in running))
        yield settings, running


def node_settings(tmp_path, relay_settings, name, number):
    return NodeSettings(
        network=relay_settings[0].network,
        state=tmp_path / name,
        static_file=relay_settings[0].static_file,
        source_address=f"127.{number}.0.1",
    )


@pytest.mark.parametrize("directory", ["dht", "static"])
@pytest.mark.parametrize("level", [1, 2])
async def test_two_addresses_over_sockets(tmp_path, level, directory):
    wall = int(time.time())
    network_id = (dht_network() if directory == "dht" else NETWORK).network_id
    callee_identity = make_identity("callee", network_id, wall)
    caller_identity = make_identity("caller", network_id, wall)
    callers = []

    async def noting(stream):
        callers.append(stream.peer.address)
        await echo(stream)

    async with relays(tmp_path, 7, directory) as (settings, _), AsyncExitStack() as stack:
        callee = await stack.enter_async_context(
            open_node(node_settings(tmp_path, settings, "callee", 100), callee_identity)
        )
        caller = await stack.enter_async_context(
            open_node(node_settings(tmp_path, settings, "caller", 101), caller_identity)
        )
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                await nursery.start(
                    lambda *, task_status: callee.serve(
                        {"echo": ServiceOffer(noting)}, level=level, task_status=task_status
                    )
                )
                target = Target.of_card(callee_identity.card)
                stream = await caller.connect(target, "echo", level=level)
                async with trio.open_nursery() as writing:
                    writing.start_soon(stream.send, BODY)
                    got = b""
                    while len(got) < len(BODY):
                        got += await stream.receive()
                assert got == BODY
                assert stream.peer.address == callee_identity.account
                assert callers == [caller_identity.account]
                await stream.aclose()
                await caller.aclose()
                nursery.cancel_scope.cancel()


async def test_a_node_without_identity_does_not_serve(tmp_path):
    async with AsyncExitStack() as stack:
        settings, _ = await stack.enter_async_context(relays(tmp_path, 6))
        nobody = node_settings(tmp_path, settings, "nobody", 100)
        node = await stack.enter_async_context(open_node(nobody, None))
        with pytest.raises(IdentityRequiredError):
            await node.serve({})
