"""The ordinary streams of one connection: numbers, limits, those not accepted yet (SPEC 9.5)."""

from typing import TYPE_CHECKING

import trio
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable

from peerstream.node.network.errors import BadFrameError
from peerstream.node.network.shared import MuxerLimits, RateLimit
from peerstream.node.network.yamux_stream import YamuxStream

if TYPE_CHECKING:
    from peerstream.node.network.yamux import Yamux


class StreamTable:
    """Streams by number. The dialler's are odd, the other side's are even."""

    def __init__(self, connection: "Yamux", limits: MuxerLimits, *, initiator: bool) -> None:
        self._connection = connection
        self._limits = limits
        self._initiator = initiator
        self._next_id = 1 if initiator else 2
        self._streams: dict[int, YamuxStream] = {}
        self._inbound = 0
        self._syn_rate = RateLimit(limits.syn_per_second)
        self._offer, self._offered = trio.open_memory_channel[YamuxStream](limits.inbound_streams)

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, stream_id: int) -> YamuxStream | None:
        """Return the stream of this number, if it is open."""
        return self._streams.get(stream_id)

    def open(self) -> YamuxStream:
        """Make a stream of ours.

        Raises:
            MuxedConnUnavailable: there are too many.

        """
        if len(self._streams) - self._inbound >= self._limits.outbound_streams:
            raise MuxedConnUnavailable("too many streams on one connection")
        stream = YamuxStream(self._next_id, self._connection)
        self._next_id += 2
        self._streams[stream.stream_id] = stream
        return stream

    def check_syn(self, stream_id: int, now: float) -> None:
        """Whether the peer may use this number for a new stream.

        Raises:
            BadFrameError: the number is in use, or not one of its side.
            FloodError: it opens too many in a second.

        """
        if not stream_id or stream_id in self._streams or not self._is_theirs(stream_id):
            raise BadFrameError("a stream number that is in use or ours")
        self._syn_rate.hit(now)

    def admit(self, stream_id: int) -> YamuxStream | None:
        """Make a stream of the peer's, or None when it has too many."""
        if self._inbound >= self._limits.inbound_streams:
            return None
        stream = YamuxStream(stream_id, self._connection)
        try:
            self._offer.send_nowait(stream)
        except trio.WouldBlock:  # opened and reset faster than anyone accepts
            return None
        self._streams[stream_id] = stream
        self._inbound += 1
        return stream

    async def accept(self) -> YamuxStream:
        """Wait for the next stream that the peer opened.

        Raises:
            MuxedConnUnavailable: the connection is gone.

        """
        try:
            return await self._offered.receive()
        except trio.EndOfChannel:
            raise MuxedConnUnavailable("the connection is gone") from None

    def forget_if_done(self, stream: YamuxStream) -> None:
        """Drop a stream that has ended both ways."""
        if stream.done and self._streams.pop(stream.stream_id, None) is not None:
            self._inbound -= self._is_theirs(stream.stream_id)

    def others(self, stream: YamuxStream) -> list[YamuxStream]:
        """Return all but this one."""
        return [other for other in self._streams.values() if other is not stream]

    def close(self) -> None:
        """Cut all; nobody waits for a new one any longer."""
        self._offer.close()
        for stream in list(self._streams.values()):
            stream.cut()
        self._streams.clear()
        self._inbound = 0

    def _is_theirs(self, stream_id: int) -> bool:
        return bool(stream_id & 1) != self._initiator
