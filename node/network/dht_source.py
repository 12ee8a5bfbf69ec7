"""The relay set from a DHT: admissions, which its nodes can withhold and not forge (SPEC 6.14).

Reading has a host of its own, with a random key and without an address: a relay reads before it
listens, and nobody it asks learns that it is one.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio
from libp2p.network.connection.swarm_connection import SwarmConn
from multiaddr import Multiaddr

from peerstream.node.config import NetworkParameters
from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import NetworkError
from peerstream.node.network.exchange import ask
from peerstream.node.network.host import Host, HostOptions
from peerstream.node.network.kad_server import KadServer
from peerstream.node.ports import Environment, Identities, SourceError, SourceSnapshot
from peerstream.node.protocol.directory.admission import SignedAdmission
from peerstream.node.protocol.directory.admission_book import (
    AdmissionBook,
    BookRules,
    decode_page,
    encode_page,
)
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    DirectoryError,
    MalformedDocumentError,
    TooManyAdmissionsError,
)
from peerstream.node.protocol.directory.kad_wire import (
    ANSWER_MAX,
    LENGTH_MAX,
    decode_message,
    encode_message,
    read_length,
)
from peerstream.node.protocol.directory.kademlia import (
    Contact,
    KadMessage,
    Kind,
    Responder,
    admissions_key,
    protocol_of,
)
from peerstream.node.protocol.directory.search import Search, SearchRules
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.errors import RemoteProtocolError

QUESTION_S: Final = 10.0  # as of other questions (SPEC 9.7)
FIRST_PAUSE_S: Final = 1.0
CLOSE_S: Final = 1.0
SETTLED: Final = 3
SLICE: Final = 32  # admissions verified at a stretch
_EACH_READ: Final = 10  # a tenth of an epoch, as other sources are read
_PAUSE_MAX_S: Final = 600.0
_U32: Final = 1 << 32
_HARMLESS: Final = (AdmissionOverError, TooManyAdmissionsError)

Locate = Callable[[bytes], tuple[Endpoint, ...]]


@dataclass(frozen=True, slots=True)
class OwnAdmission:
    """What a relay republishes. relay_id: 32 bytes. ``load()``: its admission as it is now.

    It is loaded again each time, so that a renewed one needs no restart; raises SourceError.
    """

    relay_id: bytes
    load: Callable[[], bytes]


class DhtSource:
    """Implements `peerstream.node.ports.RelaySource` by searches, with one book for all of them."""

    def __init__(
        self,
        environment: Environment,
        network: NetworkParameters,
        identities: Identities,
        host: Host,
        own: OwnAdmission | None,
    ) -> None:
        rules = BookRules(
            network.admission_keys, network.network_id, network.epoch_s, network.period_s
        )
        self.book = AdmissionBook(rules)
        self._environment = environment
        self._network = network
        self._identities = identities
        self._host = host
        self._own = own
        self._first = {relay.relay_id: relay.endpoints for relay in network.bootstrap}
        self._locate: Locate | None = None
        self._due = -float("inf")
        self._pause = FIRST_PAUSE_S / 4  # doubled by the first search: a network may start at once
        self._told = trio.Event()

    # As a source

    async def read(self, wall: int) -> SourceSnapshot:
        """Search if it is time to, and return all views that the admissions make.

        Raises SourceError when no relay is known to be admitted.
        """
        self._told = trio.Event()
        own = self._take_own(wall)
        if trio.current_time() >= self._due:
            await self._search(own, wall)
        self.book.prune(wall)
        views = self.book.views(wall)
        if not any(view.in_force(wall) for view in views):
            raise SourceError("no relay of start.bootstrap answered with an admission in force")
        documents = {view.epoch: self.book.page() for view in views}
        return SourceSnapshot(views, self._identities, endpoints=self._first, documents=documents)

    async def news(self) -> None:
        """Wait until somebody put an admission here, or for the next search.

        That is soon after a start and after a change, and then less and less often.
        """
        with trio.move_on_at(self._due):
            await self._told.wait()

    def know(self, locate: Locate) -> None:
        """Take ``locate(relay_id)`` for where relays are: it knows what they signed themselves."""
        self._locate = locate

    def serve(self, host: Host) -> None:
        """Be a node of the DHT on a relay's host."""
        responder = Responder(self.book, self._where, self._tell)
        server = KadServer(responder, self._environment.clock.wall, host.counters)
        host.set_handler(protocol_of(self._network.network_id), server)

    def counts(self) -> dict[str, int]:
        """Return what happened while asking, by cause."""
        return self._host.counters.snapshot()

    def _where(self, relay_id: bytes) -> tuple[Endpoint, ...]:
        known = () if self._locate is None else self._locate(relay_id)
        return known or self._first.get(relay_id, ())

    def _tell(self) -> None:
        self._told.set()

    def _take_own(self, wall: int) -> bytes:
        if self._own is None:
            return b""
        document = self._own.load()
        try:
            if SignedAdmission.decode(document).admission.relay_id != self._own.relay_id:
                raise BadAdmissionError("the admission is of another relay")
            self.book.add(document, wall)
        except DirectoryError as error:
            raise SourceError(f"our admission: {type(error).__name__}: {error}") from error
        return document

    # Searching

    async def _search(self, own: bytes, wall: int) -> None:
        found = _Round(self._host, self.book, self._start(wall), own, wall)
        try:
            await found.run()
        finally:
            most = min(_PAUSE_MAX_S, self._network.epoch_s / _EACH_READ)
            self._pause = min(2 * self._pause, most) if found.settled else FIRST_PAUSE_S
            chance = int.from_bytes(self._environment.entropy(4), "big") / _U32
            self._due = trio.current_time() + self._pause * (0.75 + chance / 2)

    def _start(self, wall: int) -> Search:
        network = self._network
        own = b"" if self._own is None else self._own.relay_id
        key = admissions_key(network.network_id, network.period(wall))
        rules = SearchRules(key, own, network.private_addresses)
        named = {*self._first, *self.book.relay_ids()}
        first: Mapping[bytes, tuple[Endpoint, ...]] = {
            relay_id: self._where(relay_id) for relay_id in named
        }
        return Search(rules, self.book, first, self._environment.entropy)


class _Round:
    """One search as it runs. `own`: the admission to put where it is missing, empty for none."""

    def __init__(
        self, host: Host, book: AdmissionBook, search: Search, own: bytes, wall: int
    ) -> None:
        self._host = host
        self._book = book
        self._search = search
        self._own = own
        self._wall = wall
        self._protocol = protocol_of(book.rules.network_id)
        self._progress = trio.Event()
        self._quiet = SETTLED  # answers in a row that brought nothing new

    @property
    def settled(self) -> bool:
        """Whether the last ones who answered knew nothing that we do not."""
        return self._quiet >= SETTLED

    async def run(self) -> None:
        """Ask until it is enough. Never raises for what those who are asked do."""
        async with trio.open_nursery() as nursery:
            while True:
                while (contact := self._search.next()) is not None:
                    nursery.start_soon(self._ask, contact)
                if self._search.done:
                    return
                self._progress = trio.Event()
                await self._progress.wait()

    async def _ask(self, contact: Contact) -> None:
        counters = self._host.counters
        counters.add("dht_asked", 1)
        try:
            with trio.fail_after(QUESTION_S):
                closer = await self._exchange(contact)
            self._search.succeed(contact.relay_id, closer)
        except (NetworkError, RemoteProtocolError, trio.TooSlowError) as error:
            counters.count_error(error)
            self._search.fail(contact.relay_id)
        finally:
            self._progress.set()

    async def _exchange(self, contact: Contact) -> tuple[Contact, ...]:
        addresses = [Multiaddr(str(endpoint)) for endpoint in contact.endpoints]
        connection = await self._host.dial(contact.relay_id, addresses)
        try:
            digest, key = self._book.digest(), self._search.key
            answer = await self._converse(connection, KadMessage(Kind.GET_VALUE, key, digest))
            if answer.value == digest:
                self._quiet += 1
                return answer.closer
            documents = decode_page(answer.value) if answer.value is not None else ()
            before = self._book.changes
            await self._take(documents)
            self._quiet = self._quiet + 1 if self._book.changes == before else 0
            if self._own and self._own not in documents:
                put = KadMessage(Kind.PUT_VALUE, key, encode_page([self._own]))
                await self._converse(connection, put)
            return answer.closer
        finally:
            with trio.move_on_after(CLOSE_S, shield=True):
                await connection.close()

    async def _converse(self, connection: SwarmConn, question: KadMessage) -> KadMessage:
        stream = await self._host.open_stream(connection, self._protocol)
        data = await ask(stream, encode_message(question), LENGTH_MAX + ANSWER_MAX)
        self._host.counters.add("dht_bytes", len(data))
        head = read_length(data, ANSWER_MAX)
        if head is None or sum(head) != len(data):
            raise MalformedDocumentError(f"{len(data)} bytes are not one message")
        return decode_message(data[head[1] :])

    async def _take(self, documents: Sequence[bytes]) -> None:
        """Keep what holds; raises the error of the first that nobody honest holds."""
        for start in range(0, len(documents), SLICE):
            received = self._book.take(documents[start : start + SLICE], self._wall)
            for error in received.refused:
                if not isinstance(error, _HARMLESS):
                    raise error
                self._host.counters.count_error(error)
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_dht_source(
    environment: Environment,
    network: NetworkParameters,
    identities: Identities,
    *,
    own: OwnAdmission | None,
    options: HostOptions,
    counters: Counters,
) -> AsyncIterator[DhtSource]:
    """Run a source and the host that it asks with until the block is left."""
    host = Host(os.urandom(32), options, counters)
    async with host.run():
        yield DhtSource(environment, network, identities, host, own)
