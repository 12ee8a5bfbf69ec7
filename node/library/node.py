"""A node that calls and can be called: put together, started, stopped (SPEC 10.9)."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.node.library.assembly import Assembly, NodeSettings, assemble
from peerstream.node.ports import ByteStream
from peerstream.node.roles.client import Client
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.errors import IdentityRequiredError
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.service import Service, ServiceOffer, ServiceSettings
from peerstream.node.roles.sessions import SessionDriver
from peerstream.node.roles.tasks import bare_errors

__all__ = ["Node", "NodeSettings", "ServiceOffer", "Target", "open_node"]

CLOSE_S: Final = 5.0


@dataclass(slots=True)
class Node:
    """A running node. Made by `open_node`."""

    identity: LocalIdentity | None
    _assembly: Assembly = field(repr=False)
    _client: Client = field(repr=False)
    _nursery: trio.Nursery = field(repr=False)
    _service: Service | None = field(default=None, repr=False)
    _starting: trio.Lock = field(default_factory=trio.Lock, repr=False)

    async def resolve(self, account: Address) -> Target:
        """Return how to dial a listed account. Raises AddressUnknownError."""
        return await self._client.resolve(account)

    async def look_up(self, target: Target) -> int:
        """Fetch the descriptor of an address, without calling it; return when it ends (unix s).

        Raises DescriptorUnavailableError when it is not published, RoleError, IdentityError or
        ProtocolError as subclasses that say what to do.
        """
        return await self._client.look_up(target)

    async def connect(
        self,
        target: Target,
        service: str,
        *,
        level: int = 2,
        anonymous: bool = False,
        early: bytes = b"",
        isolation: bytes = b"",
    ) -> ByteStream:
        """Open a stream to a service of an address.

        level: 2 hides both sides behind six relays, 1 behind three; the stricter side's wish wins,
        and `stream.peer` tells what was reached. early: the first bytes of the stream, which travel
        with the call where the service takes them; they may reach it twice. isolation: streams with
        another value share no session, circuit or descriptor with this one. Raises RoleError,
        IdentityError or ProtocolError, as subclasses that say what to do.
        """
        dialling = Dialling(level=level, anonymous=anonymous, isolation=isolation)
        return await self._client.open_stream(target, service, dialling, early)

    # Being called

    @property
    def address(self) -> Address | None:
        """The account that we speak for; None for a node without identity."""
        return None if self.identity is None else self.identity.account

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the services that we offer."""
        return () if self._service is None else self._service.offered

    async def offer(self, name: str, offer: ServiceOffer) -> None:
        """Offer a service under our identity; return once callers can reach it.

        The first one makes the node reachable, which takes some seconds; later ones are there at
        once, unless the descriptor has to say something new of them (anonymous, early_data, level).
        Raises IdentityRequiredError, ServiceExistsError, ServiceNameError.
        """
        service = await self._started_with(name, offer)
        if service is not None:
            await service.offer(name, offer)

    async def replace(self, name: str, offer: ServiceOffer) -> None:
        """Offer a service in place of the one of that name, if there is one; return as `offer`.

        When that cannot be published, or is given up, the old one is offered again. Raises
        IdentityRequiredError, ServiceNameError.
        """
        service = await self._started_with(name, offer)
        if service is not None:
            await service.replace(name, offer)

    async def _started_with(self, name: str, offer: ServiceOffer) -> Service | None:
        """Become reachable with a first service; what is reachable already, None if nothing was."""
        async with self._starting:
            if self._service is not None:
                return self._service
            settings = ServiceSettings(offers={name: offer})
            await self._nursery.start(self._run, self._new_service(settings))
            return None

    def withdraw(self, name: str) -> None:
        """Take no more streams for a service; those that are open go on.

        The node stays reachable and tells callers that there is no such service.
        """
        if self._service is not None:
            self._service.withdraw(name)

    async def serve(
        self,
        offers: Mapping[str, ServiceOffer],
        *,
        level: int = 2,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Offer services until cancelled; `started` once callers can reach them.

        level: the least one for those that name none. Raises as `offer`.
        """
        if self._service is not None:
            await self._add(offers, level, task_status)
            return
        settings = ServiceSettings(offers=offers, level=level)
        await self._run(self._new_service(settings), task_status=task_status)

    async def _add(
        self, offers: Mapping[str, ServiceOffer], level: int, task_status: trio.TaskStatus[None]
    ) -> None:
        offered: list[str] = []
        try:
            for name, offer in offers.items():
                least = level if offer.level is None else offer.level
                await self.offer(name, replace(offer, level=least))
                offered.append(name)
            task_status.started()
            await trio.sleep_forever()
        finally:
            for name in offered:
                self.withdraw(name)

    def _new_service(self, settings: ServiceSettings) -> Service:
        if self.identity is None:
            raise IdentityRequiredError("to be called")
        parts, replays = self._assembly.parts, self._assembly.replays
        assembly = self._assembly
        settings = replace(settings, is_contact=assembly.is_contact, commit=assembly.commit)
        self._service = Service(parts, self.identity, settings, replays)
        return self._service

    async def _run(
        self,
        service: Service,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            await service.run(task_status)
        finally:
            self._service = None

    # What there is to know

    @property
    def parts(self) -> NodeParts:
        """What its roles share: for whoever looks after it."""
        return self._assembly.parts

    def calling(self) -> list[SessionDriver]:
        """Return the sessions that we called."""
        return self._client.sessions

    def called(self) -> list[SessionDriver]:
        """Return the sessions that others called."""
        return [] if self._service is None else self._service.drivers

    def renew(self, identity: LocalIdentity) -> None:
        """Go on under the same identity with a new certificate."""
        self.identity = self._client.dialler.identity = identity

    def statistics(self) -> dict[str, Any]:
        """Return counts at this moment, without addresses or keys."""
        service = self._service
        found = self._assembly.statistics()
        found["sessions"] = 0 if service is None else service.sessions
        found["refused"] = {} if service is None else dict(service.causes)
        dropped = 0 if service is None else service.datagrams_dropped
        found["datagrams_dropped"] = self._client.datagrams_dropped + dropped
        return found

    def places(self) -> dict[str, list[list[str]]]:
        """Return which relays (in hexadecimal) carry what: for whoever plays their deaths.

        ways: of each circuit under a session, guard first, the carrying ones first; points: where
        we are introduced; stores: of our record. It names guards: show it to nobody.
        """
        service, ways = self._service, list(self._client.ways)
        if service is None:
            return {"ways": _hex(ways), "points": [], "stores": []}
        return {
            "ways": _hex([*ways, *service.ways]),
            "points": _hex([service.points]),
            "stores": _hex([service.stores]),
        }

    async def aclose(self) -> None:
        """End the sessions that we called; what was sent before still arrives."""
        with trio.move_on_after(CLOSE_S):
            await self._client.aclose()


def _hex(rows: Iterable[Iterable[bytes]]) -> list[list[str]]:
    return [[relay_id.hex() for relay_id in row] for row in rows]


@asynccontextmanager
async def open_node(settings: NodeSettings, identity: LocalIdentity | None) -> AsyncIterator[Node]:
    """Run a node; `identity` None calls anonymously and serves nothing.

    Raises StoreError for the state directory, DirectoryUnavailableError when the relay set or the
    relays cannot be read, ListenError never: it only dials.
    """
    with bare_errors():
        async with assemble(settings) as assembly, trio.open_nursery() as nursery:
            client = Client(assembly.parts, identity)
            nursery.start_soon(client.run)
            node = Node(identity, assembly, client, nursery)
            try:
                yield node
                await node.aclose()
            finally:
                nursery.cancel_scope.cancel()
