"""Pads the links of one node by its profile, and knows what that costs (SPEC 4.5, 10.2)."""

from dataclasses import dataclass
from typing import Any, Final

import trio

from peerstream.node.ports import Environment
from peerstream.node.protocol.circuit.constant import RATES, STEPS
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.padding import (
    DEFAULT_CELLS,
    NO_PADDING,
    LinkPadding,
    PaddingProfile,
    padding_of,
)
from peerstream.node.protocol.wire.frames import FrameType

CONSTANT_BYTES_MAX: Final = 8_388_608  # a second, for all clients of a relay together
LATE_S: Final = 1.0  # a clock that jumped further is not followed step by step


@dataclass(frozen=True, slots=True)
class PaddingSettings:
    """How a node pads its links to guards; `cells` a second where that is constant."""

    profile: PaddingProfile = PaddingProfile.LINK
    cells: int = DEFAULT_CELLS

    def __post_init__(self) -> None:
        if self.cells not in RATES:
            raise ValueError(f"a constant rate is one of {RATES} cells a second")


DEFAULT_PADDING: Final = PaddingSettings()


class Padder:
    """The padding of all links of clients and to guards.

    Relays pad where a client asked for it; between relays traffic is mixed already.
    """

    def __init__(self, environment: Environment, settings: PaddingSettings) -> None:
        self._environment = environment
        self._settings = settings
        self._open: dict[Link, LinkPadding] = {}
        self._padding_gone = 0
        self._bytes_gone = 0
        self._constant = trio.Event()

    def _new(self, link: Link, *, ours: bool) -> LinkPadding:
        settings = self._settings
        return LinkPadding(
            link,
            padding_of(settings.profile, settings.cells) if ours else None,
            entropy=self._environment.entropy,
            now=self._environment.clock.now(),
            grants=self._grants_ours if ours else self._grants,
        )

    def _grants_ours(self, _bytes_per_second: int) -> bool:
        self._constant.set()
        return True

    def _grants(self, bytes_per_second: int) -> bool:
        """Whether there is room for one more constant rate that a client asks for."""
        given = sum(
            link.constant.bytes_per_second for link in self._open if link.constant is not None
        )
        granted = given + bytes_per_second <= CONSTANT_BYTES_MAX
        if granted:
            self._constant.set()
        return granted

    def serve(self, link: Link) -> None:
        """Pad a client's link as it asks."""
        self._open[link] = self._new(link, ours=False)

    def begin(self, link: Link) -> None:
        """Pad a link to a guard of ours, and ask the guard to do the same."""
        if link.closed or link in self._open:
            return
        rate = padding_of(self._settings.profile, self._settings.cells)
        if rate != NO_PADDING:
            link.send(0, FrameType.PADNEG, rate.encode())
        self._open[link] = self._new(link, ours=True)

    def link_closed(self, link: Link) -> None:
        """Let go of a link, but for what it cost."""
        padding = self._open.pop(link, None)
        if padding is not None:
            self._padding_gone += padding.bytes_sent
            self._bytes_gone += link.bytes_sent

    def tick(self, now: float) -> None:
        """Break silences; call about four times a second."""
        for padding in list(self._open.values()):
            padding.tick(now)

    async def run(self) -> None:
        """Keep constant rates, until cancelled."""
        clock = self._environment.clock
        while True:
            await self._constant.wait()
            at = clock.now()
            while self._step():
                at = max(at + 1 / STEPS, clock.now() - LATE_S)
                await trio.sleep(max(0.0, at - clock.now()))
            self._constant = trio.Event()

    def _step(self) -> bool:
        """Let each constant rate send once; False when there is none."""
        links = [link for link in self._open if link.constant is not None and not link.closed]
        for link in links:
            if link.constant is not None:
                link.constant.step()
        return bool(links)

    def statistics(self) -> dict[str, Any]:
        """Return profile, bytes of padding on padded links, their share, and constant links."""
        sent = self._padding_gone + sum(each.bytes_sent for each in self._open.values())
        whole = self._bytes_gone + sum(link.bytes_sent for link in self._open)
        return {
            "profile": self._settings.profile.value,
            "bytes": sent,
            "share": round(sent / whole, 4) if whole else 0.0,
            "constant_links": sum(link.constant is not None for link in self._open),
        }
