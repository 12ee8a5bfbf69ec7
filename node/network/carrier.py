"""A link riding on one Yamux stream, without a task in between (SPEC 9.6)."""

from collections.abc import Callable
from typing import Any, Protocol

from peerstream.node.network.wire import Wire
from peerstream.node.network.yamux_frames import DATA, pack
from peerstream.node.network.yamux_stream import YamuxStream
from peerstream.node.protocol.errors import RemoteProtocolError

# One DATA frame with its header fills one Noise message; four cells of class 2 fit.
BATCH_SIZE = 65_507
# A link's bytes are consumed in the turn they arrive in, so that a wide window costs no memory;
# 16 MiB are two bandwidth-delay products of 1 Gbit/s over 60 ms.
LINK_WINDOW = 16_777_216


class LinkPort(Protocol):
    """What the data plane needs of a link; the sans-IO machine and test doubles offer it."""

    on_output: Callable[[Any], None]
    failure: RemoteProtocolError | None
    closed: bool

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        """Take bytes from the neighbour, cut anywhere. Raises RemoteProtocolError."""
        ...

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        """Take up to ``budget`` bytes, in pieces that are valid until the next call."""
        ...

    def tick(self, now: float) -> None:
        """Look at the clock (seconds); sets ``failure`` when the neighbour is gone."""
        ...

    def close(self) -> None:
        """End the circuits of the link; it has no connection any more."""
        ...


class LinkCarrier:
    """Feeds a link from a stream's bytes and the stream from the link's output."""

    def __init__(self, link: LinkPort, stream: YamuxStream) -> None:
        self.link = link
        self.stream = stream
        self._consumed = 0
        self._backlog: bytes = b""

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

    def send_some(self, wire: Wire) -> bool:
        """Send one batch as one frame; False when there is nothing, or no window, to send."""
        window = self.stream.send_window
        if not window:
            return False
        parts = [self._backlog] if self._backlog else self.link.data_to_send(BATCH_SIZE)
        size = sum(map(len, parts))
        if not size:
            return False
        if size > window:
            blob = b"".join(parts)
            parts, self._backlog, size = [blob[:window]], blob[window:], window
        else:
            self._backlog = b""
        self.stream.send_window -= size
        wire.send(b"".join((pack(DATA, 0, self.stream.stream_id, size), *parts)))
        return True
