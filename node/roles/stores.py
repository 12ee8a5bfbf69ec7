"""A relay as a store: records and grants for addresses it cannot read (SPEC 6.11, 10.5)."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.ports import Environment
from peerstream.node.protocol.circuit.commands import CommandHandler
from peerstream.node.protocol.circuit.relay_circuit import RelayCircuit, State
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.directory.bundle import Replicate
from peerstream.node.protocol.directory.commands import Answer, Get, Kind, Put, read_epoch_key
from peerstream.node.protocol.directory.dir_hash import directory_page
from peerstream.node.protocol.directory.store import DescriptorStore, StoreRules
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import RingUnknownError
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.remembered import Remembered
from peerstream.node.roles.replication import Replication

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.link import Link

BUDGET: Final = 67_108_864  # bytes of documents: 4 096 of the largest records
PUT_RATE, PUT_BURST = 0.1, 4.0  # of one circuit: both periods' records and a grant, then waiting
GET_RATE, GET_BURST = 4.0, 32.0  # of one circuit: a whole directory in pages
# Of all circuits that one neighbour passes on: 20 a second take 1 % of a core.
NEIGHBOUR_PUT_RATE, NEIGHBOUR_PUT_BURST = 20.0, 200.0
SWEEP_S: Final = 30.0
HASH_LIFE_S: Final = 1.0
_EPOCHS_KEPT: Final = 1  # before and after the one in force


class Stores:
    """Answers DIR_GET and DIR_PUT, and hands on what is new. `budget` in bytes of documents."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        keeper: DirectoryKeeper,
        replication: Replication,
        *,
        budget: int = BUDGET,
    ) -> None:
        self.refused: Counter[str] = Counter()  # PUTs and GETs, by status
        self._environment = environment
        self._network = network
        self._keeper = keeper
        self._replication = replication
        rules = StoreRules(network.record_rules, network.updates_per_hour, budget)
        self._store = DescriptorStore(replication.relay_id, rules)
        self._puts: dict[RelayCircuit, TokenBucket] = {}
        self._gets: dict[RelayCircuit, TokenBucket] = {}
        self._neighbours: WeakKeyDictionary[Link, TokenBucket] = WeakKeyDictionary()
        self._hashes: Remembered[bytes] = Remembered(environment.clock.now, HASH_LIFE_S)
        keeper.changed.append(self.set_rings)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def size(self) -> int:
        """Bytes of documents held."""
        return self._store.size

    def commands(self) -> Mapping[Command, CommandHandler]:
        """Return the handlers for `RelayParts.directory`."""
        return {Command.DIR_GET: self._get_received, Command.DIR_PUT: self._put_received}

    def set_rings(self) -> None:
        """Keep what belongs to us in the periods around now."""
        period = self._network.period(self._environment.clock.wall())
        for number in (period - 1, period, period + 1):
            try:
                self._store.set_ring(self._keeper.ring(number))
            except RingUnknownError as error:
                if number == period:  # of its neighbours one is not known for much of the time
                    self._keeper.count(error)

    def companions(self) -> list[bytes]:
        """Return the relays that keep what we keep, in the periods around now."""
        found: dict[bytes, None] = {}
        period = self._network.period(self._environment.clock.wall())
        for number in (period, period + 1, period - 1):
            with suppress(RingUnknownError):  # counted where rings are set
                found |= dict.fromkeys(
                    self._keeper.ring(number).companions(self._replication.relay_id)
                )
        return list(found)

    def shared_with(
        self, relay_id: bytes, after: bytes
    ) -> tuple[tuple[tuple[Kind, bytes], ...], bytes]:
        """Return a page of what that relay keeps too, see `DescriptorStore.shared_with`."""
        return self._store.shared_with(relay_id, after, self._environment.clock.wall())

    # Over circuits

    def _put_received(self, circuit: RelayCircuit, body: bytes) -> None:
        put = Put.decode(body)
        status = self.keep(put, replicate=True) if self._may_put(circuit) else Status.LIMIT
        if status is not Status.OK:
            self.refused[status.name] += 1
        circuit.answer(status)

    def _may_put(self, circuit: RelayCircuit) -> bool:
        now = self._environment.clock.now()
        link = circuit.up.link
        neighbour = self._neighbours.get(link)
        if neighbour is None:
            neighbour = TokenBucket(NEIGHBOUR_PUT_RATE, NEIGHBOUR_PUT_BURST, now)
            self._neighbours[link] = neighbour
        own = self._puts.setdefault(circuit, TokenBucket(PUT_RATE, PUT_BURST, now))
        return own.take(now) and neighbour.take(now)

    def keep(self, put: Put, *, replicate: bool) -> Status:
        """Check and keep a document, and hand it to the other stores of its key if told to."""
        answer, others = self._store.answer_put(put, self._environment.clock.wall())
        if replicate and others:
            self._replication.hand_on(others, Replicate(put.kind, put.document))
        return answer.status

    def _get_received(self, circuit: RelayCircuit, body: bytes) -> None:
        get = Get.decode(body)
        now = self._environment.clock.now()
        if self._gets.setdefault(circuit, TokenBucket(GET_RATE, GET_BURST, now)).take(now):
            answer = self._answer(get)
        else:
            answer = Answer(get.kind, Status.LIMIT)
        if answer.status is not Status.OK:
            self.refused[answer.status.name] += 1
        circuit.answer(Status.OK)
        circuit.send_control(Command.DIR_RECORD, answer.encode())

    def _answer(self, get: Get) -> Answer:
        wall = self._environment.clock.wall()
        if get.kind in {Kind.RECORD, Kind.GRANT}:
            return self._store.answer_get(get, wall)
        epoch, page = read_epoch_key(get.key)
        if abs(epoch - self._network.key_epoch(wall)) > _EPOCHS_KEPT:
            return Answer(get.kind, Status.NOT_FOUND)
        directory = self._keeper.directory
        if get.kind is Kind.DIRECTORY_HASH:
            return Answer(get.kind, Status.OK, self._hash(epoch))
        return Answer(get.kind, Status.OK, directory_page(directory.descriptor_hashes(epoch), page))

    def _hash(self, epoch: int) -> bytes:
        return self._hashes.get(epoch, lambda: self._keeper.directory.directory_hash(epoch))

    # Time

    async def run(self) -> None:
        """Forget what is over, until cancelled."""
        while True:
            await trio.sleep(SWEEP_S)
            self._store.expire(self._environment.clock.wall())
            for buckets in (self._puts, self._gets):
                for circuit in [c for c in buckets if c.state is State.CLOSED]:
                    del buckets[circuit]
