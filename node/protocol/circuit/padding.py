"""Padding of one link: frames that mean nothing, so that silence means less (SPEC 4.5)."""

from collections.abc import Callable
from typing import Final

from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.wire.frames import FrameType, PaddingRate
from peerstream.node.protocol.wire.sizes import CELL_SIZES

# What a client asks of its guard and does itself: after 1.5 to 9.5 s of silence one small frame,
# so that records of a network operator show one long flow and not when circuits open and close.
DEFAULT_RATE: Final = PaddingRate(1_500, 9_500, 0, 0)


class LinkPadding:
    """Pads our direction of a link as `rate` says, or as the neighbour asked with PADNEG.

    Only `idle_low` to `idle_high` are served: a constant rate needs a scheduler that also delays
    cells, which version 1 does not have, so `rate` is read as none.
    """

    def __init__(
        self, link: Link, rate: PaddingRate, *, entropy: Callable[[int], bytes], now: float
    ) -> None:
        self._link = link
        self._own_rate = rate
        self._entropy = entropy
        self._sent_before = -1
        self._due_at = now
        self._draw(now)

    def tick(self, now: float) -> None:
        """Send padding if the link was silent for the time drawn; call about once a second."""
        if self._link.closed or self._link.version is None:
            return
        if self._link.batches_sent != self._sent_before:
            self._draw(now)
        elif now >= self._due_at:
            rate = self._rate
            if rate.idle_high:
                self._link.send(0, FrameType.PADDING, bytes(CELL_SIZES[rate.cell_class]))
            self._draw(now)

    @property
    def _rate(self) -> PaddingRate:
        return self._link.peer_padding or self._own_rate

    def _draw(self, now: float) -> None:
        """Begin a silence anew."""
        self._sent_before = self._link.batches_sent
        low, high = self._rate.idle_low, self._rate.idle_high
        drawn = int.from_bytes(self._entropy(4), "big") / (1 << 32)
        self._due_at = now + (low + (high - low) * drawn) / 1_000
