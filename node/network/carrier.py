"""A link riding on one Yamux stream, without a task in between (SPEC 9.6)."""

from collections.abc import Callable
from typing import Protocol

from peerstream.node.network.wire import Wire
from peerstream.node.network.yamux_frames import DATA, pack
from peerstream.node.network.yamux_stream import YamuxStream

# One DATA frame with its header fills one Noise message; four cells of class 2 fit.
BATCH_SIZE = 65_507
# A link's bytes are consumed in the turn they arrive in, so that a wide window costs no memory;
# 16 MiB are two bandwidth-delay products of 1 Gbit/s over 60 ms.
LINK_WINDOW = 16_777_216


class LinkPort(Protocol):
    """What the data plane needs of a link; the sans-IO machine and test doubles offer it."""

    on_output: Callable[["LinkPort"], None] | None

    @property
    def has_output(self) -> bool:
        """Whether data_to_send would return anything."""
        ...

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Bytes from the neighbour, cut anywhere. Raises RemoteProtocolError."""
        ...

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        """About ``budget`` bytes in pieces that are valid until the next call."""
        ...

    def tick(self, now: float) -> None:
        """Timers."""
        ...


class LinkCarrier:
    """Feeds a link from a stream's bytes and the stream from the link's output."""

    def __init__(self, link: LinkPort, stream: YamuxStream) -> None:
        self.link = link
        self.stream = stream
        self._consumed = 0
        self._backlog = b""

    def opening_grant(self) -> int:
        """How much to add to the peer's window at the takeover."""
        grant = LINK_WINDOW - self.stream.receive_window
        self.stream.receive_window = LINK_WINDOW
        return grant

    def receive(self, data: memoryview, now: float) -> int:
        """Pass bytes on; returns by how much to raise the peer's window, mostly 0."""
        self.link.receive_data(data, now)
        self._consumed += len(data)
        if self._consumed < LINK_WINDOW // 2:
            return 0
        grant, self._consumed = self._consumed, 0
        self.stream.receive_window += grant
        return grant

    @property
    def has_output(self) -> bool:
        """Whether there is something to send and window for it."""
        return self.stream.send_window > 0 and bool(self._backlog or self.link.has_output)

    def send_some(self, wire: Wire) -> None:
        """One batch into one frame and one send. Call while ``has_output``."""
        if self._backlog:
            parts: list[bytes | memoryview] = [self._backlog]
        else:
            parts = self.link.data_to_send(BATCH_SIZE)
        size, window = sum(map(len, parts)), self.stream.send_window
        if size <= window:
            self._backlog = b""
            frame = b"".join((pack(DATA, 0, self.stream.stream_id, size), *parts))
        else:
            blob = b"".join(parts)
            size, self._backlog = window, blob[window:]
            frame = pack(DATA, 0, self.stream.stream_id, size) + blob[:size]
        if size:
            self.stream.send_window -= size
            wire.send(frame)
