"""What goes wrong on streams of stock py-libp2p 0.8.1, and ours under the same attacks.

Each attack is first played against a stock host. When one of those halves fails, the library was
mended: the departure that answers it can go (docs/decisions/0060).
"""

from contextlib import suppress

import pytest
import trio
import trio.lowlevel
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError
from libp2p.io.utils import read_exactly
from libp2p.network.stream.exceptions import StreamEOF, StreamReset
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable

from peerstream.node.network.shared import MuxerLimits
from peerstream.node.network.yamux_frames import DATA, HEADER, INITIAL_WINDOW, SYN, WINDOW_UPDATE
from tests.node.network.attack import (
    GREETING,
    HANG_S,
    our_host,
    ours_and_stock,
    ours_lives,
    stock_pair,
)
from tests.node.network.support import (
    LOOPBACK,
    PATIENCE_S,
    eventually,
    yamux_and_peer,
)


async def test_5_a_writer_gives_up_on_a_slow_reader(mock_clock) -> None:
    mock_clock.rate = 1

    async with stock_pair() as (server, client, _):
        silent = trio.Event()

        async def never_read(_stream) -> None:
            await silent.wait()

        server.set_stream_handler(TProtocol("/silent/1"), never_read)
        stream = await client.new_stream(server.get_id(), [TProtocol("/silent/1")])
        mock_clock.rate = 30  # its patience of five seconds passes in a sixth of one
        with pytest.raises(StreamReset):
            await stream.write(bytes(20_000_000))
        mock_clock.rate = 1
        silent.set()

    async with yamux_and_peer(limits=MuxerLimits(keepalive_s=1e9)) as (connection, peer, _):
        await peer.frame(WINDOW_UPDATE, SYN, 1, 0)
        stream = await connection.accept_stream()
        done = trio.Event()

        async def write() -> None:
            await stream.write(bytes(INITIAL_WINDOW + 10))
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            mock_clock.jump(10)
            await peer.frame(WINDOW_UPDATE, 0, 1, 10)
            await done.wait()


async def test_6_a_peer_sends_beyond_its_window() -> None:
    size = 64 * INITIAL_WINDOW  # 16 MiB: as far as the stock window could ever have grown
    proposal = GREETING + b"\x0a/silent/1\n"
    opening = HEADER.pack(0, DATA, SYN, 101, len(proposal)) + proposal
    frame = HEADER.pack(0, DATA, 0, 101, 65_507) + bytes(65_507)

    async def flood(connection) -> None:
        write = connection.muxed_conn.secured_conn.write
        await write(opening)
        for _ in range(size // 65_507 + 2):
            await write(frame)

    async def silent(_stream) -> None:
        await trio.sleep_forever()

    async with stock_pair() as (server, client, connection):
        server.set_stream_handler(TProtocol("/silent/1"), silent)
        await flood(connection)
        [accepted] = server.get_network().get_connections()
        await eventually(lambda: len(accepted.muxed_conn.stream_buffers.get(101, b"")) > size)
        assert not accepted.is_closed
        assert not client.get_network().get_connections()[0].is_closed

    async with ours_and_stock() as (server, _client, connection):
        server.set_handler("/silent/1", silent)
        with suppress(ConnectionClosedError):  # cut while it wrote
            await flood(connection)
        await eventually(lambda: server.counters["WindowViolationError"])
        assert server.counters["WindowViolationError"] == 1
        assert server.shared.budget.used <= INITIAL_WINDOW
        await ours_lives(server)


async def half_an_answer(stream) -> None:
    await stream.write(b"half")
    await stream.read(1)
    await stream.reset()


async def test_7_a_cut_stream_looks_like_a_whole_one() -> None:
    async with stock_pair() as (server, client, _):
        server.set_stream_handler(TProtocol("/half/1"), half_an_answer)
        stream = await client.new_stream(server.get_id(), [TProtocol("/half/1")])
        assert await stream.read(4) == b"half"
        await stream.write(b"!")
        with pytest.raises(StreamEOF):
            await stream.read(1)

    near, far = our_host(), our_host()
    far.set_handler("/half/1", half_an_answer)
    async with near.run(), far.run([LOOPBACK]):
        connection = await near.dial(far.relay_id, far.addresses)
        stream = await near.open_stream(connection, "/half/1")
        assert await stream.read(4) == b"half"
        await stream.write(b"!")
        with pytest.raises(StreamReset):
            await stream.read(1)


class Drip:
    """A connection whose bytes come one by one."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, n: int | None = None) -> bytes:
        byte, self.data = self.data[:1], self.data[1:]
        return byte


async def test_8_a_message_in_many_pieces_is_taken_for_the_end() -> None:
    with pytest.raises(IncompleteReadError):
        await read_exactly(Drip(bytes(200)), 200)

    async with yamux_and_peer() as (connection, peer, _):
        frame = HEADER.pack(0, DATA, SYN, 1, 200) + bytes(200)
        sealed = bytearray(len(frame) + 18)
        peer._sealer.seal_into(frame, memoryview(sealed))
        for position in range(len(sealed)):
            await peer.socket.send(sealed[position : position + 1])
            await trio.lowlevel.checkpoint()
        stream = await connection.accept_stream()
        received = b""
        while len(received) < 200:
            received += await stream.read()


async def test_10_the_257th_stream_hangs() -> None:
    async with stock_pair() as (_, _client, connection):
        opened = 0
        with trio.move_on_after(PATIENCE_S) as patience:
            for opened in range(257):
                patience.deadline = trio.current_time() + (HANG_S if opened == 256 else PATIENCE_S)
                await connection.muxed_conn.open_stream()
        assert patience.cancelled_caught
        assert opened == 256

    limits = MuxerLimits(outbound_streams=300, inbound_streams=400, syn_per_second=1_000)
    near, far = our_host(muxer=limits), our_host(muxer=limits)
    async with near.run(), far.run([LOOPBACK]):
        connection = await near.dial(far.relay_id, far.addresses)
        for _ in range(300):
            await connection.muxed_conn.open_stream()
        with pytest.raises(MuxedConnUnavailable):
            await connection.muxed_conn.open_stream()
