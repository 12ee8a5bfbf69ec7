"""Fetches relay descriptors and addresses from relays, which may answer anything (SPEC 6.13)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.directory.address_record import ADDRESS_RECORD_MAX
from peerstream.node.protocol.directory.bundle import (
    LENGTH_SIZE,
    PAGE_RELAYS,
    Page,
    fetch_from,
    frame,
    frame_length,
    merge,
)
from peerstream.node.protocol.directory.errors import (
    DirectoryError,
    MalformedDocumentError,
    NoDescriptorError,
    StaleDocumentError,
)
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_descriptor import DESCRIPTOR_MAX
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.directory.weights import shuffled
from peerstream.node.roles.neighbours import Neighbours

PAGES_MAX: Final = CAPACITY // PAGE_RELAYS
ANSWER_MAX: Final = LENGTH_SIZE + PAGE_RELAYS * (DESCRIPTOR_MAX + ADDRESS_RECORD_MAX + 8) + 256
SLICE: Final = 32  # documents verified at a stretch: 5 ms, in which no cell moves
ASIDE_S: Final = 60.0


def unframed(answer: bytes) -> bytes:
    """Return the body of `length u32 | body`. Raises MalformedDocumentError."""
    length = frame_length(answer[:LENGTH_SIZE], len(answer))
    if length != len(answer) - LENGTH_SIZE:
        raise MalformedDocumentError(f"{len(answer)} bytes of a message of {length}")
    return answer[LENGTH_SIZE:]


def _slices(documents: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
    return [documents[start : start + SLICE] for start in range(0, len(documents), SLICE)]


class Fetcher:
    """Asks relays and merges what holds.

    `first_endpoints`: where relays are that have no address record yet. `count` learns of every
    failure; a relay that failed or broke the protocol is set aside for a minute. `asking`: relays
    that are being asked just now.
    """

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        count: Callable[[BaseException], None],
    ) -> None:
        self.first_endpoints: Mapping[bytes, tuple[Endpoint, ...]] = {}
        self._environment = environment
        self._aside_s = min(ASIDE_S, network.epoch_s / 20)
        self._neighbours = neighbours
        self._directory = neighbours.directory
        self._count = count
        self._aside: dict[bytes, float] = {}
        self.asking: set[bytes] = set()

    def endpoints(self, relay_id: bytes) -> tuple[Endpoint, ...]:
        """Return where a relay says it is, or where the source says; nothing if neither does."""
        try:
            return self._directory.endpoints(relay_id, self._environment.clock.wall())
        except NoDescriptorError:
            return self.first_endpoints.get(relay_id, ())

    def known(self) -> list[bytes]:
        """Return the relays that can be asked, ourselves excepted."""
        reachable = {*self.first_endpoints, *self._directory.signed_addresses()}
        return sorted(reachable - {self._neighbours.links.relay_id})

    def choose(self, count: int, preferred: Sequence[bytes] = ()) -> list[bytes]:
        """Return so many relays, drawn among those free and not set aside; `preferred` first."""
        now = self._environment.clock.now()
        self._aside = {key: until for key, until in self._aside.items() if until > now}
        idle = [relay_id for relay_id in self.known() if relay_id not in self.asking]
        drawn = shuffled(idle, self._environment.entropy)
        wanted = [*(p for p in preferred if p in drawn), *drawn]
        free = [relay_id for relay_id in dict.fromkeys(wanted) if relay_id not in self._aside]
        return (free or drawn)[:count]

    async def fetch(self, relay_id: bytes, epochs: Sequence[int]) -> None:
        """Fetch all that a relay has of these key epochs. Never raises for what it does."""
        self.asking.add(relay_id)
        try:
            for epoch in epochs:
                await self._fetch_epoch(relay_id, epoch)
        except (PortError, DirectoryError) as error:
            self._count(error)
            self._aside[relay_id] = self._environment.clock.now() + self._aside_s
        finally:
            self.asking.discard(relay_id)

    async def _fetch_epoch(self, relay_id: bytes, epoch: int) -> None:
        after = b""
        for _ in range(PAGES_MAX):
            question = frame(fetch_from(self._directory, epoch, after).encode())
            answer = await self._neighbours.links.ask(
                relay_id, self.endpoints(relay_id), question, ANSWER_MAX
            )
            page = Page.decode(unframed(answer))
            self._neighbours.answered()
            await self._merge(page)
            if not page.after:
                return
            if page.after <= after:
                raise MalformedDocumentError("a cursor that does not move on")
            after = page.after
        raise MalformedDocumentError(f"more than {PAGES_MAX} pages")

    async def _merge(self, page: Page) -> None:
        """Keep what holds; links move on between slices.

        Addresses first: with the descriptors paths may be drawn, and nobody waits any longer.
        """
        parts = [Page((), some, b"") for some in _slices(page.addresses)]
        parts += [Page(some, (), b"") for some in _slices(page.descriptors)]
        for part in parts:
            merged = merge(self._directory, part, self._environment.clock.wall())
            for error in merged.refused:
                if not isinstance(error, StaleDocumentError):
                    self._count(error)
            await trio.lowlevel.checkpoint()
