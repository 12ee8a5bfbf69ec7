"""Padding of one link: frames that mean nothing, so that silence means less (SPEC 4.5)."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from peerstream.node.protocol.circuit.constant import CELL_CLASS, ConstantRate, served_rate
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.wire.frames import FrameType, PaddingRate
from peerstream.node.protocol.wire.sizes import CELL_SIZES, LINK_HEADER_SIZE


class PaddingProfile(Enum):
    """What a node does about its links to guards, and asks them to do."""

    OFF = "off"
    LINK = "link"  # silences are broken: one long flow, not when circuits open and close
    CONSTANT = "constant"  # the same bytes at every moment


NO_PADDING: Final = PaddingRate(0, 0, 0, 0)
DEFAULT_RATE: Final = PaddingRate(1_500, 9_500, 0, 0)
DEFAULT_CELLS: Final = 64


def padding_of(profile: PaddingProfile, cells: int = DEFAULT_CELLS) -> PaddingRate:
    """Return what a profile asks for; `cells` a second, one of `RATES`, where it is constant.

    A guard that has no more to give for constant rates breaks silences instead.
    """
    if profile is PaddingProfile.OFF:
        return NO_PADDING
    if profile is PaddingProfile.LINK:
        return DEFAULT_RATE
    return PaddingRate(DEFAULT_RATE.idle_low, DEFAULT_RATE.idle_high, cells, CELL_CLASS)


def everything(_bytes_per_second: int) -> bool:
    """Grant each constant rate: for links of our own."""
    return True


class LinkPadding:
    """Pads our direction of a link as `rate` says; None: as the neighbour asks with PADNEG.

    A guard that could ask would take the padding of its clients away, or have them send at its
    pleasure. `grants`: whether a constant rate of so many bytes a second may begin.
    """

    def __init__(
        self,
        link: Link,
        rate: PaddingRate | None,
        *,
        entropy: Callable[[int], bytes],
        now: float,
        grants: Callable[[int], bool] = everything,
    ) -> None:
        self.link = link
        self._own_rate = rate
        self._entropy = entropy
        self._grants = grants
        self._sent_before = -1
        self._due_at = now
        self._idle_bytes = 0
        self._draw(now)
        self._keep_rate()

    @property
    def bytes_sent(self) -> int:
        """Bytes of padding so far."""
        constant = self.link.constant
        return self._idle_bytes + (0 if constant is None else constant.padding_sent)

    def tick(self, now: float) -> None:
        """Send padding if the link was silent for the time drawn; call about once a second."""
        if self.link.closed or self.link.version is None:
            return
        self._keep_rate()
        if self.link.batches_sent != self._sent_before:
            self._draw(now)
        elif now >= self._due_at:
            rate = self._rate
            if rate.idle_high:
                self.link.send(0, FrameType.PADDING, bytes(CELL_SIZES[0]))
                self._idle_bytes += CELL_SIZES[0] + LINK_HEADER_SIZE
            self._draw(now)

    def _keep_rate(self) -> None:
        """Begin a constant rate that is wanted and granted; it lasts as long as the link."""
        rate = served_rate(self._rate)
        if not rate or self.link.constant is not None or self.link.closed:
            return
        link = self.link
        constant = ConstantRate(rate, link.take_frames, lambda: link.on_output(link))
        if self._grants(constant.bytes_per_second):
            link.constant = constant

    @property
    def _rate(self) -> PaddingRate:
        own = self._own_rate
        return own if own is not None else self.link.peer_padding or NO_PADDING

    def _draw(self, now: float) -> None:
        """Begin a silence anew."""
        self._sent_before = self.link.batches_sent
        low, high = self._rate.idle_low, self._rate.idle_high
        drawn = int.from_bytes(self._entropy(4), "big") / (1 << 32)
        self._due_at = now + (low + (high - low) * drawn) / 1_000
