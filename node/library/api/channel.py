"""A stream over a stream socket, the same at both of its ends (SPEC 18.5).

Two tasks look after it: one reads frames, so that what is urgent (an end, credit, datagrams) never
waits behind bytes that nobody takes; one writes them, so that a task that is cancelled while it
sends never leaves half a frame behind. Bytes go under credit, so neither keeps more than a window.
"""

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from peerstream.node.library.api.errors import (
    STATUSES,
    DaemonError,
    StreamBrokenError,
    broken,
    public,
)
from peerstream.node.library.api.frames import (
    DATA_MAX,
    WINDOW,
    Frame,
    FrameError,
    FrameReader,
    Kind,
    encode,
    encode_credit,
    encode_datagram,
    encode_reset,
)
from peerstream.node.library.api.streams import RECEIVE_MAX, PeerInfo, Stream
from peerstream.node.ports import DATAGRAM_MAX, DatagramTooLargeError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.datagrams import DatagramQueue, Share

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE_MAX_S: Final = 60.0
CLOSE_S: Final = 12.0  # the node gives what was sent ten to arrive
SEND_BUDGET: Final = 1 << 20  # datagrams that wait for the socket
READ_MAX: Final = 131_072


class ChannelStream(Stream):
    """A stream whose other end is a process, or a thread, away."""

    def __init__(
        self, transport: ByteStream, reader: FrameReader, peer: PeerInfo, service: str
    ) -> None:
        """`reader`: holds what came behind the answer already."""
        super().__init__(peer, service)
        self._transport = transport
        self._reader = reader
        self._incoming = bytearray()
        self._taken = 0  # bytes that the program took and the other end has no credit for yet
        self._credit = WINDOW
        self._outgoing: deque[bytes] = deque()
        self._datagrams = DatagramQueue(Share())
        self._datagram_bytes = 0  # that wait in `_outgoing`
        self._peer_ended = False
        self._finished = False
        self._closed = False
        self.closing = False  # the other end said that it is through
        self.error: StreamBrokenError | None = None
        self.over = anyio.Event()
        self._changed = anyio.Event()
        self._to_write = anyio.Event()
        self._receiving = anyio.ResourceGuard("receiving from")
        self._sending = anyio.ResourceGuard("sending to")
        self._fetching = anyio.ResourceGuard("receiving datagrams from")
        self._handlers: dict[Kind, Callable[[Frame], None]] = {
            Kind.DATA: self._data_received,
            Kind.END: self._end_received,
            Kind.RESET: self._reset_received,
            Kind.CREDIT: self._credit_received,
            Kind.DATAGRAM: self._datagram_received,
            Kind.CLOSE: self._close_received,
        }

    # As Stream

    async def receive(self, max_bytes: int = RECEIVE_MAX) -> bytes:
        """As `Stream`."""
        if max_bytes < 1:
            raise ValueError("max_bytes is at least 1")
        with self._receiving:
            await anyio.lowlevel.checkpoint()
            while not self._incoming:
                self._require_open()
                if self._peer_ended:
                    raise anyio.EndOfStream
                self._check()
                await self._changed.wait()
            return self._take(max_bytes)

    def _take(self, max_bytes: int) -> bytes:
        data = bytes(memoryview(self._incoming)[:max_bytes])
        del self._incoming[: len(data)]
        self._taken += len(data)
        if self._taken >= WINDOW // 2:
            self._write(encode_credit(self._taken))
            self._taken = 0
        return data

    async def send(self, item: bytes | memoryview) -> None:
        """As `Stream`."""
        with self._sending:
            await anyio.lowlevel.checkpoint()
            self._require_unfinished()
            view = memoryview(item)
            while view:
                size = min(len(view), self._credit, DATA_MAX)
                if size:
                    self._credit -= size
                    self._write(encode(Kind.DATA, bytes(view[:size])))
                    view = view[size:]
                else:
                    await self._changed.wait()
                self._require_unfinished()

    async def send_eof(self) -> None:
        """As `Stream`."""
        await anyio.lowlevel.checkpoint()
        self._require_open()
        self._finish()

    def _finish(self) -> None:
        if not self._finished and self.error is None:
            self._finished = True
            self._write(encode(Kind.END))

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """As `Stream`."""
        await anyio.lowlevel.checkpoint()
        self._require_open()
        if len(data) > DATAGRAM_MAX:
            raise public(DatagramTooLargeError(f"{len(data)} bytes"))
        self._check()
        if self._finished or not life_s > 0 or self._datagram_bytes + len(data) > SEND_BUDGET:
            return False
        life_s = min(life_s, LIFE_MAX_S)
        self._datagram_bytes += len(data)
        self._write(encode_datagram(bytes(data), life_s))
        return True

    async def receive_datagram(self) -> bytes:
        """As `Stream`."""
        return (await self.fetch_datagram())[1]

    async def fetch_datagram(self) -> tuple[float, bytes]:
        """Return the oldest datagram that waits, with the life in seconds that it came with."""
        with self._fetching:
            await anyio.lowlevel.checkpoint()
            while not self._datagrams:
                self._require_open()
                if self._peer_ended:
                    raise anyio.EndOfStream
                self._check()
                await self._changed.wait()
            return Frame(Kind.DATAGRAM, self._datagrams.take()).read_datagram()

    async def aclose(self) -> None:
        """As `Stream`."""
        if self._closed:
            await anyio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            if self.error is None:
                self._finish()
                self._write(encode(Kind.CLOSE))
                with anyio.move_on_after(CLOSE_S):
                    await self.over.wait()
        finally:
            self._end(Status.CLOSED)
            await anyio.aclose_forcefully(self._transport)

    def reset(self, status: Status = Status.CLOSED) -> None:
        """As `Stream`."""
        self.refuse(status)
        self._closed = True

    def refuse(self, status: Status, *, session: bool = False) -> None:
        """Tell the other end that the stream broke; nothing if it is over already."""
        if self.error is None:
            self._outgoing.clear()
            self._write(encode_reset(status, session=session))
            self._end(status, session=session)

    def _require_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError

    def _require_unfinished(self) -> None:
        self._require_open()
        if self._finished:
            raise anyio.ClosedResourceError
        self._check()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)

    async def left(self) -> None:
        """Wait until the other end said that it is through, or the stream is over."""
        while not self.closing and self.error is None:
            await self._changed.wait()

    def finish(self) -> None:
        """Close the socket: all was said."""
        self._end(Status.CLOSED)

    # The two tasks

    async def run(self) -> None:
        """Look after the stream until it is over; the socket is closed then."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read)
                tasks.start_soon(self._write_out)
                await self.over.wait()
                with anyio.move_on_after(1.0):
                    while self._outgoing:  # our last word
                        await self._changed.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._end(Status.CLOSED)
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(self._transport)

    async def _read(self) -> None:
        try:
            while True:
                for frame in self._reader.frames():
                    self._handle(frame)
                self._reader.feed(await self._transport.receive(READ_MAX))
        except FrameError as error:
            self._fail(error)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self._fail(DaemonError("the other end of the stream socket is gone"))

    def _handle(self, frame: Frame) -> None:
        handler = self._handlers.get(frame.kind)
        if handler is None:
            raise FrameError(f"a {frame.kind.name} in a stream")
        handler(frame)
        self._tell()

    async def _write_out(self) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            while True:
                while not self._outgoing:
                    self._tell()
                    await self._to_write.wait()
                data = self._outgoing[0]
                await self._transport.send(data)
                if self._outgoing and self._outgoing[0] is data:
                    self._outgoing.popleft()
                if data[0] == Kind.DATAGRAM:
                    self._datagram_bytes = max(0, self._datagram_bytes - len(data) + 9)

    def _write(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        changed, self._to_write = self._to_write, anyio.Event()
        changed.set()

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    # What comes

    def _data_received(self, frame: Frame) -> None:
        held = len(self._incoming) + self._taken
        if self._peer_ended or held + len(frame.body) > WINDOW:
            raise FrameError("bytes behind the end, or beyond the window")
        self._incoming += frame.body

    def _end_received(self, _frame: Frame) -> None:
        self._peer_ended = True

    def _reset_received(self, frame: Frame) -> None:
        status, session = frame.read_reset()
        self._incoming.clear()
        self._end(Status(status) if status in STATUSES else Status.INTERNAL, session=session)

    def _credit_received(self, frame: Frame) -> None:
        self._credit += frame.read_credit()
        if self._credit > WINDOW:
            raise FrameError("credit beyond the window")

    def _datagram_received(self, frame: Frame) -> None:
        if not self._peer_ended:
            self._datagrams.put(frame.body)

    def _close_received(self, _frame: Frame) -> None:
        self.closing = True

    # The end

    def _fail(self, error: Exception) -> None:
        if self.error is None:
            self._end(Status.CLOSED, because=error)

    def _end(
        self, status: Status, *, session: bool = False, because: Exception | None = None
    ) -> None:
        if self.error is None:
            self.error = broken(status, session=session)
            self.error.__cause__ = because
        self.over.set()
        self._tell()


def describe(peer: PeerInfo, service: str) -> dict[str, Any]:
    """Return what an ANSWER tells of a stream."""
    return {
        "address": peer.address, "level": peer.level, "hops": peer.hops, "service": service,
    }  # fmt: skip


def read_description(told: dict[str, Any]) -> tuple[PeerInfo, str]:
    """Return the peer and the service that an ANSWER tells of. Raises FrameError."""
    address, level, hops, service = (
        told.get(key) for key in ("address", "level", "hops", "service")
    )
    if not (
        (address is None or isinstance(address, str))
        and isinstance(level, int)
        and isinstance(hops, int)
        and isinstance(service, str)
    ):
        raise FrameError("an answer that tells of no stream")
    return PeerInfo(address, level, hops), service
