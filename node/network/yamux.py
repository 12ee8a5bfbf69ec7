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
    NetworkError,
    WindowViolationError,
)
from peerstream.node.network.keepalive import Keepalive
from peerstream.node.network.noise import NoiseSession
from peerstream.node.network.shared import RateLimit, Shared
from peerstream.node.network.wire import Wire
from peerstream.node.network.yamux_frames import (
    ACK,
    DATA,
    FIN,
    GO_AWAY,
    NORMAL_END,
    PING,
    PROTOCOL_ERROR,
    RST,
    SYN,
    WINDOW_UPDATE,
    pack,
)
from peerstream.node.network.yamux_input import FrameReader
from peerstream.node.network.yamux_output import Output
from peerstream.node.network.yamux_stream import YamuxStream
from peerstream.node.network.yamux_streams import StreamTable
from peerstream.node.protocol.errors import RemoteProtocolError

STRAY_MAX = 16_777_216  # no window of ours was ever wider
CLOSE_TIMEOUT_S = 1.0


class Yamux(IMuxedConn):  # type: ignore[misc]  # libp2p is untyped here
    """One connection: its streams, and at most one link."""

    def __init__(self, session: NoiseSession, peer_id: ID, shared: Shared) -> None:
        self.secured_conn = session
        self.peer_id = peer_id
        self._initiator = bool(session.is_initiator)
        self.on_close: Callable[[], Awaitable[None]] | None = None  # libp2p sets it
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self.dirty = False
        self.lost_by: BaseException | None = None
        self._shared = shared
        self._reader = FrameReader(self._frame, self._body)
        self.wire = Wire(session.detach(), shared.buffers, self._reader.receive)
        self._output = Output(self.wire, self._mark)
        self._streams = StreamTable(self, shared.limits, initiator=self._initiator)
        self._stray_rate = RateLimit(shared.limits.stray_per_second)
        self._keepalive = Keepalive(shared.limits, self.send_frame, trio.current_time())
        self._lost = trio.Event()
        self._watched = False
        self._draining = False
        self._going_away = False
        self._body_stream: YamuxStream | None = None
        self._body_flags = 0
        self._link_lost: Callable[[BaseException], None] | None = None

    @property
    def bytes_in(self) -> int:
        """Bytes received on the socket."""
        return self.wire.bytes_in

    @property
    def bytes_out(self) -> int:
        """Bytes that the kernel has taken."""
        return self.wire.bytes_out

    @property
    def round_trip_s(self) -> float | None:
        """Of the last ping, in seconds; None before the first."""
        return self._keepalive.round_trip_s

    # What libp2p calls

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
        """Multiaddrs of the other side."""
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
            self.event_started.set()
            self._turn(self.wire.deliver_early)
            if self.lost_by is None:
                self._shared.poller.add(self.wire.socket, self._ready)
                self._watched = True
                self._watch_writable()
            await self._lost.wait()
        finally:
            with trio.CancelScope(shield=True):
                await self._shut_down()

    async def open_stream(self) -> YamuxStream:
        """Open a stream without waiting for the peer.

        Raises:
            MuxedConnUnavailable: the connection is closing, carries a link, or has too many.

        """
        if not self.is_established or self._going_away or self._output.carrier is not None:
            raise MuxedConnUnavailable("the connection takes no new streams")
        stream = self._streams.open()
        self.send_frame(WINDOW_UPDATE, SYN, stream.stream_id, 0)
        return stream

    async def accept_stream(self) -> YamuxStream:
        """Wait for the next stream that the peer opens; MuxedConnUnavailable at the end."""
        return await self._streams.accept()

    async def close(self) -> None:
        """Say so, send what is queued if the peer reads on, and close."""
        if self.lost_by is None:
            self.send_frame(GO_AWAY, 0, 0, NORMAL_END)
            with trio.move_on_after(CLOSE_TIMEOUT_S):
                await self._flushed()
            self.lose(ClosedError("closed by us"))
        await self._shut_down()

    async def _flushed(self) -> None:
        self.flush()
        while self.lost_by is None and self._output.waiting:
            await self._output.drained()

    # What streams call

    @property
    def congested(self) -> bool:
        """Whether a writer should wait for ``wait_drained``."""
        return self._output.congested and self.lost_by is None

    async def wait_drained(self) -> None:
        """Until what is queued has been handed to the kernel, or the connection is lost."""
        await self._output.drained()

    def send_frame(
        self, kind: int, flags: int, stream_id: int, length: int, data: bytes | memoryview = b""
    ) -> None:
        """Queue a frame; nothing happens when the connection is lost."""
        if self.lost_by is not None:
            return
        try:
            self._output.add(pack(kind, flags, stream_id, length), data)
        except RemoteProtocolError as error:
            self.lose(error)

    def release(self, size: int) -> None:
        """So many buffered bytes were read or dropped."""
        self._shared.budget.give(size)

    def forget_if_done(self, stream: YamuxStream) -> None:
        """Drop a stream that has ended both ways."""
        self._streams.forget_if_done(stream)

    # What the driver of links calls

    def attach_link(
        self, stream: YamuxStream, link: LinkPort, lost: Callable[[BaseException], None]
    ) -> None:
        """From now on the connection carries this link and nothing else.

        ``lost`` is called once, when the connection is gone. Other streams are refused.

        Raises:
            ClosedError: the connection or the stream ended before.

        """
        if self.lost_by is not None or stream.receive_closed or self._output.carrier is not None:
            raise ClosedError("the stream for the link is gone")
        carrier = LinkCarrier(link, stream)
        self._link_lost = lost
        link.on_output = self._link_output
        for other in self._streams.others(stream):
            self.send_frame(WINDOW_UPDATE, RST, other.stream_id, 0)
            self._end(other, RST)
        self._output.carrier = carrier
        self.send_frame(WINDOW_UPDATE, 0, stream.stream_id, carrier.opening_grant())
        early = b"".join(stream.take())
        if early:
            self._turn(partial(self._to_carrier, carrier, memoryview(early)))
        self._mark()

    def _link_output(self, _link: LinkPort) -> None:
        self._mark()

    def _to_carrier(self, carrier: LinkCarrier, data: memoryview) -> None:
        grant = carrier.receive(data, self._shared.batch.now)
        if grant:
            self.send_frame(WINDOW_UPDATE, 0, carrier.stream.stream_id, grant)

    # Input

    def _turn(self, work: Callable[[], None]) -> None:
        self._shared.batch.begin()
        self._guarded(work)
        self._shared.batch.end()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (RemoteProtocolError, NetworkError) as error:
            self.lose(error)
        except Exception as error:  # noqa: BLE001  # supervisor: one connection, not the node
            self._shared.counters.count_bug(error)
            self.lose(error)

    def _ready(self, readable: bool, writable: bool) -> None:  # noqa: FBT001  # the poller's call
        if writable and self._draining:
            self._guarded(self._writable)
        if readable and self.lost_by is None:
            self._guarded(self._read)

    def _read(self) -> None:
        self._keepalive.heard(self._shared.batch.now)
        if not self.wire.read_ready():
            raise ConnectionLostError("the peer closed the connection")

    def _frame(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        if kind in (DATA, WINDOW_UPDATE):
            self._stream_frame(kind, flags, stream_id, length)
        elif kind == PING:
            self._keepalive.ping_received(flags, length, self._shared.batch.now)
        elif kind == GO_AWAY:
            self._going_away = True
            if length != NORMAL_END:
                raise ConnectionLostError("the peer says that we broke the protocol")
        else:
            raise BadFrameError("an unknown type of frame")

    def _stream_frame(self, kind: int, flags: int, stream_id: int, length: int) -> None:
        stream = self._streams.get(stream_id)
        if flags & SYN:
            stream = self._accept(stream_id)
        elif stream is None:
            self._stray_rate.hit(self._shared.batch.now)
        if kind == DATA:
            self._begin_body(stream, flags, length)
        elif stream is not None and length:
            stream.grant(length)
            self._mark()
        if stream is not None and not (kind == DATA and length):
            self._end(stream, flags)

    def _begin_body(self, stream: YamuxStream | None, flags: int, length: int) -> None:
        self._body_stream, self._body_flags = stream, flags
        if stream is None:
            if length > STRAY_MAX:
                raise WindowViolationError("a frame larger than any window")
            return
        stream.receive_window -= length
        if stream.receive_window < 0 or (stream.receive_closed and length):
            raise WindowViolationError("the peer sends more than it was granted")

    def _body(self, data: memoryview, last: bool) -> None:  # noqa: FBT001  # called per message
        stream, carrier = self._body_stream, self._output.carrier
        if stream is None:
            return
        if carrier is not None and stream is carrier.stream:
            self._to_carrier(carrier, data)
        elif not stream.was_reset:
            self._shared.budget.take(len(data))
            stream.deliver(data)
        if last:
            self._end(stream, self._body_flags)

    def _end(self, stream: YamuxStream, flags: int) -> None:
        if flags & RST:
            stream.cut()
        elif flags & FIN:
            stream.end()
        else:
            return
        self._streams.forget_if_done(stream)
        carrier = self._output.carrier
        if carrier is not None and stream is carrier.stream:
            raise ConnectionLostError("the peer ended the link")

    def _accept(self, stream_id: int) -> YamuxStream | None:
        self._streams.check_syn(stream_id, self._shared.batch.now)
        stream = self._streams.admit(stream_id) if self._output.carrier is None else None
        if stream is None:
            self._shared.counters.count("stream_refused")
        self.send_frame(WINDOW_UPDATE, RST if stream is None else ACK, stream_id, 0)
        return stream

    # Output

    def _mark(self) -> None:
        if not self.dirty:
            self._shared.batch.mark(self)

    def flush(self) -> None:
        """Send what is queued and what the link has, until the kernel has enough."""
        if self.lost_by is None:
            self._guarded(self._output.flush)
            self._watch_writable()

    def _watch_writable(self) -> None:
        if self._watched and self.wire.blocked is not self._draining:
            self._draining = self.wire.blocked
            self._shared.poller.want_write(self.wire.socket, wanted=self._draining)

    def _writable(self) -> None:
        self.wire.write_ready()
        self._mark()

    # Time and the end

    def tick(self, now: float) -> None:
        """Look at the clock, for the connection and for its link."""
        self._guarded(partial(self._tick, now))

    def _tick(self, now: float) -> None:
        carrier = self._output.carrier
        self._keepalive.tick(now, used=carrier is not None or len(self._streams) > 0)
        if carrier is not None:
            self._tick_link(carrier.link, now)

    def _tick_link(self, link: LinkPort, now: float) -> None:
        link.tick(now)
        if link.failure is not None:
            raise link.failure
        if link.closed:
            raise ClosedError("the link was closed by us")

    def lose(self, error: BaseException) -> None:
        """Give the connection up for this reason; its task does the rest."""
        if self.lost_by is not None:
            return
        self.lost_by = error
        if isinstance(error, RemoteProtocolError):
            self._shared.counters.count_error(error)
            with suppress(NetworkError, RemoteProtocolError):
                self.wire.send(pack(GO_AWAY, 0, 0, PROTOCOL_ERROR))
        if self._watched:
            self._watched = False
            self._shared.poller.remove(self.wire.socket)
        self._lost.set()

    async def _shut_down(self) -> None:
        if self.event_closed.is_set():
            return
        self.event_closed.set()
        self.lose(ClosedError("the host stops"))
        self._shared.connections.discard(self)
        self._streams.close()
        self._output.wake()
        self.wire.close()
        if self._link_lost is not None and self.lost_by is not None:
            self._link_lost(self.lost_by)
        if self.on_close is not None:
            await self.on_close()
