"""The links of one node, whatever it does over them (SPEC 10.2)."""

import math
from collections import Counter
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

import trio

from peerstream.node.ports import Environment, Links, UnreachableError
from peerstream.node.protocol.circuit.limits import LinkLimits, credit_scale, spare_setups
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.relay import HELD_BYTES_MAX
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import (
    DirectoryIncompleteError,
    NoDescriptorError,
    UnknownRelayError,
)
from peerstream.node.roles.agenda import Agenda
from peerstream.node.roles.padder import DEFAULT_PADDING, Padder, PaddingSettings

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_S: Final = 0.25
LINKS_MAX: Final = 1_900  # of the 2 000 connections that the listener holds (SPEC 9.2)
RESTING_S: Final = 30.0  # at least so long without a circuit is whose link makes room
CROWDED_S: Final = 1.0


class Neighbours:
    """Makes, finds and loses links; the `LinkOwner` of its node.

    `opened` and `closed` are called for each link, before anything came over it and after it is
    gone. What hangs on a link by its circuits needs neither: they learn it from the link.
    """

    def __init__(
        self,
        environment: Environment,
        directory: Directory,
        padding: PaddingSettings = DEFAULT_PADDING,
    ) -> None:
        self.environment = environment
        self.directory = directory
        self.pool = BufferPool()
        self.agenda = Agenda(environment.clock.now, self._wake)
        self.opened: list[Callable[[Link], None]] = []
        self.closed: list[Callable[[Link], None]] = []
        self.answered_at = -math.inf  # when a relay last answered a question of ours
        self.causes: Counter[str] = Counter()  # why links ended, by the error's class
        self._spare_setups = spare_setups(environment.clock.now())
        self._links: Links | None = None
        self._open: set[Link] = set()
        self.links_max = LINKS_MAX
        self._crowded_at = -math.inf
        self.padder = Padder(environment, padding)

    def attach(self, links: Links) -> None:
        """Take the implementation of the links, made with this object as its owner."""
        self._links = links

    @property
    def links(self) -> Links:
        """The links' implementation."""
        if self._links is None:
            raise RuntimeError("no links were attached")
        return self._links

    def _wake(self) -> None:
        if self._links is not None:
            self._links.wake()

    # As LinkOwner

    def make_link(self, *, dialer: bool, peer: bytes, now: float) -> Link:
        """Return a link; whether the neighbour is a relay decides what it may do to us."""
        is_relay = self._is_relay(peer)
        limits = LinkLimits.for_relay() if is_relay else LinkLimits.for_client()
        link = Link(
            dialer=dialer,
            peer=peer if is_relay else None,
            limits=limits,
            now=now,
            pool=self.pool,
            spare_setups=None if is_relay else self._spare_setups,
        )
        self._open.add(link)
        if not is_relay:
            self.padder.serve(link)
        for hook in self.opened:
            hook(link)
        return link

    def _is_relay(self, peer: bytes) -> bool:
        try:
            self.directory.entry(peer, self.environment.clock.wall())
        except (UnknownRelayError, DirectoryIncompleteError):
            return False
        return True

    def link_closed(self, link: Link, peer: bytes, error: BaseException) -> None:  # noqa: ARG002
        """Forget a link that lost its connection."""
        self.causes[type(error).__name__] += 1
        self._open.discard(link)
        self.padder.link_closed(link)
        for hook in self.closed:
            hook(link)

    def turn(self, now: float) -> None:  # noqa: ARG002 - the port's signature
        """Let the machines that were touched send."""
        self.agenda.turn()

    # What roles call

    @property
    def count(self) -> int:
        """How many links there are."""
        return len(self._open)

    @property
    def relays(self) -> frozenset[bytes]:
        """The relays that there is a link to."""
        return frozenset(link.peer for link in self._open if link.peer is not None)

    def breaches(self) -> Counter[str]:
        """Return how often open links and circuits were broken, by cause."""
        return sum((link.breaches for link in self._open), Counter())

    async def dial(self, relay_id: bytes) -> Link:
        """Return the link to a relay of the directory. Raises UnreachableError."""
        try:
            endpoints = self.directory.endpoints(relay_id, self.environment.clock.wall())
        except NoDescriptorError as error:
            raise UnreachableError("no address of the relay is known") from error
        return await self.links.dial(relay_id, endpoints)

    def answered(self) -> None:
        """Note that a relay answered a question: we are connected."""
        self.answered_at = self.environment.clock.now()

    def pad(self, link: Link) -> None:
        """Pad a link to our guard, and ask the guard to do the same (SPEC 4.5)."""
        self.padder.begin(link)
        link.watched = True

    async def run(self) -> None:
        """Give machines their turns and links their windows and padding, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.agenda.run)
            nursery.start_soon(self.padder.run)
            nursery.start_soon(self._tick)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            now = self.environment.clock.now()
            held = self.pool.lent_bytes
            for link in self._open:
                link.credit_scale = credit_scale(
                    link.round_trip, held_bytes=held, held_max=HELD_BYTES_MAX
                )
            self._make_room(now)
            self.padder.tick(now)
            self._wake()

    def _make_room(self, now: float) -> None:
        """End links of clients without circuits, longest at rest first, before all are taken."""
        excess = len(self._open) - self.links_max
        if excess <= 0 or now - self._crowded_at < CROWDED_S:
            return
        self._crowded_at = now
        resting = [
            link
            for link in self._open
            if link.peer is None
            and not link.dialer
            and not link.circuits
            and now - link.rested_at >= RESTING_S
        ]
        for link in nsmallest(excess, resting, key=lambda each: each.rested_at):
            self.causes["RestingLinkClosed"] += 1
            self.links.close(link)
