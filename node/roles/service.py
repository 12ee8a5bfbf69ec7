"""The called side of a node: published, introduced, joined, its services run (SPEC 10.7)."""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from peerstream.identity.delegation import DelegationChecks, Scope
from peerstream.identity.descriptor import Audience
from peerstream.node.ports import (
    Peer,
    PinStore,
    PortError,
    ReplayStore,
    StreamError,
)
from peerstream.node.protocol.circuit.bodies import Joining
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.rendezvous.publication import PublicationRules, Publisher
from peerstream.node.protocol.rendezvous.ranking import ReceptionRules
from peerstream.node.protocol.rendezvous.reception import AdmittedCall, Invitation
from peerstream.node.protocol.session.admission import CalleePolicy
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import CircuitPlan
from peerstream.node.roles.client import HOPS
from peerstream.node.roles.doorkeeper import Doorkeeper
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.held import HeldSessions
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.roles.introducing import Introducing
from peerstream.node.roles.offers import Offers
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.publishing import Publishing
from peerstream.node.roles.service_table import ServiceOffer, ServiceSettings, ServiceTable
from peerstream.node.roles.sessions import SessionDriver
from peerstream.node.roles.streams import SessionStream

_log = structlog.get_logger("peerstream.service")

__all__ = ["Service", "ServiceOffer", "ServiceSettings"]

UPKEEP_S: Final = 1.0
CLOSE_S: Final = 4.0


class Service:
    """One identity that can be called."""

    def __init__(
        self,
        parts: NodeParts,
        identity: LocalIdentity,
        settings: ServiceSettings,
        replay: ReplayStore,
    ) -> None:
        self._parts = parts
        self._environment = parts.environment
        self._identity = identity
        self._replay = replay
        self._table = ServiceTable(settings)
        self._pins: PinStore = parts.pins
        self._published = self._publication_rules(settings.cell_classes)
        self._publisher = self._new_publisher()
        self._publishing = Publishing(parts, identity, self._publisher)
        self._is_contact = settings.is_contact
        self._commit = settings.commit
        self._door = Doorkeeper(parts.environment, replay, self._rules, self._join)
        self.causes = self._door.causes
        self._introducing = Introducing(
            parts,
            self._door.introduced,
            self._points_changed,
            self._door.reception.contact_pass,
        )
        self._introducing.hold(self._table.levels)
        self._sessions = HeldSessions()
        self._nursery: trio.Nursery | None = None
        self._changed = trio.Event()
        self._settled = trio.Event()  # what is offered now stands in the record

    def _publication_rules(self, cell_classes: tuple[int, ...]) -> PublicationRules:
        network = self._parts.network
        rules = PublicationRules(
            network_id=network.network_id,
            period_s=network.period_s,
            record_life_s=network.descriptor_life_s,
            key_life_s=network.handshake_key_life_s,
            key_overlap_s=network.handshake_key_overlap_s,
            updates_per_hour=network.updates_per_hour,
            minimum_level=self._table.level,
            accepts_early=False,
            accepts_anonymous=False,
            cell_classes=cell_classes,
        )
        return self._table.published(rules)

    def _new_publisher(self) -> Publisher:
        return Publisher(
            self._identity.identity_key,
            self._identity.delegation,
            Audience(self._identity.contact_secret),
            self._published,
            entropy=self._environment.entropy,
        )

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    @property
    def drivers(self) -> list[SessionDriver]:
        """The sessions that are open."""
        return list(self._sessions)

    @property
    def ways(self) -> list[tuple[bytes, ...]]:
        """The relay_ids that carry each session, as `SessionDriver.ways`."""
        return [way for driver in self._sessions for way in driver.ways]

    @property
    def points(self) -> list[bytes]:
        """The relay_ids at which it is introduced."""
        return [point.relay_id for point in self._introducing.points()]

    @property
    def datagrams_dropped(self) -> int:
        """How many datagrams the open sessions dropped: of no stream, or too many to keep."""
        return sum(driver.datagrams.dropped for driver in self._sessions)

    @property
    def stores(self) -> list[bytes]:
        """The relay_ids that are responsible for its record of this period."""
        return self._publishing.stores()

    # What is offered

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the services."""
        return tuple(self._table.names)

    async def offer(self, name: str, offer: ServiceOffer) -> None:
        """Offer a service more; return when callers can know all they need for it.

        Raises ServiceExistsError, ServiceNameError.
        """
        self._table.add(name, offer)
        await self._settle(lambda: self._table.remove(name))

    async def replace(self, name: str, offer: ServiceOffer) -> None:
        """Offer a service in place of the one of that name, if there is one; return as `offer`.

        When that cannot be published, or is given up, the old one is offered again.
        """
        before = self._table.get(name)
        if before is None:
            await self.offer(name, offer)
            return
        self._table.replace(name, before, offer)
        await self._settle(lambda: self._table.replace(name, offer, before))

    async def _settle(self, undo: Callable[[], None]) -> None:
        """Wait until what the table says now is published; `undo` it when that is given up."""
        self._table_changed()
        try:
            await self._settled.wait()
        except BaseException:
            undo()
            self._table_changed()
            raise

    def withdraw(self, name: str) -> None:
        """Take no more streams for a service; those that are open go on."""
        self._table.remove(name)
        self._table_changed()

    def _table_changed(self) -> None:
        rules = self._table.published(self._published)
        if rules != self._published:
            self._published = rules
            self._settled = trio.Event()
            self._introducing.hold(self._table.levels)
            self._publisher.set_rules(rules, self._environment.clock.wall())
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be reachable, until cancelled; `started` once the descriptor is out."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._publisher.tick(self._environment.clock.wall())
                nursery.start_soon(self._door.run)
                nursery.start_soon(self._introducing.run)
                nursery.start_soon(self._publishing.keep_grant)
                if self._commit is not None:
                    count = self._door.count
                    nursery.start_soon(self._publishing.keep_commitments, self._commit, count)
                await self._keep(task_status)
        finally:
            with trio.CancelScope(shield=True):
                await self.aclose()

    async def _keep(self, task_status: trio.TaskStatus[None]) -> None:
        started = False
        while True:
            self._changed, settled = trio.Event(), self._settled
            if await self._upkeep() and settled is self._settled and not self._outdated:
                settled.set()
                if not started:
                    started = True
                    task_status.started()
            with trio.move_on_after(UPKEEP_S):
                await self._changed.wait()

    @property
    def _outdated(self) -> bool:
        return self._publisher.outdated(self._environment.clock.wall())

    async def aclose(self) -> None:
        """End every session and say so to its caller, who would wait for us for ten minutes."""
        with trio.move_on_after(CLOSE_S):
            async with trio.open_nursery() as nursery:
                for driver in self._sessions:
                    nursery.start_soon(driver.aclose)

    async def _upkeep(self) -> bool:
        """Rotate keys and publish what is due; whether we can be found. Every failure may pass."""
        wall = self._environment.clock.wall()
        self._publisher.tick(wall)
        self._door.tick()
        self._publisher.set_puzzle(self._door.reception.effort.puzzle, wall)
        if not self._introducing.complete:
            return False
        self._door.reception.serve(self._publisher)
        try:
            self._replay.expire_tags(wall)
            return await self._publishing.publish_due()
        except (RoleError, ProtocolError, PortError) as error:
            self._door.count(error)
            return False

    def _points_changed(self) -> None:
        """Answer at the new points at once, and have them published."""
        wall = self._environment.clock.wall()
        if self._introducing.complete:
            self._publisher.set_points(self._introducing.points(), wall)
            self._door.reception.serve(self._publisher)
            self._changed.set()

    # Calls

    def _rules(self) -> ReceptionRules:
        identities = self._parts.keeper.identities
        checks = DelegationChecks(
            network_id=self._parts.network.network_id,
            now=self._environment.clock.wall(),
            required_scope=Scope.DIAL,
            revoked_before=identities.revoked_before,
            newest_issued=self._pins.newest_issued,
        )
        return ReceptionRules(
            policy=CalleePolicy(self._table.level, self._parts.keeper, self._table.policies),
            checks=checks,
            is_device_revoked=identities.is_device_revoked,
            held=self._sessions.held,
            is_contact=self._is_contact,
        )

    async def _join(self, invitation: Invitation) -> None:
        request = invitation.request
        plan = CircuitPlan(
            purpose=Purpose.SERVICE_RENDEZVOUS,
            level=invitation.level,
            command=Command.RDV_JOIN,
            body=Joining(request.cookie, invitation.message2).encode(),
            named=(request.relay_id,),
            cell_class=request.cell_class,
            care=self._sessions.care(invitation.call, self._environment.clock.now()),
        )
        try:
            circuit = await self._parts.circuits.open(plan)
        except (RoleError, ProtocolError, PortError) as error:
            self._door.count(error)
            return
        if invitation.call is None:
            circuit.close()
        elif invitation.call.resumes:
            self._sessions.resume(invitation.call, circuit, invitation.level)
        else:
            self._begin(invitation.call, circuit, invitation.level)

    def _begin(self, call: AdmittedCall, circuit: OwnedCircuit, level: int) -> None:
        session = Session(
            Role.CALLEE,
            call.secrets,
            SessionTerms(level),
            now=self._environment.clock.now(),
            entropy=self._environment.entropy,
        )
        peer = Peer(call.caller.account, level, HOPS[level])
        agenda = self._parts.neighbours.agenda
        driver = SessionDriver(session, peer, agenda, self._environment.clock)
        driver.on_stream = self._stream_opened
        driver.on_offer = Offers(driver, self._parts, self._nursery).received
        self._sessions.add(driver)
        if call.early:
            driver.early_stream(call.service, 0, call.early)
        driver.attach(0, circuit, level)

    # Streams

    def _stream_opened(self, stream: SessionStream) -> None:
        offer = self._table.find(stream.service, stream.peer)
        if isinstance(offer, Status):
            stream.reset(offer)
        elif self._nursery is not None:
            # Early bytes are handed on by the proof in message 1; all others come behind the first
            # cell, which proves the caller a second time or ends the session.
            if not offer.accepts:
                stream.accept()
            self._nursery.start_soon(self._serve, offer, stream)

    async def _serve(self, offer: ServiceOffer, stream: SessionStream) -> None:
        try:
            await offer.handler(stream)
        except StreamError:
            self.causes["StreamError"] += 1
            stream.reset()
        except Exception as error:  # noqa: BLE001 - a supervisor: one stream must not end others
            self.causes["bug"] += 1
            _log.error("service.bug", service=stream.service, error=type(error).__name__)
            stream.reset(Status.INTERNAL)
        else:
            await stream.aclose()
