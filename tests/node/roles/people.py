"""Callers and callees in a `World`: identities with wallets, nodes that dial and are dialled."""

import hashlib

import trio

from peerstream.identity.delegation import Delegation, Scope
from peerstream.identity.device import CredentialChain
from peerstream.identity.keys import DeviceKeys, IdentityKey
from peerstream.identity.signer import LocalSigner
from peerstream.node.protocol.directory.guards import GuardState
from peerstream.node.protocol.rendezvous.ranking import nobody
from peerstream.node.roles.circuits import Circuits
from peerstream.node.roles.client import Client
from peerstream.node.roles.identity import LocalIdentity, Target
from peerstream.node.roles.parts import NodeParts
from peerstream.node.roles.service import Service, ServiceOffer, ServiceSettings
from tests.node.protocol.directory.network import seeded
from tests.node.roles.relays import MemoryStorage, Node, World

DAY = 86_400


class MemoryPins:
    """Guards and pins that a disk would keep."""

    def __init__(self, network_id: bytes) -> None:
        self.guards = GuardState(network_id)
        self.issued: dict[bytes, int] = {}
        self.revisions: dict[bytes, int] = {}

    def load_guards(self):
        return self.guards

    def save_guards(self, state):
        self.guards = state

    def newest_issued(self, account):
        return self.issued.get(account.raw, 0)

    def pin_issued(self, account, issued):
        self.issued[account.raw] = max(issued, self.newest_issued(account))

    def highest_revision(self, blinded):
        return self.revisions.get(blinded, 0)

    def pin_revision(self, blinded, revision, forget_at):
        self.revisions[blinded] = max(revision, self.highest_revision(blinded))


def make_identity(name: str, network_id: bytes, wall: int, **changes) -> LocalIdentity:
    """Keys from the name; `changes` of issued, not_before, not_after, scope, contact_secret."""
    entropy = seeded(("identity", name))
    signer = LocalSigner(hashlib.sha256(f"wallet {name}".encode()).digest())
    identity_key, device = IdentityKey.generate(entropy), DeviceKeys.generate(entropy)
    delegation = Delegation(
        account=signer.address,
        identity_key=identity_key.public,
        issued=changes.get("issued", wall - 60),
        not_before=changes.get("not_before", wall - 3_600),
        not_after=changes.get("not_after", wall + 10 * DAY),
        scope=changes.get("scope", Scope.ACCEPT | Scope.DIAL),
        label="test",
    ).sign(signer, network_id)
    chain = CredentialChain.issue(
        delegation, identity_key, device, not_before=wall - 3_600, not_after=wall + 10 * DAY
    )
    secret = changes.get("contact_secret", hashlib.sha256(name.encode()).digest())
    return LocalIdentity(delegation, identity_key, device, chain, secret)


class Person:
    """A node with an identity, which calls and can be called.

    `before`: the same person, whose process was killed; its disk is still there.
    """

    def __init__(
        self, world: World, name: str, before: "Person | None" = None, **changes: object
    ) -> None:
        self.world = world
        number = int.from_bytes(name.encode(), "big") % 1_000_003
        self.node: Node = world.client(number + (1_000_003 if before else 0))
        network = world.network
        self.identity = make_identity(name, network.network_id, world.clock.wall(), **changes)
        self.pins = before.pins if before else MemoryPins(network.network_id)
        self.storage = before.storage if before else MemoryStorage()
        environment = self.node.environment
        self.circuits = Circuits(environment, network, self.node.neighbours, self.pins)
        self.parts = NodeParts(
            environment, network, self.node.neighbours, self.node.keeper, self.circuits, self.pins
        )
        self.client = Client(self.parts, self.identity)
        self.service: Service | None = None

    @property
    def target(self) -> Target:
        return Target.of_card(self.identity.card)

    async def start(self, nursery=None) -> None:
        nursery = nursery or self.world.nursery
        nursery.start_soon(self.node.neighbours.run)
        await self.node.keeper.start()
        self.circuits.refresh_guards()
        self.circuits.guarding.look_around = self.node.keeper.search
        self.node.keeper.changed.append(self.circuits.refresh_guards)
        for task in (self.node.keeper.run, self.circuits.run, self.client.run):
            nursery.start_soon(task)

    async def serve(
        self, level: int = 2, nursery=None, is_contact=nobody, commit=None, **handlers
    ) -> None:
        offers = {
            name: handler if isinstance(handler, ServiceOffer) else ServiceOffer(handler)
            for name, handler in handlers.items()
        }
        settings = ServiceSettings(offers=offers, level=level, is_contact=is_contact, commit=commit)
        self.service = Service(self.parts, self.identity, settings, self.storage)
        await (nursery or self.world.nursery).start(self.service.run)


async def echo(stream) -> None:
    while data := await stream.receive():
        await stream.send(data)
    await stream.send_end()


async def read_all(stream) -> bytes:
    parts = []
    while data := await stream.receive():
        parts.append(data)
    return b"".join(parts)


async def exchange(stream, body: bytes) -> None:
    """Send to an echo and take all of it back."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send, body)
        got = b""
        while len(got) < len(body):
            got += await stream.receive()
    assert got == body


async def two_people(world: World, **services) -> tuple[Person, Person]:
    """A callee that serves, and a caller; both started."""
    callee, caller = Person(world, "callee"), Person(world, "caller")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(callee.start)
        nursery.start_soon(caller.start)
    await callee.serve(**services)
    return caller, callee
