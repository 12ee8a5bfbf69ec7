"""Is the other side still there, and does anybody need it (SPEC 9.5)."""

from collections.abc import Callable

from peerstream.node.network.errors import ClosedError, ConnectionLostError
from peerstream.node.network.shared import MuxerLimits, RateLimit
from peerstream.node.network.yamux_frames import ACK, PING, SYN


class Keepalive:
    """Pings when nothing was heard for long; answers pings, but not a flood of them."""

    def __init__(
        self, limits: MuxerLimits, send_frame: Callable[[int, int, int, int], None], now: float
    ) -> None:
        self.round_trip_s: float | None = None
        self._limits = limits
        self._send_frame = send_frame
        self._rate = RateLimit(limits.ping_per_second)
        self._heard_at = now
        self._used_at = now
        self._sent_at: float | None = None

    def heard(self, now: float) -> None:
        """Note that bytes came."""
        self._heard_at = now

    def ping_received(self, flags: int, value: int, now: float) -> None:
        """Answer a ping, or take an answer.

        Raises:
            FloodError: too many in this second.

        """
        if flags & SYN:
            self._rate.hit(now)
            self._send_frame(PING, ACK, 0, value)
        elif flags & ACK and self._sent_at is not None:
            self.round_trip_s = now - self._sent_at
            self._sent_at = None

    def tick(self, now: float, *, used: bool) -> None:
        """Look at the clock; ``used`` when the connection has a stream or a link.

        Raises:
            ConnectionLostError: the peer does not answer.
            ClosedError: nobody has used the connection for long.

        """
        if used:
            self._used_at = now
        elif now - self._used_at > self._limits.idle_s:
            raise ClosedError("nobody uses the connection")
        if self._sent_at is not None:
            if now - self._sent_at > self._limits.ping_timeout_s:
                raise ConnectionLostError("the peer does not answer any more")
        elif now - self._heard_at > self._limits.keepalive_s:
            self._sent_at = now
            self._send_frame(PING, SYN, 0, 1)
