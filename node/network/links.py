"""Links to neighbours, dialled and accepted, one for each pair of nodes (SPEC 9.7).

Two nodes that dial each other at once end up with one link: the dial of the smaller relay id
wins. The larger one accepts and drops its own dial; the smaller one refuses, at the negotiation
of the protocol, so that no link is ever returned only to be closed.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio
from libp2p.abc import INetStream
from libp2p.network.connection.swarm_connection import SwarmConn
from multiaddr import Multiaddr

from peerstream.node.network.carrier import LinkPort
from peerstream.node.network.errors import (
    ClosedError,
    DialError,
    DialTimeoutError,
    ProtocolRefusedError,
    RequestFailedError,
)
from peerstream.node.network.exchange import Answer, ServeLimits, Server, ask
from peerstream.node.network.host import Host
from peerstream.node.network.peers import relay_id_of
from peerstream.node.network.stock_driver import StockDriver
from peerstream.node.network.yamux import Yamux

LINK_PROTOCOL = "/psp/link/1.0.0"
DIAL_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 10.0
# Two dials can only cross while both are younger than their timeout. A neighbour that asks for a
# link later than that has lost the one we know.
RACE_S = 2 * DIAL_TIMEOUT_S


class MakeLink(Protocol):
    """Makes the machine of one link, ready to be fed: ``on_setup`` is set by whoever relays."""

    def __call__(self, *, dialer: bool, peer: bytes, now: float) -> LinkPort:
        """Return a link to the neighbour with this host key; whether it is a relay is open."""
        ...


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """One link at this moment. Sizes in bytes on the socket, times in seconds."""

    relay_id: bytes
    dialer: bool
    age_s: float
    bytes_in: int
    bytes_out: int


@dataclass(eq=False, slots=True)
class _Record:
    link: LinkPort
    relay_id: bytes
    connection: SwarmConn
    dialer: bool
    since: float


class _Dial:
    """A dial on its way, and everybody who waits for it."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.done = trio.Event()
        self.link: LinkPort | None = None
        self.error: DialError | None = None

    def settle(self, link: LinkPort | None, error: DialError | None) -> None:
        """Give everybody the outcome; the first one counts."""
        if not self.done.is_set():
            self.link, self.error = link, error
            self.done.set()


class P2PLinks:
    """The links of one host."""

    def __init__(self, host: Host, make_link: MakeLink) -> None:
        self.host = host
        self.on_inbound: Callable[[LinkPort, bytes], None] = _ignore
        self.on_closed: Callable[[LinkPort, bytes, BaseException], None] = _ignore_closed
        self._make_link = make_link
        self._records: dict[bytes, _Record] = {}
        self._dials: dict[bytes, _Dial] = {}
        self._nursery: trio.Nursery | None = None
        host.set_admission(self._admits)
        host.set_handler(LINK_PROTOCOL, self._serve_link)

    def add_turn_hook(self, hook: Callable[[float], None]) -> None:
        """Call ``hook(now)`` after each wake-up, before anything is sent: drain events there."""
        self.host.shared.batch.hooks.append(hook)

    @asynccontextmanager
    async def listen(self, addresses: Sequence[Multiaddr] = ()) -> AsyncIterator[None]:
        """Run the host, listening on these addresses; without any it only dials.

        Raises:
            ListenError: one of the addresses cannot be listened on.

        """
        async with self.host.run(addresses), trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield
            finally:
                self._nursery = None
                nursery.cancel_scope.cancel()

    @property
    def addresses(self) -> list[Multiaddr]:
        """Where we listen."""
        return self.host.addresses

    # Links

    async def dial(self, relay_id: bytes, addresses: Sequence[Multiaddr]) -> LinkPort:
        """Return the link to this relay, dialling if there is none. All callers share one dial.

        Raises:
            DialError: by its subclass, why there is no link.
            ClosedError: the host does not run.

        """
        record = self._records.get(relay_id)
        if record is not None and not record.link.closed:
            return record.link
        dial = self._dials.get(relay_id)
        if dial is None:
            nursery = self._running()
            dial = self._dials[relay_id] = _Dial()
            nursery.start_soon(self._run_dial, dial, relay_id, list(addresses))
        await dial.done.wait()
        if dial.link is None:
            raise dial.error or DialError("no link")
        return dial.link

    async def _run_dial(self, dial: _Dial, relay_id: bytes, addresses: Sequence[Multiaddr]) -> None:
        error: DialError | None = None
        try:
            with dial.scope, trio.fail_after(DIAL_TIMEOUT_S):
                dial.settle(await self._attempt(relay_id, addresses), None)
        except trio.TooSlowError:
            error = DialTimeoutError("no link within the time for a dial")
        except DialError as failure:
            error = failure
        finally:
            if self._dials.get(relay_id) is dial:
                del self._dials[relay_id]
            dial.settle(None, error or DialError("the host stops"))

    async def _attempt(self, relay_id: bytes, addresses: Sequence[Multiaddr]) -> LinkPort:
        connection = await self.host.dial(relay_id, addresses)
        try:
            stream = await self.host.open_stream(connection, LINK_PROTOCOL)
            return self._establish(connection, stream, relay_id, dialer=True)
        except ClosedError as error:
            self._drop(connection)
            raise ProtocolRefusedError("the link was closed at once") from error
        except ProtocolRefusedError:
            self._drop(connection)
            if relay_id < self.host.relay_id and self.addresses:
                await trio.sleep_forever()  # it may be dialling us, see _admits; or time runs out
            raise
        except BaseException:
            self._drop(connection)
            raise

    def _establish(
        self, connection: SwarmConn, stream: INetStream, relay_id: bytes, *, dialer: bool
    ) -> LinkPort:
        link = self._make_link(dialer=dialer, peer=relay_id, now=trio.current_time())
        record = _Record(link, relay_id, connection, dialer, trio.current_time())
        self._replace(record)
        if not dialer:
            self.on_inbound(link, relay_id)
        lost = partial(self._lost, record)
        muxer = connection.muxed_conn
        if isinstance(muxer, Yamux):
            try:
                muxer.attach_link(stream.muxed_stream, link, lost)
            except ClosedError as error:
                lost(error)
                raise
        else:
            self._running().start_soon(StockDriver(stream, link, self.host.shared, lost).run)
        return link

    def _replace(self, record: _Record) -> None:
        old = self._records.get(record.relay_id)
        self._records[record.relay_id] = record
        if old is not None:
            self._drop(old.connection)

    def _lost(self, record: _Record, error: BaseException) -> None:
        if self._records.get(record.relay_id) is record:
            del self._records[record.relay_id]
        record.link.close()
        self._drop(record.connection)
        self.on_closed(record.link, record.relay_id, error)

    def close(self, link: LinkPort) -> None:
        """End a link of ours; ``on_closed`` follows. Nothing happens if it has ended."""
        for record in self._records.values():
            if record.link is link:
                self._drop(record.connection)
                return

    def _drop(self, connection: SwarmConn) -> None:
        if self._nursery is not None and not connection.is_closed:
            self._nursery.start_soon(connection.close)

    def statistics(self) -> list[LinkStatistics]:
        """Return what each link has carried so far."""
        now = trio.current_time()
        return [
            LinkStatistics(
                record.relay_id,
                record.dialer,
                now - record.since,
                getattr(record.connection.muxed_conn, "bytes_in", 0),
                getattr(record.connection.muxed_conn, "bytes_out", 0),
            )
            for record in self._records.values()
        ]

    async def _admits(self, relay_id: bytes, protocol: str) -> bool:
        if protocol != LINK_PROTOCOL:
            return True
        ours = self.host.relay_id
        if relay_id in self._dials:
            return relay_id < ours
        record = self._records.get(relay_id)
        if record is None or not record.dialer:
            return relay_id != ours
        return relay_id < ours or trio.current_time() - record.since > RACE_S

    async def _serve_link(self, stream: INetStream) -> None:
        connection = stream.swarm_conn
        relay_id = relay_id_of(stream.muxed_conn.peer_id)
        dial = self._dials.get(relay_id)
        link = self._establish(connection, stream, relay_id, dialer=False)
        if dial is not None:
            dial.settle(link, None)
            dial.scope.cancel()
        await connection.event_closed.wait()

    # Questions

    def serve(self, protocol: str, answer: Answer, limits: ServeLimits | None = None) -> None:
        """Answer questions: ``await answer(relay_id_of_the_asker, question)`` for each."""
        server = Server(answer, limits or ServeLimits(), self.host.counters)
        self.host.set_handler(protocol, server)

    async def request(
        self,
        relay_id: bytes,
        addresses: Sequence[Multiaddr],
        protocol: str,
        question: bytes,
        limit: int,
    ) -> bytes:
        """Ask on a connection of its own and return the answer, at most ``limit`` bytes.

        Raises:
            DialError: there is no connection, or the protocol is not served.
            ResponseTooLongError: the answer is longer.
            RequestFailedError: it did not come whole or in time.

        """
        connection: SwarmConn | None = None
        try:
            with trio.fail_after(REQUEST_TIMEOUT_S):
                connection = await self.host.dial(relay_id, addresses)
                stream = await self.host.open_stream(connection, protocol)
                return await ask(stream, question, limit)
        except trio.TooSlowError as error:
            raise RequestFailedError("no whole answer in time") from error
        finally:
            if connection is not None:
                self._drop(connection)

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise ClosedError("the host does not run")
        return self._nursery


def _ignore(_link: LinkPort, _relay_id: bytes) -> None:
    """Stand in until a role wants to know."""


def _ignore_closed(_link: LinkPort, _relay_id: bytes, _error: BaseException) -> None:
    """Stand in until a role wants to know."""
