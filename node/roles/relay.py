"""A relay: circuits for others, a part of the directory, keys of its own (SPEC 10.4)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import (
    Environment,
    OnionKeyStore,
    PortError,
    ReplayStore,
    StorageError,
    UnreachableError,
)
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.relay import RelayCore, RelayParts
from peerstream.node.protocol.directory.errors import DirectoryError
from peerstream.node.protocol.onion.errors import ReplayFilterFullError
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.announcer import Announcer, RelayCard
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.links_ahead import LinksAhead
from peerstream.node.roles.neighbours import TICK_S, Neighbours
from peerstream.node.roles.questions import Questions
from peerstream.node.roles.refilling import Refilling
from peerstream.node.roles.replication import Replication
from peerstream.node.roles.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRE_S: Final = 60.0
AGAIN_S: Final = 5.0  # after keys could not be stored or a descriptor not be made
FIRST_LOOK_S: Final = 3.0
_ADDRESS_RENEWALS: Final = 3  # in the life of an address record

_log = structlog.get_logger("peerstream.relay")


@dataclass(frozen=True, slots=True)
class RelayStorage:
    """What a relay keeps over a restart."""

    onion_keys: OnionKeyStore
    replays: ReplayStore


class Relay:
    """One relay. Make it before its links listen; `run` is all that it does."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        neighbours: Neighbours,
        keeper: DirectoryKeeper,
        card: RelayCard,
        storage: RelayStorage,
    ) -> None:
        """Load keys and tags. Raises StorageError, or KemError when the keys are damaged."""
        self._environment = environment
        self._network = network
        self._neighbours = neighbours
        self._keeper = keeper
        self._storage = storage
        self._announcer = Announcer(environment, network, neighbours, keeper, card)
        self._replication = Replication(environment, neighbours, keeper.fetcher, keeper.count)
        self.stores = Stores(environment, network, keeper, self._replication)
        self.refilling = Refilling(environment, neighbours, keeper, self.stores)
        self.questions = Questions(environment, keeper, self.stores)
        self._links_ahead = LinksAhead(environment, neighbours, keeper, card.relay_id)
        self._nursery: trio.Nursery | None = None
        self._keys = OnionKeyRing(network.epoch_s)
        self._is_new = not self._load_keys()
        self._filter = self._load_filter()
        self.core = self._make_core(card.relay_id)
        neighbours.opened.append(self._link_opened)
        neighbours.closed.append(self.core.link_closed)

    def _load_keys(self) -> bool:
        """Take our keys back, draw those that are missing; whether there were any."""
        seeds = self._storage.onion_keys.load_onion_seeds()
        self._keys.load(seeds)
        self._rotate()
        return bool(seeds)

    def _load_filter(self) -> ReplayFilter:
        replay_filter = ReplayFilter()
        tags = self._storage.replays.load_tags(self._environment.clock.wall())
        for bucket, found in tags.items():
            replay_filter.load(bucket, found)
        return replay_filter

    def _make_core(self, relay_id: bytes) -> RelayCore:
        clock = self._environment.clock
        parts = RelayParts(
            relay_id=relay_id,
            onion_keys=self._keys,
            replay_filter=self._filter,
            record=self._record,
            entropy=self._environment.entropy,
            directory=self.stores.commands(),
            pool=self._neighbours.pool,
        )
        return RelayCore(parts, now=clock.now(), wall=clock.wall())

    def _record(self, record: ReplayRecord) -> None:
        """Keep a tag; a SETUP whose tag cannot be kept is refused as BUSY."""
        try:
            self._storage.replays.append_tag(record)
        except StorageError as error:
            self._keeper.count(error)
            raise ReplayFilterFullError("its tag could not be kept") from error

    # Links

    def _link_opened(self, link: Link) -> None:
        self.core.link_ready(link.peer, link)
        link.on_setup = self._setup_received

    def _setup_received(self, link: Link, circuit_id: int, frame: bytes) -> None:
        self.core.setup_received(link, circuit_id, frame)
        for needed in self.core.events():
            if self._nursery is None:
                self.core.link_failed(needed.relay_id, Status.BUSY)
            else:
                self._nursery.start_soon(self._connect, needed.relay_id)

    async def _connect(self, relay_id: bytes) -> None:
        if not self._keeper.knows(relay_id):
            self.core.link_failed(relay_id, Status.NO_ROUTE)
            return
        if not self._keeper.locates(relay_id):
            await self._keeper.search()  # others may know where it is
        try:
            link = await self._neighbours.dial(relay_id)
        except UnreachableError as error:
            self._keeper.count(error)
            self.core.link_failed(relay_id, Status.CONNECT)
        else:
            # It may have been there from before the neighbour joined the set.
            self.core.link_ready(relay_id, link)
            link.on_setup = self._setup_received
        self._neighbours.links.wake()

    # Running

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Relay until cancelled. The keeper has read the relay set, and the links listen."""
        self._neighbours.links.serve(self.questions.answer)
        self.stores.set_rings()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            tasks: list[Callable[[], Any]] = [
                self._replication.run,
                self._tick,
                self._expire,
                self.stores.run,
                self.refilling.run,
                self._publish,
                self._renew_addresses,
                self._links_ahead.run,
            ]
            for task in tasks:
                nursery.start_soon(task)
            _log.info("relay.started", new_keys=self._is_new)
            task_status.started()

    async def _tick(self) -> None:
        clock = self._environment.clock
        while True:
            self.core.tick(clock.now(), clock.wall())
            await trio.sleep(TICK_S)

    async def _expire(self) -> None:
        while True:
            await trio.sleep(EXPIRE_S)
            try:
                self._rotate()
                self._storage.replays.expire_tags(self._environment.clock.wall())
            except StorageError as error:
                self._keeper.count(error)

    def _rotate(self) -> None:
        """Draw the keys of this epoch and the next and erase old ones; all on disk at return.

        Raises StorageError: no descriptor with a new key may be published.
        """
        before = self._keys.seeds()
        if self._keys.rotate(self._environment.clock.wall(), self._environment.entropy):
            try:
                self._storage.onion_keys.save_onion_seeds(self._keys.seeds())
            except StorageError:
                self._keys.load(before)
                raise

    # Publishing

    async def _publish(self) -> None:
        """Publish the descriptor of this epoch now, that of each next one at its time."""
        if self._is_new:
            with trio.move_on_after(FIRST_LOOK_S):
                await self._keeper.fetch(3)
        clock = self._environment.clock
        epoch = 0
        while True:
            now = self._network.key_epoch(clock.wall())
            epoch = min(max(epoch, now), now + 1)  # a clock may be set at any time
            if self._describe(epoch):
                epoch += 1
                publish_at = self._announcer.publishable_at(epoch)
                await trio.sleep(max(0.0, publish_at - clock.wall()))
            else:
                await trio.sleep(AGAIN_S)

    def _describe(self, epoch: int) -> bool:
        """Make and tell the descriptor of an epoch; False when that has to be tried again."""
        try:
            self._rotate()
            onion_key = self._keys.key(epoch).public
            if self._announcer.holds_other(epoch, onion_key):
                _log.warning("relay.keys_lost", until_next_epoch=True)
                return True
            document = self._announcer.describe(epoch, onion_key)
        except (PortError, DirectoryError, RoleError) as error:
            self._keeper.count(error)
            return False
        if self._nursery is not None:
            self._nursery.start_soon(self._announcer.tell, document)
        return True

    async def _renew_addresses(self) -> None:
        first = True
        while True:
            try:
                self._announcer.renew_addresses()
            except DirectoryError as error:
                self._keeper.count(error)
                await trio.sleep(AGAIN_S)
                continue
            if not first and self._nursery is not None:
                self._nursery.start_soon(self._announcer.tell, b"")
            first = False
            await trio.sleep(self._network.address_life_s / _ADDRESS_RENEWALS)

    # What it tells of itself

    def statistics(self) -> dict[str, Any]:
        """Return counts, none of which tells who uses the relay."""
        core, keeper = self.core, self._keeper
        wall = self._environment.clock.wall()
        breaches = core.breaches + self._neighbours.breaches()
        return {
            "cells_relayed": core.cells_relayed,
            "circuits": core.circuits,
            "links": self._neighbours.count,
            "introduction_keys": core.introduction_keys,
            "cookies": core.cookies,
            "records": len(self.stores),
            "held_bytes": core.held_bytes,
            "relays": keeper.relays,
            "usable": keeper.directory.usable(wall),
            "complete": keeper.directory.complete(wall),
            "equivocations": len(keeper.directory.evidence()),
            "padding": self._neighbours.padder.statistics(),
            "breaches": dict(breaches),
            "causes": dict(keeper.causes + self._neighbours.causes),
        }
