"""Strangers who introduce themselves to one address and never listen for its answer."""

from dataclasses import dataclass
from typing import Final

import trio

from peerstream.node.protocol.directory.lookup import Found, Sought
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.onion.replay import bucket_of
from peerstream.node.protocol.rendezvous.call import Call, CallTerms
from peerstream.node.protocol.session.caller import CallerIdentity
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import COOKIE_SIZE
from peerstream.node.roles.circuits import CircuitPlan
from peerstream.node.roles.errors import RoleError
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.lookups import Lookups
from peerstream.node.roles.parts import NodeParts

ANONYMOUS: Final = 2
CELL_CLASS: Final = 2


@dataclass(slots=True)
class Strangers:
    """Makes introductions that are valid in all respects, each with certificates and a new key.

    passed_on: that the introduction points took; refused: that they or a relay before them did not.
    """

    parts: NodeParts
    identity: LocalIdentity
    target: Target
    service: str
    passed_on: int = 0
    refused: int = 0

    async def introduce(self, count: int, per_second: float) -> None:
        """Make `count` of them. Raises DescriptorUnavailableError."""
        target = self.target
        sought = Sought(target.account, target.identity_key, target.contact_secret)
        found = await Lookups(self.parts).descriptor(sought)
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(count):
                await trio.sleep_until(started + number / per_second)
                nursery.start_soon(self._introduce, found)

    async def _introduce(self, found: Found) -> None:
        call = self._call(found)
        entropy = self.parts.environment.entropy
        points = found.contents.introduction_points
        rendezvous = points[entropy(1)[0] % len(points)].relay_id
        plan = CircuitPlan(
            purpose=Purpose.CLIENT_INTRODUCTION,
            level=ANONYMOUS,
            command=Command.INTRODUCE,
            body=lambda point, _binding: call.introduce(point, rendezvous),
            named=call.points,
            attempts=1,
            detours=0,
        )
        try:
            circuit = await self.parts.circuits.open(plan)
        except (RoleError, ProtocolError):  # at the change of an epoch also our own directory
            self.refused += 1
            return
        circuit.close()
        self.passed_on += 1

    def _call(self, found: Found) -> Call:
        environment, keeper = self.parts.environment, self.parts.keeper
        wall = environment.clock.wall()
        view = keeper.directory.view(wall)
        terms = CallTerms(
            network_id=self.parts.network.network_id,
            blinded=found.blinded,
            period=found.period,
            epoch=view.epoch,
            root=view.root,
            level=ANONYMOUS,
            cell_class=CELL_CLASS,
            bucket=bucket_of(wall),
            cookie=environment.entropy(COOKIE_SIZE),
            service=self.service,
        )
        identity = CallerIdentity(self.identity.chain.encode(), self.identity.device)
        return Call(
            found.contents, terms, wall=wall, entropy=environment.entropy, identity=identity
        )
