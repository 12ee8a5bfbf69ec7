"""Our muxer against a peer that writes its frames by hand."""

import pytest
import trio
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamClosed,
    MuxedStreamEOF,
    MuxedStreamReset,
)

from peerstream.node.network.errors import (
    BadFrameError,
    ClosedError,
    ConnectionLostError,
    FloodError,
    NoiseMessageError,
    WindowViolationError,
)
from peerstream.node.network.shared import MuxerLimits
from peerstream.node.network.yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    INITIAL_WINDOW,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)
from tests.node.network.support import PipeLink, yamux_and_peer


async def opened(connection, peer, *, stream_id: int = 1):
    await peer.frame(WINDOW_UPDATE, SYN, stream_id, 0)
    stream = await connection.accept_stream()
    assert await peer.next_frame() == (WINDOW_UPDATE, ACK, stream_id, 0)
    return stream


async def test_a_stream_both_ways_and_its_two_ends() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        await peer.frame(DATA, 0, 1, 5, b"12345")
        assert await stream.read(3) == b"123"
        assert await stream.read() == b"45"
        await stream.write(b"answer")
        assert await peer.next_frame() == (DATA, 0, 1, 6)
        assert await peer.read(6) == b"answer"
        await peer.frame(DATA, FIN, 1, 3, b"end")
        assert await stream.read() == b"end"
        with pytest.raises(MuxedStreamEOF):
            await stream.read()
        await stream.close()
        assert await peer.next_frame() == (WINDOW_UPDATE, FIN, 1, 0)
        with pytest.raises(MuxedStreamClosed):
            await stream.write(b"late")


async def test_a_reset_is_no_end() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        await peer.frame(DATA, 0, 1, 4, b"half")
        assert await stream.read() == b"half"
        await peer.frame(WINDOW_UPDATE, RST, 1, 0)
        with pytest.raises(MuxedStreamReset):
            await stream.read()
        with pytest.raises(MuxedStreamReset):
            await stream.write(b"x")


async def test_a_lost_connection_is_no_end_either() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        peer.socket.close()
        with pytest.raises(MuxedStreamReset):
            await stream.read()
        assert isinstance(connection.lost_by, ConnectionLostError)


async def test_a_frame_may_span_messages_and_a_message_many_frames() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        await peer.send(HEADER.pack(0, DATA, 0, 1, 9)[:7])
        await peer.send(HEADER.pack(0, DATA, 0, 1, 9)[7:] + b"abc")
        await peer.send(b"def")
        await peer.send(b"ghi" + (HEADER.pack(0, DATA, 0, 1, 1) + b"!") * 3)
        data = b""
        while len(data) < 12:
            data += await stream.read()
        assert data == b"abcdefghi!!!"


async def test_a_full_window_is_waited_for_as_long_as_it_takes() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        written = trio.Event()

        async def write() -> None:
            await stream.write(bytes(INITIAL_WINDOW + 1))
            written.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            received = 0
            while received < INITIAL_WINDOW:
                kind, _, _, length = await peer.next_frame()
                assert kind == DATA
                received += len(await peer.read(length))
            assert not written.is_set()
            await peer.frame(WINDOW_UPDATE, 0, 1, 1)
            await written.wait()
            assert await peer.next_frame() == (DATA, 0, 1, 1)


async def test_windows_are_granted_back_in_halves() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        half = INITIAL_WINDOW // 2
        await peer.frame(DATA, 0, 1, half, bytes(half))
        received = 0
        while received < half:
            received += len(await stream.read())
        assert await peer.next_frame() == (WINDOW_UPDATE, 0, 1, half)


async def test_more_than_the_window_ends_the_connection() -> None:
    async with yamux_and_peer() as (connection, peer, shared):
        await opened(connection, peer)
        await peer.frame(DATA, 0, 1, INITIAL_WINDOW, bytes(INITIAL_WINDOW))
        await peer.frame(DATA, 0, 1, 1, b"x")
        await peer.at_end()
        assert isinstance(connection.lost_by, WindowViolationError)
        assert shared.counters["WindowViolationError"] == 1
        assert shared.budget.used == 0


async def test_all_connections_together_hold_so_much_and_no_more() -> None:
    async with yamux_and_peer(limits=MuxerLimits(buffered=1_000)) as (connection, peer, shared):
        await opened(connection, peer)
        await peer.frame(DATA, 0, 1, 1_001, bytes(1_001))
        await peer.at_end()
        assert isinstance(connection.lost_by, FloodError)
        assert shared.budget.used == 0


@pytest.mark.parametrize(
    ("frames", "error"),
    [
        (b"\x07" * 12, BadFrameError),
        (HEADER.pack(0, 9, 0, 0, 0), BadFrameError),
        (HEADER.pack(0, WINDOW_UPDATE, SYN, 1, 0) * 2, BadFrameError),
        (HEADER.pack(0, WINDOW_UPDATE, SYN, 2, 0), BadFrameError),
        (HEADER.pack(0, WINDOW_UPDATE, SYN, 0, 0), BadFrameError),
        (HEADER.pack(0, DATA, SYN, 1, 0xFFFFFFFF), WindowViolationError),
        (HEADER.pack(0, DATA, 0, 77, 0xFFFFFFFF), WindowViolationError),
        (HEADER.pack(0, DATA, SYN | FIN, 1, 1) + b"x" + HEADER.pack(0, DATA, 0, 1, 1), None),
        (HEADER.pack(0, GO_AWAY, 0, 0, 1), ConnectionLostError),
    ],
)
async def test_each_breach_has_its_error(frames: bytes, error: type | None) -> None:
    async with yamux_and_peer() as (connection, peer, shared):
        await peer.send(frames)
        await peer.at_end()
        assert isinstance(connection.lost_by, error or WindowViolationError)
        assert shared.counters["bug"] == 0


async def test_what_does_not_authenticate_ends_the_connection() -> None:
    async with yamux_and_peer() as (connection, peer, shared):
        await peer.socket.send(b"\x00\x20" + bytes(32))
        await peer.at_end()
        assert isinstance(connection.lost_by, NoiseMessageError)
        assert shared.counters["NoiseMessageError"] == 1


async def test_streams_beyond_the_limit_are_refused_one_by_one() -> None:
    limits = MuxerLimits(inbound_streams=2)
    async with yamux_and_peer(limits=limits) as (connection, peer, shared):
        for stream_id in (1, 3, 5):
            await peer.frame(WINDOW_UPDATE, SYN, stream_id, 0)
        answers = [await peer.next_frame() for _ in range(3)]
        assert [flags for _, flags, _, _ in answers] == [ACK, ACK, RST]
        assert shared.counters["stream_refused"] == 1
        await (await connection.accept_stream()).reset()
        assert await peer.next_frame() == (WINDOW_UPDATE, RST, 1, 0)
        await peer.frame(WINDOW_UPDATE, SYN, 7, 0)
        assert await peer.next_frame() == (WINDOW_UPDATE, ACK, 7, 0)


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(HEADER.pack(0, WINDOW_UPDATE, SYN, 2 * i + 1, 0) for i in range(400)),
        b"".join(HEADER.pack(0, WINDOW_UPDATE, SYN | RST, 2 * i + 1, 0) for i in range(400)),
        HEADER.pack(0, PING, SYN, 0, 1) * 400,
        HEADER.pack(0, WINDOW_UPDATE, RST, 55, 0) * 10_000,
    ],
    ids=["new streams", "opened and reset", "pings", "strays"],
)
async def test_floods_end_the_connection(flood: bytes) -> None:
    async with yamux_and_peer() as (connection, peer, shared):
        with trio.move_on_after(5):
            await peer.send(flood)
        await peer.at_end()
        assert isinstance(connection.lost_by, FloodError)
        assert shared.counters["FloodError"] == 1
        assert shared.counters["bug"] == 0


async def test_pings_are_answered() -> None:
    async with yamux_and_peer() as (_, peer, _shared):
        await peer.frame(PING, SYN, 0, 1234)
        assert await peer.next_frame() == (PING, ACK, 0, 1234)


async def test_silence_is_asked_about_and_then_taken_for_the_end() -> None:
    limits = MuxerLimits(keepalive_s=10, ping_timeout_s=5, idle_s=1_000)
    async with yamux_and_peer(limits=limits) as (connection, peer, shared):
        start = trio.current_time()
        connection.tick(start + 11)
        shared.batch.end()
        assert await peer.next_frame() == (PING, SYN, 0, 1)
        connection.tick(start + 15)
        assert connection.lost_by is None
        connection.tick(start + 17)
        assert isinstance(connection.lost_by, ConnectionLostError)


async def test_an_unused_connection_is_closed() -> None:
    async with yamux_and_peer(limits=MuxerLimits(idle_s=30, keepalive_s=1e9)) as (
        connection,
        peer,
        _,
    ):
        stream = await opened(connection, peer)
        start = trio.current_time()
        connection.tick(start + 100)
        assert connection.lost_by is None
        await stream.reset()
        connection.tick(start + 129)
        assert connection.lost_by is None
        connection.tick(start + 131)
        assert isinstance(connection.lost_by, ClosedError)


async def test_after_a_go_away_no_stream_is_opened() -> None:
    async with yamux_and_peer(initiator=True) as (connection, peer, _):
        stream = await connection.open_stream()
        assert await peer.next_frame() == (WINDOW_UPDATE, SYN, 1, 0)
        await peer.frame(GO_AWAY, 0, 0, 0)
        await peer.frame(DATA, ACK, 1, 2, b"ok")
        assert await stream.read() == b"ok"
        with pytest.raises(MuxedConnUnavailable):
            await connection.open_stream()


async def test_our_own_streams_are_limited_by_an_error_not_a_hang() -> None:
    limits = MuxerLimits(outbound_streams=3)
    async with yamux_and_peer(initiator=True, limits=limits) as (connection, _, _shared):
        for _number in range(3):
            await connection.open_stream()
        with pytest.raises(MuxedConnUnavailable):
            await connection.open_stream()


async def test_a_close_sends_what_is_queued_first() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        stream = await opened(connection, peer)
        await stream.write(bytes(200_000))
        received = 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.close)
            while (frame := await peer.next_frame()) is not None and frame[0] == DATA:
                received += len(await peer.read(frame[3]))
        assert received == 200_000
        assert frame == (GO_AWAY, 0, 0, 0)


async def test_a_peer_that_asks_and_never_reads_is_cut() -> None:
    limits = MuxerLimits(ping_per_second=10**9, buffered=1 << 30)
    async with yamux_and_peer(limits=limits) as (connection, peer, _):
        with trio.move_on_after(15):
            while connection.lost_by is None:
                try:
                    await peer.send(HEADER.pack(0, PING, SYN, 0, 1) * 50_000)
                except trio.BrokenResourceError:
                    break
        assert isinstance(connection.lost_by, FloodError)


async def carried(connection, peer, link: PipeLink, lost: list):
    stream = await opened(connection, peer)
    connection.attach_link(stream, link, lost.append)
    kind, flags, stream_id, grant = await peer.next_frame()
    assert (kind, flags, stream_id) == (WINDOW_UPDATE, 0, 1)
    assert grant > INITIAL_WINDOW
    return stream


async def test_a_link_takes_the_stream_over_with_what_was_received() -> None:
    async with yamux_and_peer() as (connection, peer, shared):
        stream = await opened(connection, peer)
        await peer.frame(DATA, 0, 1, 5, b"early")
        while not stream._buffered:
            await trio.lowlevel.checkpoint()
        link = PipeLink(dialer=False, peer=None, now=0)
        connection.attach_link(stream, link, lambda _error: None)
        await peer.frame(DATA, 0, 1, 5, b" late")
        await link.until(lambda: link.received == b"early late")
        assert shared.budget.used == 0
        link.send(b"answer")
        frames = [await peer.next_frame(), await peer.next_frame()]
        assert frames[1] == (DATA, 0, 1, 6)
        assert await peer.read(6) == b"answer"


async def test_other_streams_are_refused_beside_a_link() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        other = await opened(connection, peer, stream_id=3)
        stream = await opened(connection, peer)
        connection.attach_link(
            stream, PipeLink(dialer=False, peer=None, now=0), lambda _error: None
        )
        assert await peer.next_frame() == (WINDOW_UPDATE, RST, 3, 0)
        with pytest.raises(MuxedStreamReset):
            await other.read()
        await peer.next_frame()
        await peer.frame(WINDOW_UPDATE, SYN, 5, 0)
        assert await peer.next_frame() == (WINDOW_UPDATE, RST, 5, 0)
        with pytest.raises(MuxedConnUnavailable):
            await connection.open_stream()
        with pytest.raises(ClosedError):
            connection.attach_link(
                stream, PipeLink(dialer=False, peer=None, now=0), lambda _error: None
            )


async def test_a_link_fills_the_window_and_goes_on_with_more() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        link = PipeLink(dialer=False, peer=None, now=0)
        await carried(connection, peer, link, [])
        link.send(bytes(range(256)) * 2_000)
        data = b""
        while len(data) < 512_000:
            if len(data) == INITIAL_WINDOW:
                await peer.frame(WINDOW_UPDATE, 0, 1, 100_000)
            if len(data) == INITIAL_WINDOW + 100_000:
                await peer.frame(WINDOW_UPDATE, 0, 1, 1 << 31)
            kind, _, stream_id, length = await peer.next_frame()
            assert (kind, stream_id) == (DATA, 1)
            data += await peer.read(length)
        assert data == bytes(range(256)) * 2_000


@pytest.mark.parametrize("flag", [FIN, RST])
async def test_the_end_of_its_stream_is_the_end_of_the_link(flag: int) -> None:
    lost: list[BaseException] = []
    async with yamux_and_peer() as (connection, peer, _):
        await carried(connection, peer, PipeLink(dialer=False, peer=None, now=0), lost)
        await peer.frame(WINDOW_UPDATE, flag, 1, 0)
        await peer.at_end()
    assert [type(error) for error in lost] == [ConnectionLostError]


async def test_a_breach_of_the_link_protocol_ends_the_connection() -> None:
    lost: list[BaseException] = []
    async with yamux_and_peer() as (connection, peer, shared):
        link = PipeLink(dialer=False, peer=None, now=0)
        await carried(connection, peer, link, lost)
        link.breaks = BadFrameError("by the test")
        await peer.frame(DATA, 0, 1, 1, b"x")
        await peer.at_end()
        assert shared.counters["BadFrameError"] == 1
    assert lost == [link.breaks]


async def test_a_bug_of_ours_costs_one_connection_and_is_counted() -> None:
    lost: list[BaseException] = []
    async with yamux_and_peer() as (connection, peer, shared):
        link = PipeLink(dialer=False, peer=None, now=0)
        await carried(connection, peer, link, lost)
        link.breaks = ZeroDivisionError()  # type: ignore[assignment]
        await peer.frame(DATA, 0, 1, 1, b"x")
        await peer.at_end()
        assert shared.counters["bug"] == 1
    assert [type(error) for error in lost] == [ZeroDivisionError]


async def test_a_link_that_fails_in_its_timer_is_closed() -> None:
    lost: list[BaseException] = []
    async with yamux_and_peer() as (connection, peer, _):
        link = PipeLink(dialer=False, peer=None, now=0)
        await carried(connection, peer, link, lost)
        link.failure = FloodError("by the test")
        connection.tick(trio.current_time())
        await peer.at_end()
    assert lost == [link.failure]
