"""Our Noise and Yamux with py-libp2p's own on the other side, both ways."""

import os
from contextlib import suppress

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamEOF, StreamError

from peerstream.node.network.host import DataPlane, Host, HostOptions
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    echo_handler,
    running_stock,
    stock_host,
    without_peer,
)

ECHO, SINK, SOURCE = "/echo/1", "/sink/1", "/source/1"
BULK = 8_000_000
PAYLOAD = os.urandom(BULK)
STOCK_CHUNK = 32_000  # the stock reader drops longer messages when they come in many pieces
PLANES = [DataPlane.OWN, DataPlane.OWN_CHACHA, DataPlane.STOCK]


async def safe_echo_handler(stream) -> None:
    with suppress(StreamError):  # it would end a stock host
        await echo_handler(stream)


async def read_all(stream) -> bytes:
    data = bytearray()
    while True:
        try:
            data += await stream.read(65_536)
        except StreamEOF:
            return bytes(data)


async def sink_handler(stream) -> None:
    data = await read_all(stream)
    await stream.write(b"same" if data == PAYLOAD else b"other")
    await stream.close()


async def source_handler(stream) -> None:
    await write_all(stream)
    await stream.close()


async def write_all(stream) -> None:
    for start in range(0, BULK, STOCK_CHUNK):
        await stream.write(PAYLOAD[start : start + STOCK_CHUNK])


HANDLERS = {ECHO: safe_echo_handler, SINK: sink_handler, SOURCE: source_handler}


async def exercise(open_stream) -> None:
    stream = await open_stream(ECHO)
    for size in (1, 100, 4_000):
        await stream.write(PAYLOAD[:size])
        received = b""
        while len(received) < size:
            received += await stream.read(size)
        assert received == PAYLOAD[:size]
    await stream.reset()

    stream = await open_stream(SINK)
    await write_all(stream)
    await stream.close_write()
    assert await stream.read(10) == b"same"

    stream = await open_stream(SOURCE)
    assert await read_all(stream) == PAYLOAD


@pytest.mark.parametrize("plane", PLANES)
async def test_ours_dials_stock(plane: DataPlane) -> None:
    ours, stock = Host(os.urandom(32), HostOptions(data_plane=plane)), stock_host()
    for protocol, handler in HANDLERS.items():
        stock.set_stream_handler(TProtocol(protocol), handler)
    async with running_stock(stock, listen=True), ours.run():
        with trio.fail_after(PATIENCE_S):
            addresses = [without_peer(address) for address in stock.get_addrs()]
            connection = await ours.dial(stock.get_id().to_bytes()[-32:], addresses)
            assert connection.get_negotiated_security_protocol() == "/noise"
            await exercise(lambda protocol: ours.open_stream(connection, protocol))


@pytest.mark.parametrize("plane", PLANES)
async def test_stock_dials_ours(plane: DataPlane) -> None:
    ours, stock = Host(os.urandom(32), HostOptions(data_plane=plane)), stock_host()
    for protocol, handler in HANDLERS.items():
        ours.set_handler(protocol, handler)
    async with running_stock(stock), ours.run([LOOPBACK]):
        with trio.fail_after(PATIENCE_S):
            await stock.get_network().dial_addr(ours.addresses[0], ours.peer_id)
            await exercise(lambda protocol: stock.new_stream(ours.peer_id, [TProtocol(protocol)]))
        assert ours.counters["bug"] == 0


async def test_our_nodes_agree_on_aes() -> None:
    near, far = Host(os.urandom(32)), Host(os.urandom(32))
    for protocol, handler in HANDLERS.items():
        far.set_handler(protocol, handler)
    async with near.run(), far.run([LOOPBACK]):
        with trio.fail_after(PATIENCE_S):
            connection = await near.dial(far.relay_id, far.addresses)
            assert connection.get_negotiated_security_protocol() == "/psp/noise-aesgcm/1"
            await exercise(lambda protocol: near.open_stream(connection, protocol))


async def test_our_planes_mix() -> None:
    near = Host(os.urandom(32), HostOptions(data_plane=DataPlane.OWN))
    far = Host(os.urandom(32), HostOptions(data_plane=DataPlane.STOCK))
    far.set_handler(ECHO, safe_echo_handler)
    async with near.run(), far.run([LOOPBACK]):
        connection = await near.dial(far.relay_id, far.addresses)
        stream = await near.open_stream(connection, ECHO)
        await stream.write(b"mixed")
        assert await stream.read(5) == b"mixed"
