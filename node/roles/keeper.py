"""Keeps a node's directory whole and fresh: views, relay descriptors, addresses, rings (SPEC 10.5).

The relay set comes from the network's root, everything else from relays, which may serve what they
like: each document is verified by itself, and a relay that serves nonsense is asked again later.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog
import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import (
    Environment,
    Identities,
    PortError,
    RelaySource,
    SourceError,
    SourceSnapshot,
)
from peerstream.node.protocol.directory.errors import (
    DirectoryError,
    DirectoryIncompleteError,
    UnknownRelayError,
)
from peerstream.node.protocol.directory.ring import Ring
from peerstream.node.roles.admissions import admits
from peerstream.node.roles.comparison import Comparison, Fetch, compare_directory
from peerstream.node.roles.errors import DirectoryUnavailableError
from peerstream.node.roles.fetching import Fetcher
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.pace import PUBLISH_LATE, Pace, drawn_between, varied
from peerstream.node.roles.rings import Rings

if TYPE_CHECKING:
    from peerstream.node.protocol.directory.directory import Directory

START_S = 60.0
START_RELAYS = 3  # asked in each round while the directory is not usable ...
START_MAX = 9  # ... and at once at most, those that hang included
SEARCHES = 4  # in the time of one round
SEARCH_S = 2.0

_log = structlog.get_logger("peerstream.directory")


class DirectoryKeeper:
    """Feeds the directory of one node; the `Views` of its admission.

    `changed`: called when the views, the key epoch or the period changed. `preferred`: relays to
    ask before any other, where a client puts its guards. `gossips`: a relay asks around all the
    time, a client once in a while.
    """

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        source: RelaySource,
        *,
        gossips: bool = False,
    ) -> None:
        self.directory: Directory = neighbours.directory
        self.changed: list[Callable[[], None]] = []
        self.preferred: tuple[bytes, ...] = ()
        self.causes: Counter[str] = Counter()  # what went wrong, by the error's class
        self._environment = environment
        self._network = network
        self._source = source
        self._pace = Pace.of(network, gossips=gossips)
        self.fetcher = Fetcher(environment, network, neighbours, self.count)
        self._rings = Rings(network)
        self._snapshot: SourceSnapshot | None = None
        self._seen: tuple[object, ...] = ()
        self._nudge = trio.Event()
        self._pauses = (trio.CancelScope(), trio.CancelScope())
        self._searching = trio.Lock()
        self._search_at = 0.0

    # What there is

    @property
    def snapshot(self) -> SourceSnapshot:
        """What the source said last. Raises DirectoryUnavailableError before the first time."""
        if self._snapshot is None:
            raise DirectoryUnavailableError("the relay set was not read yet")
        return self._snapshot

    @property
    def identities(self) -> Identities:
        """What the network's root says of accounts."""
        return self.snapshot.identities

    def ring(self, period: int) -> Ring:
        """Return the stores of a period. Raises RingUnknownError for one too far away."""
        return self._rings.ring(period, self.snapshot)

    def roots(self) -> Mapping[int, bytes]:
        """Root by epoch, 32 bytes each, of the view in force and its neighbours."""
        try:
            return self.directory.roots(self._environment.clock.wall())
        except DirectoryIncompleteError:
            return {}

    @property
    def relays(self) -> int:
        """How many relays the view in force has, 0 without one."""
        try:
            return len(self.directory.view(self._environment.clock.wall()))
        except DirectoryIncompleteError:
            return 0

    def knows(self, relay_id: bytes) -> bool:
        """Whether the relay is in one of these views."""
        try:
            self.directory.entry(relay_id, self._environment.clock.wall())
        except (UnknownRelayError, DirectoryIncompleteError):
            return False
        return True

    def locates(self, relay_id: bytes) -> bool:
        """Whether an address of the relay is known."""
        return self.directory.locates(relay_id, self._environment.clock.wall())

    def admits(self, relay_id: bytes, descriptor: bytes) -> bool:
        """Whether an admission proves that the relay is of this network (networks of mode dht)."""
        wall = self._environment.clock.wall()
        return admits(self._network, relay_id, descriptor, wall)

    def count(self, error: BaseException) -> None:
        """Count what went wrong, and log the first of each cause: without names or bytes."""
        cause = type(error).__name__
        self.causes[cause] += 1
        if self.causes[cause] == 1:
            _log.warning("directory.first_of_kind", cause=cause)

    # Filling it

    async def read(self) -> None:
        """Read the relay set. Raises SourceError, and keeps what there was."""
        snapshot = await self._source.read(self._environment.clock.wall())
        for view in snapshot.views:
            self.directory.add_view(view)
        self._rings.renew(snapshot)
        self._snapshot = snapshot
        self.fetcher.first_endpoints = snapshot.endpoints
        self._announce()

    async def start(self) -> None:
        """Read the relay set, and fetch until paths may be drawn.

        Raises DirectoryUnavailableError when that takes more than a minute.
        """
        try:
            await self.read()
        except (SourceError, DirectoryError) as error:
            raise DirectoryUnavailableError("the relay set could not be read") from error
        with trio.move_on_after(START_S):
            await self._fill()
            return
        causes = ", ".join(sorted(self.causes)) or "no relay answered"
        raise DirectoryUnavailableError(f"too few relay descriptors: {causes}")

    async def _fill(self) -> None:
        """Ask several relays at a time until the directory is usable; none can hold us up."""
        pause = self._pace.first_s
        async with trio.open_nursery() as nursery:
            while not self.directory.usable(self._environment.clock.wall()):
                free = START_MAX - len(self.fetcher.asking)
                self._start_fetching(nursery, max(0, min(START_RELAYS, free)))
                await trio.sleep(varied(pause, self._environment.entropy))
                pause = min(2 * pause, self._pace.round_s)
            nursery.cancel_scope.cancel()

    def _start_fetching(self, nursery: trio.Nursery, relays: int) -> None:
        epochs = self._pace.epochs(self._environment.clock.wall())
        for relay_id in self.fetcher.choose(relays, self.preferred):
            nursery.start_soon(self.fetcher.fetch, relay_id, epochs)

    async def fetch(self, relays: int = 1) -> None:
        """Fetch from so many relays at once what they have of the epochs in use."""
        async with trio.open_nursery() as nursery:
            self._start_fetching(nursery, relays)

    async def search(self) -> None:
        """Fetch what is missing, for somebody who waits for it; seldom, and once for all who ask.

        A stranger can bring a relay to this by asking for one that hides where it is.
        """
        async with self._searching:
            now = self._environment.clock.now()
            if now < self._search_at:
                return
            self._search_at = now + self._pace.round_s / SEARCHES
            with trio.move_on_after(SEARCH_S):
                await self.fetch(START_RELAYS)

    async def compare_directory_hash(self, fetch: Fetch) -> Comparison:
        """Compare our descriptors with those of other relays, asked over circuits (SPEC 6.5).

        Raises ViewMismatchError when too few answered alike and no descriptor explains it.
        """
        return await compare_directory(self._environment, self.directory, fetch)

    # For ever

    async def run(self) -> None:
        """Keep it fresh until cancelled; nothing that a relay or a source does ends this."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_on)
            nursery.start_soon(self._fetch_on)
            nursery.start_soon(self._turn_pages)

    def look_again(self) -> None:
        """Do at once what was to be done later: the clocks jumped, or the machine slept."""
        for pause in self._pauses:
            pause.cancel()
        self._nudge.set()

    async def _read_on(self) -> None:
        pause = self._pace.read_s
        while True:
            waiting = trio.move_on_after(varied(pause, self._environment.entropy))
            self._pauses = (waiting, self._pauses[1])
            with waiting:
                await self._source.news()
            try:
                await self.read()
                pause = self._pace.read_s
            except (PortError, DirectoryError) as error:
                self.count(error)
                pause = min(self._pace.read_s, max(self._pace.read_again_s, pause / 2))

    async def _fetch_on(self) -> None:
        pause = self._pace.first_s
        while True:
            await self._fill()
            whole = self.directory.complete(self._environment.clock.wall())
            pause = self._pace.first_s if whole else min(2 * pause, self._pace.round_s)
            self._nudge = trio.Event()
            wait = self._pace.round_s if whole else pause
            with trio.move_on_after(varied(wait, self._environment.entropy)):
                await self._nudge.wait()
            await self.fetch()

    async def _turn_pages(self) -> None:
        """Notice that an epoch or a period began; fetch ahead of it, each node at its own time."""
        while True:
            self._announce()
            if not self.directory.usable(self._environment.clock.wall()):
                self._nudge.set()
            waiting = trio.CancelScope()
            self._pauses = (self._pauses[0], waiting)
            with waiting:
                await self._wait_for_epoch()

    async def _wait_for_epoch(self) -> None:
        epoch_s, clock = self._network.epoch_s, self._environment.clock
        ahead = epoch_s - drawn_between(0, epoch_s / PUBLISH_LATE, self._environment.entropy)
        if clock.wall() % epoch_s < ahead:
            await trio.sleep(ahead - clock.wall() % epoch_s)
            self._nudge.set()
        await trio.sleep(epoch_s - clock.wall() % epoch_s)

    def _announce(self) -> None:
        wall = self._environment.clock.wall()
        try:
            view = self.directory.view(wall)
        except DirectoryIncompleteError as error:
            self.count(error)
            return
        now = (view.epoch, view.root, self._network.key_epoch(wall), self._network.period(wall))
        if now == self._seen:
            return
        if self._seen[:1] == now[:1] and view.grows:
            self._nudge.set()  # somebody turned up whose descriptor nobody asked for yet
        self._seen = now
        self.directory.prune(wall)
        for hook in self.changed:
            hook()
