"""Yamux on a Noise session: our muxer, driven by the socket's readiness (SPEC 9.5).

The same bytes as the stock muxer; but windows are enforced, a full window is waited for instead
of polled and given up, an end is not confused with a cut, and every kind of frame that makes us
work or remember is bounded. One of its streams can be handed to a link, whose cells then pass
between socket and circuit without touching a task.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import trio
from libp2p.abc import IMuxedConn
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable

from peerstream.node.network.carrier import LinkCarrier, LinkPort
from peerstream.node.network.errors import (
    BadFrameError,
    ClosedError,
    ConnectionLostError,
    FloodError,
    NetworkError,
    WindowViolationError,
)
from peerstream.node.network.noise import NoiseSession
from peerstream.node.network.shared import RateLimit, Shared
from peerstream.node.network.wire import Wire
from peerstream.node.network.yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    HEADER,
    HEADER_SIZE,
    NORMAL_END,
    PING,
    PROTOCOL_ERROR,
    RST,
    SYN,
    VERSION,
    WINDOW_UPDATE,
    pack,
)
from peerstream.node.network.yamux_stream import YamuxStream
from peerstream.node.protocol.errors import RemoteProtocolError

CONGESTED = 262_144  # writers of ordinary streams wait above it
QUEUE_MAX = 1_048_576  # only answers to the peer can fill it so far: see FloodError
STRAY_MAX = 16_777_216  # no window of ours was ever wider
CLOSE_TIMEOUT_S = 1.0


class Yamux(IMuxedConn):  # type: ignore[misc]  # libp2p is untyped here
    """One connection: its streams, and at most one link."""

    def __init__(self, session: NoiseSession, peer_id: ID, shared: Shared) -> None:
        self.secured_conn = session
        self.peer_id = peer_id
        self.on_close: Callable[[], Awaitable[None]] | None = None  # libp2p sets it
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.dirty = False
        self.lost_by: BaseException | None = None
        self.round_trip_s: float | None = None
        self._initiator = bool(session.is_initiator)
        self._shared = shared
        self._wire = Wire(session.detach(), shared.buffers, self._receive)
        self._nursery: trio.Nursery | None = None
        self._draining = False
        # Streams
        self._streams: dict[int, YamuxStream] = {}
        self._inbound = 0
        self._next_id = 1 if self._initiator else 2
        self._going_away = False
        limits = shared.limits
        self._accepted, self._acceptable = trio.open_memory_channel[YamuxStream](
            limits.inbound_streams
        )
        self._syn_rate = RateLimit(limits.syn_per_second)
        self._ping_rate = RateLimit(limits.ping_per_second)
        self._stray_rate = RateLimit(limits.stray_per_second)
        # Output
        self._queue: list[bytes | memoryview] = []
        self._queued = 0
        self._drained = trio.Event()
        # Input: a header that is not whole yet, or the body that is being received
        self._header = b""
        self._body_left = 0
        self._body_flags = 0
        self._body_stream: YamuxStream | None = None
        # Keepalive
        self._heard = trio.current_time()
        self._ping_sent: float | None = None
        # The link
        self._carrier: LinkCarrier | None = None
        self._link_lost: Callable[[BaseException], None] | None = None

    # libp2p's interface

    @property
    def is_initiator(self) -> bool:
        """Whether we dialled."""
        return self._initiator

    @property
    def is_established(self) -> bool:
        """Whether streams can be opened."""
        return self.event_started.is_set() and self.lost_by is None

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone."""
        return self.event_closed.is_set()

    def get_transport_addresses(self) -> list[Any]:
        """Of the other side, as multiaddrs."""
        addresses: list[Any] = self.secured_conn.get_transport_addresses()
        return addresses

    def get_connection_type(self) -> Any:
        """Direct, always."""
        return self.secured_conn.get_connection_type()

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP and port of the other side."""
        return self.secured_conn.get_remote_address()

    async def start(self) -> None:
        """Read until the connection is lost or closed; libp2p runs this as a task."""
        self._shared.connections.add(self)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.event_started.set()
                self._turn(self._wire.deliver_early)
                while self.lost_by is None:
                    await trio.lowlevel.wait_readable(self._wire.socket)
                    self._turn(self._read)
        finally:
            with trio.CancelScope(shield=True):
                await self._shut_down()

    async def open_stream(self) -> YamuxStream:
        """A new stream; it does not wait for the peer.

        Raises:
            MuxedConnUnavailable: the connection is closing, or has too many streams.

        """
        outbound = len(self._streams) - self._inbound
        if not self.is_established or self._going_away or self._carrier is not None:
            raise MuxedConnUnavailable("the connection takes no new streams")
        if outbound >= self._shared.limits.outbound_streams:
            raise MuxedConnUnavailable("too many streams on one connection")
        stream = YamuxStream(self._next_id, self)
        self._next_id += 2
        self._streams[stream.stream_id] = stream
        self._enqueue(pack(WINDOW_UPDATE, SYN, stream.stream_id, 0))
        return stream

    async def accept_stream(self) -> YamuxStream:
        """The next stream that the peer opened.

        Raises:
            MuxedConnUnavailable: the connection is gone.

        """
        try:
            return await self._acceptable.receive()
        except trio.EndOfChannel:
            raise MuxedConnUnavailable("the connection is gone") from None

    async def close(self) -> None:
        """Say so, send what is queued if the peer reads on, and close."""
        if self.lost_by is None:
            self._queue.append(pack(GO_AWAY, 0, 0, NORMAL_END))
            with trio.move_on_after(CLOSE_TIMEOUT_S):
                await self.flushed()
            self.lose(ClosedError("closed by us"))
        await self._shut_down()

    async def flushed(self) -> None:
        """Wait until the kernel has taken everything that is queued, or the connection is lost."""
        self.flush()
        while self.lost_by is None and (self._queue or self._wire.blocked):
            await self._drained.wait()

    # Streams call these

    @property
    def congested(self) -> bool:
        """Whether writers should wait."""
        return self._queued > CONGESTED

    async def wait_drained(self) -> None:
        """Until what is queued has been handed to the kernel, or the connection is lost."""
        await self._drained.wait()

    def send_data(self, stream_id: int, data: memoryview) -> None:
        """Queue a DATA frame."""
        self._enqueue(pack(DATA, 0, stream_id, len(data)), data)

    def send_grant(self, stream_id: int, size: int) -> None:
        """Queue a WINDOW_UPDATE."""
        self._enqueue(pack(WINDOW_UPDATE, 0, stream_id, size))

    def send_flag(self, stream_id: int, flag: int) -> None:
        """Queue a FIN or RST."""
        self._enqueue(pack(WINDOW_UPDATE, flag, stream_id, 0))

    def release(self, size: int) -> None:
        """So many buffered bytes were read or dropped."""
        self._shared.budget.give(size)

    def forget_if_done(self, stream: YamuxStream) -> None:
        """Drop a stream that has ended both ways."""
        if stream.done and self._streams.pop(stream.stream_id, None) is not None:
            self._inbound -= self._is_theirs(stream.stream_id)

    # The link

    def attach_link(
        self, stream: YamuxStream, link: LinkPort, lost: Callable[[BaseException], None]
    ) -> None:
        """From now on the connection carries this link and nothing else.

        ``lost`` is called once, when the connection is gone. Other streams are refused.

        Raises:
            ClosedError: the connection or the stream ended before.

        """
        if self.lost_by is not None or stream.receive_closed or self._carrier is not None:
            raise ClosedError("the stream for the link is gone")
        carrier = LinkCarrier(link, stream)
        self._link_lost = lost
        link.on_output = self._link_output
        for other in list(self._streams.values()):
            if other is not stream:
                self.send_flag(other.stream_id, RST)
                self._end(other, RST)
        received = stream.take()
        self._carrier = carrier
        self.send_grant(stream.stream_id, carrier.opening_grant())
        for data in received:
            self._turn(partial(self._to_carrier, carrier, data))
        self._shared.batch.mark(self)

    def _link_output(self, _link: LinkPort) -> None:
        if not self.dirty:
            self._shared.batch.mark(self)

    def _to_carrier(self, carrier: LinkCarrier, data: memoryview) -> None:
        grant = carrier.receive(data, self._shared.batch.now)
        if grant:
            self.send_grant(carrier.stream.stream_id, grant)

    # Input

    def _turn(self, work: Callable[[], None]) -> None:
        batch = self._shared.batch
        batch.begin()
        try:
            work()
        except (RemoteProtocolError, NetworkError) as error:
            self.lose(error)
        except Exception as error:  # noqa: BLE001  # supervisor: one connection, not the node
            self._shared.counters.count_bug(error)
            self.lose(error)
        batch.end()

    def _read(self) -> None:
        self._heard = self._shared.batch.now
        if not self._wire.read_ready():
            raise ConnectionLostError("the peer closed the connection")

    def _receive(self, message: bytes) -> None:
        data = memoryview(self._header + message if self._header else message)
        self._header = b""
        position, end = 0, len(data)
        while position < end:
            if self._body_left:
                stop = min(position + self._body_left, end)
                self._body(data[position:stop])
                position = stop
            elif end - position < HEADER_SIZE:
                self._header = bytes(data[position:])
                return
            else:
                self._frame(*HEADER.unpack_from(data, position))
                position += HEADER_SIZE

    def _body(self, data: memoryview) -> None:
        self._body_left -= len(data)
        stream, carrier = self._body_stream, self._carrier
        if stream is None:
            return
        if carrier is not None and stream is carrier.stream:
            self._to_carrier(carrier, data)
        elif not stream.was_reset:
            self._shared.budget.take(len(data))
            stream.deliver(data)
        if not self._body_left:
            self._end(stream, self._body_flags)

    def _frame(self, version: int, kind: int, flags: int, stream_id: int, length: int) -> None:
        if version != VERSION:
            raise BadFrameError("an unknown version of Yamux")
        if kind in (DATA, WINDOW_UPDATE):
            self._stream_frame(kind, flags, stream_id, length)
        elif kind == PING:
            self._ping(flags, length)
        elif kind == GO_AWAY:
            self._going_away = True
            if length == PROTOCOL_ERROR:
                raise ConnectionLostError("the peer says that we broke the protocol")
        else:
            raise BadFrameError("an unknown type of frame")

    def _stream_frame(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        stream = self._streams.get(stream_id)
        if flags & SYN:
            stream = self._accept(stream_id, stream)
        elif stream is None:
            self._stray_rate.hit(self._shared.batch.now)
        if kind == WINDOW_UPDATE:
            if stream is not None and length:
                stream.grant(length)
                if self._carrier is not None:
                    self._shared.batch.mark(self)
        elif length:
            self._begin_body(stream, flags, length)
            return
        if stream is not None:
            self._end(stream, flags)

    def _begin_body(self, stream: YamuxStream | None, flags: int, length: int) -> None:
        if stream is None:
            if length > STRAY_MAX:
                raise WindowViolationError("a frame larger than any window")
        else:
            stream.receive_window -= length
            if stream.receive_window < 0 or stream.receive_closed:
                raise WindowViolationError("the peer sends more than it was granted")
        self._body_stream, self._body_flags, self._body_left = stream, flags, length

    def _end(self, stream: YamuxStream, flags: int) -> None:
        if flags & RST:
            stream.cut()
        elif flags & FIN:
            stream.end()
        else:
            return
        self.forget_if_done(stream)
        if self._carrier is not None and stream is self._carrier.stream:
            raise ConnectionLostError("the peer ended the link")

    def _is_theirs(self, stream_id: int) -> bool:
        return bool(stream_id & 1) != self._initiator

    def _accept(self, stream_id: int, known: YamuxStream | None) -> YamuxStream | None:
        if known is not None or not stream_id or not self._is_theirs(stream_id):
            raise BadFrameError("a stream number that is in use or ours")
        self._syn_rate.hit(self._shared.batch.now)
        if self._carrier is None and self._inbound < self._shared.limits.inbound_streams:
            stream = YamuxStream(stream_id, self)
            with suppress(trio.WouldBlock):
                self._accepted.send_nowait(stream)
                self._streams[stream_id] = stream
                self._inbound += 1
                self._enqueue(pack(WINDOW_UPDATE, ACK, stream_id, 0))
                return stream
        self._shared.counters.count("stream_refused")
        self._enqueue(pack(WINDOW_UPDATE, RST, stream_id, 0))
        return None

    def _ping(self, flags: int, value: int) -> None:
        if flags & SYN:
            self._ping_rate.hit(self._shared.batch.now)
            self._enqueue(pack(PING, ACK, 0, value))
        elif flags & ACK and self._ping_sent is not None:
            self.round_trip_s = self._shared.batch.now - self._ping_sent
            self._ping_sent = None

    # Output

    def _enqueue(self, *parts: bytes | memoryview) -> None:
        self._queue.extend(parts)
        self._queued += sum(map(len, parts))
        if self._queued > QUEUE_MAX:
            raise FloodError("the peer lets us answer and does not read")
        self._shared.batch.mark(self)

    def flush(self) -> None:
        """Send what is queued and what the link has, until the kernel has enough."""
        if self.lost_by is not None:
            return
        try:
            self._send_all()
        except (RemoteProtocolError, NetworkError) as error:
            self.lose(error)
        except Exception as error:  # noqa: BLE001  # supervisor: one connection, not the node
            self._shared.counters.count_bug(error)
            self.lose(error)

    def _send_all(self) -> None:
        wire, carrier = self._wire, self._carrier
        if self._queue and not wire.blocked:
            blob = b"".join(self._queue)
            self._queue.clear()
            self._queued = 0
            wire.send(blob)
        if carrier is not None:
            while not wire.blocked and carrier.has_output:
                carrier.send_some(wire)
        if wire.blocked:
            self._wait_writable()
        else:
            self._wake_drained()

    def _wake_drained(self) -> None:
        self._drained.set()
        self._drained = trio.Event()

    def _wait_writable(self) -> None:
        if not self._draining and self._nursery is not None:
            self._draining = True
            self._nursery.start_soon(self._drain)

    async def _drain(self) -> None:
        await trio.lowlevel.wait_writable(self._wire.socket)
        self._draining = False
        self._turn(self._writable)

    def _writable(self) -> None:
        self._wire.write_ready()
        if self._wire.blocked:
            self._wait_writable()
        else:
            self._shared.batch.mark(self)

    # Time and the end

    def tick(self, now: float) -> None:
        """Deadlines of the connection and of its link."""
        self._turn(partial(self._tick, now))

    def _tick(self, now: float) -> None:
        limits = self._shared.limits
        if self._ping_sent is not None:
            if now - self._ping_sent > limits.ping_timeout_s:
                raise ConnectionLostError("the peer does not answer any more")
        elif now - self._heard > limits.keepalive_s:
            self.measure_round_trip()
        if self._carrier is not None:
            self._carrier.link.tick(now)

    def measure_round_trip(self) -> None:
        """Send a ping, unless one is on its way; the answer sets ``round_trip_s``."""
        if self._ping_sent is None:
            self._ping_sent = self._shared.batch.now
            self._enqueue(pack(PING, SYN, 0, 1))

    def lose(self, error: BaseException) -> None:
        """The connection is over for this reason; its task does the rest."""
        if self.lost_by is not None:
            return
        self.lost_by = error
        if isinstance(error, RemoteProtocolError):
            self._shared.counters.count_error(error)
            with suppress(NetworkError, FloodError):
                self._wire.send(pack(GO_AWAY, 0, 0, PROTOCOL_ERROR))
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def _shut_down(self) -> None:
        if self.event_closed.is_set():
            return
        self.event_closed.set()
        if self.lost_by is None:
            self.lost_by = ClosedError("the host stops")
        self._shared.connections.discard(self)
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
        self._accepted.close()
        for stream in list(self._streams.values()):
            stream.cut()
        self._streams.clear()
        self._wake_drained()
        if self._wire.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._wire.socket)
        self._wire.close()
        if self._link_lost is not None:
            self._link_lost(self.lost_by)
        if self.on_close is not None:
            await self.on_close()

    @property
    def bytes_in(self) -> int:
        """Received on the socket."""
        return self._wire.bytes_in

    @property
    def bytes_out(self) -> int:
        """Taken by the kernel."""
        return self._wire.bytes_out
