"""Puts a callee's records, and the grant of a listed one, to their stores (SPEC 10.7, 12.5)."""

from collections.abc import Callable
from typing import Final

import trio

from peerstream.node.ports import Commit, CommitError, PortError
from peerstream.node.protocol.circuit.bodies import BODY_MAX
from peerstream.node.protocol.directory.commands import Kind, Put
from peerstream.node.protocol.directory.errors import NoSafePathError
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.directory.ring import grant_index
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.rendezvous.publication import Publication, Publisher
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuits import CircuitPlan
from peerstream.node.roles.errors import (
    CircuitClosedError,
    CircuitFailedError,
    CommandRefusedError,
    RoleError,
)
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.roles.parts import NodeParts

STORES_WANTED: Final = 2  # outside the exclusion set; stores hand it to the others
ATTEMPTS_MAX: Final = 6
RETRY_S: Final = 15
GRANT_AGAIN_S: Final = 21_600  # stores keep it for a day
ANONYMOUS: Final = 2


class NotPublishedError(RoleError):
    """Too few stores took the record; `reasons` says what each answered. It is tried again soon."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons) or "no store could be reached")
        self.reasons = reasons


class Publishing:
    """Keeps what stores hold of one identity up to date."""

    def __init__(self, parts: NodeParts, identity: LocalIdentity, publisher: Publisher) -> None:
        self._parts = parts
        self._environment = parts.environment
        self._identity = identity
        self._publisher = publisher
        self.last_error: NotPublishedError | None = None
        self._uncommitted: dict[int, Publication] = {}
        self._published = trio.Event()

    async def publish_due(self) -> bool:
        """Put whatever is due; whether all of it is out."""
        wall = self._environment.clock.wall()
        view = self._parts.keeper.directory.view(wall)
        self._publisher.set_view((view.epoch, view.root), wall)
        done = True
        for period in self._publisher.due(wall):
            try:
                await self._publish(period)
            except NotPublishedError as error:
                self.last_error = error
                self._publisher.failed(period, self._environment.clock.wall() + RETRY_S)
                done = False
        return done

    def stores(self) -> list[bytes]:
        """Return the relay_ids that are responsible for the record of this period."""
        period = self._parts.network.period(self._environment.clock.wall())
        blinded = self._publisher.blinded(period)
        return list(self._parts.keeper.ring(period).responsible(blinded))

    async def _publish(self, period: int) -> None:
        publication = self._make(period)
        put = Put(Kind.RECORD, publication.record)
        stores = self._parts.keeper.ring(period).responsible(publication.blinded)
        await self._put_to_some(put, set(stores))
        self._uncommitted[period] = publication
        self._published.set()

    def _make(self, period: int) -> Publication:
        """Make the next record; its revision is on disk before anybody sees it."""
        wall = self._environment.clock.wall()
        view = self._parts.keeper.directory.view(wall)
        pins = self._parts.pins
        floor = pins.highest_revision(self._publisher.blinded(period))
        publication = self._publisher.make(period, (view.epoch, view.root), wall, floor)
        forget_at = (period + 2) * self._parts.network.period_s
        pins.pin_revision(publication.blinded, publication.revision, forget_at)
        return publication

    async def _put_to_some(self, put: Put, left: set[bytes]) -> None:
        """Put a document to two of the stores. Raises NotPublishedError when none took it."""
        taken, reasons = 0, []
        for _ in range(ATTEMPTS_MAX):
            if not left or taken == STORES_WANTED:
                break
            reason = await self._put(put, left)
            if reason is None:
                taken += 1
            else:
                reasons.append(reason)
        if not taken:
            raise NotPublishedError(tuple(reasons))

    async def _put(self, put: Put, left: set[bytes]) -> str | None:
        """Put to one of the stores in `left`, which is taken out of it; why it failed, or None."""
        body = put.encode()
        fits = len(body) <= BODY_MAX
        plan = CircuitPlan(
            purpose=Purpose.SERVICE_DIRECTORY,
            level=ANONYMOUS,
            command=Command.DIR_PUT if fits else Command.OPEN,
            body=body if fits else b"",
            named=tuple(left),
        )
        try:
            circuit = await self._parts.circuits.open(plan)
            left.discard(circuit.path[-1])
            try:
                if not fits:
                    await circuit.ask(Command.DIR_PUT, body)
            finally:
                circuit.close()
        except CommandRefusedError as error:
            left.discard(error.relay_id)
            return error.status.name
        except NoSafePathError as error:
            left.clear()
            return str(error)
        except (CircuitFailedError, CircuitClosedError) as error:
            return str(error)
        return None

    async def keep_commitments(self, commit: Commit, count: Callable[[Exception], None]) -> None:
        """Commit to what was published, once stores have it, until cancelled.

        `count` learns of what failed; that is tried again unless a newer record took its place.
        """
        while True:
            await self._published.wait()
            self._published = trio.Event()
            while (publication := self._next_uncommitted()) is not None:
                try:
                    await commit(*self._publisher.commitment(publication))
                except CommitError as error:
                    count(error)
                    await trio.sleep(RETRY_S)
                    continue
                if self._uncommitted.get(publication.period) is publication:
                    del self._uncommitted[publication.period]

    def _next_uncommitted(self) -> Publication | None:
        wall = self._environment.clock.wall()
        lasting = {p: each for p, each in self._uncommitted.items() if each.expiry > wall}
        self._uncommitted = lasting
        return next(iter(lasting.values()), None)

    async def keep_grant(self) -> None:
        """Keep the grant of a listed identity where anybody can look it up, until cancelled.

        An unlisted identity has none. A registry that lists the account makes it unneeded, but
        costs the reader nothing, and works where there is no registry.
        """
        if self._identity.contact_secret:
            return
        while True:
            try:
                pause: float = await self._put_grant()
            except (RoleError, ProtocolError, PortError):
                pause = RETRY_S  # every reason may pass; who looks the grant up hears NOT_FOUND
            await trio.sleep(pause)

    async def _put_grant(self) -> float:
        """Put the grant to the stores of this period; return when to do so again, in seconds."""
        wall, network = self._environment.clock.wall(), self._parts.network
        period = network.period(wall)
        key = grant_index(network.network_id, self._identity.account.raw, period)
        stores = set(self._parts.keeper.ring(period).responsible(key))
        await self._put_to_some(Put(Kind.GRANT, self._identity.delegation.encode()), stores)
        ends = (period + 1) * network.period_s - wall
        return float(min(GRANT_AGAIN_S, max(1, ends)))
