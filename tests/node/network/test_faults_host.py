"""How strangers end, deafen or use a host of stock py-libp2p 0.8.1, and ours under attack.

Each attack is first played against a stock host. When one of those halves fails, the library was
mended: the departure that answers it can go (docs/decisions/0060).
"""

import os

import pytest
import trio
import trio.lowlevel
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig
from libp2p.network.exceptions import SwarmException
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux as StockYamux
from multiaddr import Multiaddr

from peerstream.node.network.gate import AcceptLimits
from peerstream.node.network.host import Host
from tests.node.network.attack import (
    BUG,
    GREETING,
    HANG_S,
    capped,
    connect,
    our_host,
    ours_and_stock,
    ours_lives,
    stock_dies,
)
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    eventually,
    running_stock,
    stock_host,
)


async def bug_in_a_handler(client, peer_id) -> None:
    stream = await client.new_stream(peer_id, [TProtocol(BUG)])
    await stream.write(b"x")


async def bad_protocol_name(client, peer_id) -> None:
    stream = await client.get_network().new_stream(peer_id)
    await stream.write(GREETING + b"\x05\xff\xfe\xff\xfe\n")


@pytest.mark.parametrize("attack", [bug_in_a_handler, bad_protocol_name])
async def test_1_2_what_leaves_a_stream_handler_ends_the_host(attack) -> None:
    assert await stock_dies(attack)
    async with ours_and_stock() as (server, client, _connection):
        await attack(client, server.peer_id)
        await ours_lives(server)
        assert server.counters["bug"] == 0


async def test_3_a_node_goes_deaf_after_so_many_connections_in_its_life() -> None:
    config = ConnectionConfig(**capped(2))
    server = stock_host(connection_config=config)
    async with running_stock(server, listen=True):
        for _ in range(2):
            client = stock_host()
            async with running_stock(client):
                await connect(client, server)
        late = stock_host()
        async with running_stock(late):
            with pytest.raises(SwarmException), trio.fail_after(PATIENCE_S):
                await connect(late, server)

    ours = our_host(accept=AcceptLimits(connections=2, per_place=2))
    async with ours.run([LOOPBACK]):
        for _ in range(6):
            await ours_lives(ours)
            await eventually(lambda: not ours.transport.gate.open)


async def test_4_a_stock_connect_waits_a_quarter_of_a_second(mock_clock) -> None:
    mock_clock.rate = 1
    client, server = stock_host(), stock_host()
    async with running_stock(client), running_stock(server, listen=True):
        info = info_from_p2p_addr(server.get_addrs()[0])
        start = trio.current_time()
        await client.connect(PeerInfo(info.peer_id, info.addrs))
        assert trio.current_time() - start >= 0.25

    near, far = our_host(), our_host()
    async with near.run(), far.run([LOOPBACK]):
        mock_clock.rate = 0  # who waits now waits until nothing else has happened for long
        mock_clock.autojump_threshold = PATIENCE_S
        start = trio.current_time()
        await near.dial(far.relay_id, far.addresses)
        assert trio.current_time() == start
        mock_clock.rate = 1


def plaintext_client():
    key = create_new_key_pair()
    return new_host(
        key_pair=key,
        sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(key)},
        muxer_opt={TProtocol(YAMUX): StockYamux},
    )


async def test_9_a_default_host_talks_without_encryption() -> None:
    default, client = new_host(key_pair=create_new_key_pair()), plaintext_client()
    async with running_stock(default, listen=True), running_stock(client):
        assert await connect(client, default)

    server, client = our_host(), plaintext_client()
    async with server.run([LOOPBACK]), running_stock(client):
        with pytest.raises(SwarmException):
            await client.get_network().dial_addr(server.addresses[0], server.peer_id)
        await ours_lives(server)


async def test_11_a_host_dials_whoever_it_has_heard_of() -> None:
    met = trio.Event()
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    host, port = listener.socket.getsockname()[:2]
    stranger = Host(os.urandom(32)).peer_id
    address = Multiaddr(f"/ip4/{host}/tcp/{port}")

    async def accept(_stream) -> None:
        met.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, accept, [listener])
        stock = stock_host(connection_config=ConnectionConfig(**capped(9)))
        stock.get_peerstore().add_addrs(stranger, [address], 1_000)
        async with stock.run(listen_addrs=[]):
            with trio.fail_after(PATIENCE_S):
                await met.wait()
            await stock.close()
        met = trio.Event()
        ours = our_host()
        ours.swarm.peerstore.add_addrs(stranger, [address], 1_000)
        async with ours.run():
            await ours.swarm.auto_connector.maybe_connect()
            with trio.move_on_after(HANG_S):
                await met.wait()
        assert not met.is_set()
        nursery.cancel_scope.cancel()


async def half_open(host: str, port: int, source: str, stack: list) -> None:
    sock = trio.socket.socket()
    stack.append(sock)
    await sock.bind((source, 0))
    await sock.connect((host, port))
    await sock.send(b"\x13/mult")


async def test_12_half_open_connections_keep_everybody_out(mock_clock) -> None:
    mock_clock.rate = 1
    held: list = []
    config = ConnectionConfig(**capped(4))
    server, client = stock_host(connection_config=config), stock_host()
    async with running_stock(server, listen=True), running_stock(client):
        address = server.get_addrs()[0]
        port = int(address.value_for_protocol("tcp"))
        for _ in range(4):
            await half_open("127.0.0.1", port, "127.0.0.9", held)
        await eventually(lambda: not server.get_network()._inbound_limiter.available_tokens)
        with pytest.raises(SwarmException), trio.fail_after(PATIENCE_S):
            await connect(client, server)
        for sock in held:
            sock.close()

    limits = AcceptLimits(pending_per_place=4, upgrade_timeout_s=5)
    ours = our_host(accept=limits)
    async with ours.run([LOOPBACK]):
        port = int(ours.addresses[0].value_for_protocol("tcp"))
        for _ in range(12):
            await half_open("127.0.0.1", port, "127.0.0.9", held)
        await ours_lives(ours)
        assert ours.transport.gate.pending == 4
        assert ours.counters["connection_refused"] == 8
        mock_clock.rate = 10
        await eventually(lambda: not ours.transport.gate.pending)
        assert ours.counters["upgrade_failed"] == 4
        for sock in held:
            sock.close()
