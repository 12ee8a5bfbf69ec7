"""Joins the further paths that the caller of a session offers (SPEC 10.7)."""

import trio

from peerstream.node.ports import PortError
from peerstream.node.protocol.circuit.bodies import Joining
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.session.events import PathOffered
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.circuits import Care, CircuitPlan
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.sessions import SessionDriver

RATE = 1 / 30  # joins a second: each shows our vanguards to a relay that the caller chose
BURST = 6
ANONYMOUS = 2


class Offers:
    """What one session is offered; at most a few joins a minute."""

    def __init__(
        self, driver: SessionDriver, parts: NodeParts, nursery: trio.Nursery | None
    ) -> None:
        self._driver = driver
        self._parts = parts
        self._nursery = nursery
        self._joins = TokenBucket(RATE, BURST, parts.environment.clock.now())

    def received(self, offer: PathOffered) -> None:
        """Join, or say why not."""
        clock = self._parts.environment.clock
        known = offer.relay_id in self._parts.keeper.directory.candidates(clock.wall())
        if offer.level < ANONYMOUS:
            self._refuse(offer, Status.LEVEL)  # it would see our guard, where the caller chose
        elif not known:
            self._refuse(offer, Status.NOT_FOUND)
        elif self._nursery is None or not self._joins.take(clock.now()):
            self._refuse(offer, Status.LIMIT)
        else:
            self._nursery.start_soon(self._join, offer)

    def _refuse(self, offer: PathOffered, status: Status) -> None:
        self._driver.session.refuse_path(offer.path, status)
        self._driver.touch()

    async def _join(self, offer: PathOffered) -> None:
        """Join over another guard than the path in use, while there is one."""
        session = self._driver.session
        try:
            blob = session.join_blob(offer.path)
            circuit = await self._parts.circuits.open(
                CircuitPlan(
                    purpose=Purpose.SERVICE_RENDEZVOUS,
                    level=offer.level,
                    command=Command.RDV_JOIN,
                    body=Joining(offer.cookie, blob).encode(),
                    named=(offer.relay_id,),
                    cell_class=offer.cell_class,
                    attempts=1,
                    care=Care(self._driver.relays),
                )
            )
        except (RoleError, ProtocolError, PortError):
            self._refuse(offer, Status.CLOSED)
            return
        if self._driver.alive and session.awaits_path(offer.path):
            self._driver.attach(offer.path, circuit, offer.level)
        else:
            circuit.close()  # a call or a rekey overtook it, or there are too many
            self._refuse(offer, Status.LIMIT)
