"""One ordinary Yamux stream, as libp2p and its protocols use it (SPEC 9.5)."""

from collections import deque
from typing import TYPE_CHECKING, Self

import trio
from libp2p.abc import IMuxedStream
from libp2p.stream_muxer.exceptions import MuxedStreamClosed, MuxedStreamEOF, MuxedStreamReset

from peerstream.node.network.yamux_frames import (
    DATA,
    FIN,
    INITIAL_WINDOW,
    RST,
    WINDOW_MAX,
    WINDOW_UPDATE,
)

if TYPE_CHECKING:
    from peerstream.node.network.yamux import Yamux

FRAME_MAX = 65_507  # with its header it fills one Noise message


class YamuxStream(IMuxedStream):  # type: ignore[misc]  # libp2p is untyped here
    """Ordered bytes both ways; an end (FIN) and a cut (RST, lost connection) are told apart."""

    def __init__(self, stream_id: int, connection: "Yamux") -> None:
        self.stream_id = stream_id
        self.muxed_conn = connection
        self.send_window = INITIAL_WINDOW
        self.receive_window = INITIAL_WINDOW
        self.send_closed = False
        self.receive_closed = False
        self.was_reset = False
        self._received: deque[memoryview] = deque()
        self._buffered = 0
        self._consumed = 0
        self._changed = trio.Event()

    # What the connection calls

    def deliver(self, data: memoryview) -> None:
        """Bytes from the peer; the connection has debited the window."""
        self._received.append(data)
        self._buffered += len(data)
        self._wake()

    def grant(self, size: int) -> None:
        """Note that the peer takes so many bytes more."""
        self.send_window = min(self.send_window + size, WINDOW_MAX)
        self._wake()

    def end(self) -> None:
        """Note that the peer sends no more."""
        self.receive_closed = True
        self._wake()

    def cut(self) -> None:
        """Reset by either side, or the connection is gone: what was received is void too."""
        self.was_reset = self.send_closed = self.receive_closed = True
        self.muxed_conn.release(self._buffered)
        self._received.clear()
        self._buffered = 0
        self._wake()

    def take(self) -> list[memoryview]:
        """All that is buffered, for a link that takes the stream over."""
        taken = list(self._received)
        self._received.clear()
        self.muxed_conn.release(self._buffered)
        self._buffered = 0
        return taken

    @property
    def done(self) -> bool:
        """Whether both directions have ended."""
        return self.send_closed and self.receive_closed

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # What libp2p calls

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most n.

        Raises:
            MuxedStreamEOF: the peer ended the stream: all it sent has been read.
            MuxedStreamReset: the peer or the connection cut it: bytes may be missing.

        """
        if n == 0:
            return b""
        while not self._buffered:
            if self.was_reset:
                raise MuxedStreamReset("the stream was cut")
            if self.receive_closed:
                raise MuxedStreamEOF("the peer ended the stream")
            await self._changed.wait()
        size = self._buffered if n is None or n < 0 else min(n, self._buffered)
        data = self._pop(size)
        self._buffered -= size
        self.muxed_conn.release(size)
        self._grant_back(size)
        return data

    def _pop(self, size: int) -> bytes:
        parts: list[memoryview] = []
        while size:
            first = self._received[0]
            if len(first) > size:
                parts.append(first[:size])
                self._received[0] = first[size:]
                break
            parts.append(self._received.popleft())
            size -= len(first)
        return b"".join(parts)

    def _grant_back(self, size: int) -> None:
        self._consumed += size
        if self._consumed >= INITIAL_WINDOW // 2 and not self.receive_closed:
            self.receive_window += self._consumed
            self.muxed_conn.send_frame(WINDOW_UPDATE, 0, self.stream_id, self._consumed)
            self._consumed = 0

    async def write(self, data: bytes) -> None:
        """Hand all bytes to the connection; waits for the peer's window, for as long as it takes.

        Raises:
            MuxedStreamReset: the stream was cut.
            MuxedStreamClosed: it was closed for writing.

        """
        view = memoryview(data)
        while view:
            if self.was_reset:
                raise MuxedStreamReset("the stream was cut")
            if self.send_closed:
                raise MuxedStreamClosed("closed for writing")
            if not self.send_window:
                await self._changed.wait()
            elif self.muxed_conn.congested:
                await self.muxed_conn.wait_drained()
            else:
                size = min(self.send_window, len(view), FRAME_MAX)
                self.send_window -= size
                self.muxed_conn.send_frame(DATA, 0, self.stream_id, size, view[:size])
                view = view[size:]
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """End our direction (FIN); the peer may still send."""
        if not self.send_closed:
            self.send_closed = True
            self.muxed_conn.send_frame(WINDOW_UPDATE, FIN, self.stream_id, 0)
            self.muxed_conn.forget_if_done(self)
        await trio.lowlevel.checkpoint()

    async def close_write(self) -> None:
        """Do the same as close: Yamux has no other half-close."""
        await self.close()

    async def reset(self) -> None:
        """Cut both directions (RST)."""
        if not self.was_reset:
            if not self.done:
                self.muxed_conn.send_frame(WINDOW_UPDATE, RST, self.stream_id, 0)
            self.cut()
            self.muxed_conn.forget_if_done(self)
        await trio.lowlevel.checkpoint()

    def set_deadline(self, ttl: int) -> bool:
        """Not supported: callers use trio's cancel scopes."""
        del ttl
        return False

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP and port of the other side."""
        address: tuple[str, int] | None = self.muxed_conn.get_remote_address()
        return address

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()
