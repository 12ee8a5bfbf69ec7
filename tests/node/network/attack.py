"""Servers to attack, ours and stock, and what tells whether they live."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.lowlevel
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr

from peerstream.node.network.host import Host, HostOptions
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    echo_handler,
    running_stock,
    stock_host,
)

ECHO = "/echo/1"
BUG = "/bug/1"
GREETING = b"\x13/multistream/1.0.0\n"
HANG_S = 0.3  # how long we watch a stock host hang


async def buggy_handler(stream) -> None:
    await stream.read(1)
    raise ZeroDivisionError


def our_host(**options) -> Host:
    host = Host(os.urandom(32), HostOptions(**options))
    host.set_handler(ECHO, echo_handler)
    host.set_handler(BUG, buggy_handler)
    return host


@asynccontextmanager
async def stock_pair(**options) -> AsyncIterator[tuple]:
    """A stock server that echoes, and a stock client connected to it."""
    server, client = stock_host(**options), stock_host()
    server.set_stream_handler(TProtocol(ECHO), echo_handler)
    async with running_stock(client), running_stock(server, listen=True):
        yield server, client, await connect(client, server)


async def connect(client, server):
    [address] = server.get_addrs()[:1]
    info = info_from_p2p_addr(address)
    return await client.get_network().dial_addr(info.addrs[0], info.peer_id)


@asynccontextmanager
async def ours_and_stock(**options) -> AsyncIterator[tuple]:
    """Our server, and a stock client connected to it."""
    server, client = our_host(**options), stock_host()
    async with running_stock(client), server.run([LOOPBACK]):
        address = server.addresses[0]
        yield server, client, await client.get_network().dial_addr(address, server.peer_id)


async def ours_lives(server: Host) -> None:
    """A newcomer is served."""
    client = our_host()
    with trio.fail_after(PATIENCE_S):
        async with client.run():
            connection = await client.dial(server.relay_id, server.addresses)
            stream = await client.open_stream(connection, ECHO)
            await stream.write(b"alive?")
            assert await stream.read(6) == b"alive?"


def capped(connections: int) -> dict[str, int]:
    return {
        "max_connections": connections,
        "high_watermark": connections,
        "low_watermark": 0,
        "min_connections": 0,
    }


async def stock_dies(attack: Callable[..., Awaitable[None]]) -> bool:
    """Whether the attack ends a stock host."""
    client = stock_host()
    async with running_stock(client):
        try:
            server = stock_host()
            server.set_stream_handler(TProtocol(BUG), buggy_handler)
            async with running_stock(server, listen=True):
                await connect(client, server)
                await attack(client, server.get_id())
                with trio.move_on_after(PATIENCE_S):
                    await trio.sleep_forever()
                return False
        except BaseException as error:
            if isinstance(error, trio.Cancelled):
                raise
            return True
