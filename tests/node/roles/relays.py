"""Whole networks of relays in memory: what a process would put together, without the process."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity.address import Address
from peerstream.identity.network import NetworkMode
from peerstream.node.config import NetworkParameters, committed_constants
from peerstream.node.ports import Environment, SourceError, SourceSnapshot
from peerstream.node.protocol.circuit.bodies import Result, encode_payload
from peerstream.node.protocol.circuit.origin import OriginCircuit
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.relay_set import (
    NO_FAMILY,
    NO_SIGN_KEY,
    RelayEntry,
    RelayView,
    prove_possession,
)
from peerstream.node.protocol.directory.static import SignedStaticFile, StaticFile, StaticRelay
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.protocol.onion.replay import ReplayRecord
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.announcer import RelayCard
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.padder import DEFAULT_PADDING, PaddingSettings
from peerstream.node.roles.relay import Relay, RelayStorage
from tests.node.protocol.circuit.memory_network import Owner
from tests.node.protocol.directory.network import seeded
from tests.node.roles.memory_links import MemoryInternet

START_WALL = 1_800_000_000  # the start of an epoch and of a period of the devnet
DEVNET = committed_constants("devnet")
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def make_network(**changes: object) -> NetworkParameters:
    values = {name: getattr(DEVNET, name) for name in DEVNET.constants_json()} | changes
    signer = SIGNER.public_key().public_bytes_raw()
    return NetworkParameters(**values, mode=NetworkMode.STATIC, static_signer=signer)


class MemoryClock:
    """Monotonic time from trio, directory time beside it."""

    def __init__(self, wall: int = START_WALL) -> None:
        self._offset = wall - trio.current_time()

    def now(self) -> float:
        return trio.current_time()

    def wall(self) -> int:
        return int(self._offset + trio.current_time())


class NoAccounts:
    """Identities of a network without a registry."""

    def identity_key(self, account: Address) -> bytes | None:
        return None

    def revoked_before(self, account: Address) -> int:
        return 0

    def is_device_revoked(self, account: Address, device_key: bytes) -> bool:
        return False


class MemorySource:
    """Views that a test sets, and failures that it orders."""

    def __init__(self, snapshot: SourceSnapshot) -> None:
        self.snapshot = snapshot
        self.reads = 0
        self.broken = False
        self.told = trio.Event()

    async def read(self, wall: int) -> SourceSnapshot:
        self.reads += 1
        if self.broken:
            raise SourceError("the source is broken")
        return self.snapshot

    async def news(self) -> None:
        await self.told.wait()
        self.told = trio.Event()


class MemoryStorage:
    """What a disk would keep; survives the relay that wrote it."""

    def __init__(self) -> None:
        self.seeds: dict[int, bytes] = {}
        self.tags: dict[int, list[bytes]] = {}
        self.saves = 0
        self.full: Exception | None = None

    def load_onion_seeds(self) -> Mapping[int, bytes]:
        return dict(self.seeds)

    def save_onion_seeds(self, seeds: Mapping[int, bytes]) -> None:
        self._require_room()
        self.saves += 1
        self.seeds = dict(seeds)

    def load_tags(self, wall: int) -> Mapping[int, Iterable[bytes]]:
        return {bucket: list(tags) for bucket, tags in self.tags.items()}

    def append_tag(self, record: ReplayRecord) -> None:
        self._require_room()
        self.tags.setdefault(record.bucket, []).append(record.tag)

    def expire_tags(self, wall: int) -> None:
        self._require_room()

    def _require_room(self) -> None:
        if self.full is not None:
            raise self.full


class RelayIdentity:
    """Key, operator and address of one relay of a test."""

    def __init__(self, number: int, network: NetworkParameters) -> None:
        self.number = number
        self.key = Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(b"relay%d" % number).digest()
        )
        self.relay_id = self.key.public_key().public_bytes_raw()
        self.endpoint = Endpoint.parse(f"/ip4/127.{number + 1}.0.1/tcp/4001")
        operator = (number + 1).to_bytes(20, "big")
        self.entry = RelayEntry(
            slot=number,
            relay_id=self.relay_id,
            operator=operator,
            family=NO_FAMILY,
            weight=1_000,
            sign_key=NO_SIGN_KEY,
            from_epoch=0,
            to_epoch=2**40,
            possession=prove_possession(self.key, network.network_id, operator, self.relay_id),
        )


def view_of(relays: list[RelayIdentity], network: NetworkParameters, **changes: int) -> RelayView:
    rows = tuple(
        StaticRelay(replace(relay.entry, slot=slot), (relay.endpoint,))
        for slot, relay in enumerate(relays)
    )
    times = {"serial": 1, "not_before": START_WALL - 5, "not_after": START_WALL + 10**7} | changes
    file = StaticFile(**times, parameters_hash=network.parameters_hash, relays=rows)
    return SignedStaticFile.sign(file, SIGNER, network_id=network.network_id).view(
        network.network_id
    )


class Node:
    """Neighbours, keeper and, for a relay, the relay; `run` until cancelled or killed."""

    def __init__(
        self,
        world: "World",
        relay_id: bytes,
        endpoints: tuple[Endpoint, ...],
        *,
        gossips: bool,
        seed: object,
    ) -> None:
        self.world = world
        self.relay_id = relay_id
        self.environment = Environment(world.clock, seeded(seed))
        directory = Directory(world.network.directory_rules)
        self.neighbours = Neighbours(self.environment, directory, world.padding)
        self.source = MemorySource(world.source.snapshot)
        self.links = world.internet.join(relay_id, self.neighbours, endpoints)
        self.neighbours.attach(self.links)
        self.keeper = DirectoryKeeper(
            self.environment, world.network, self.neighbours, self.source, gossips=gossips
        )
        self.relay: Relay | None = None
        self.scope = trio.CancelScope()

    def make_relay(self, identity: RelayIdentity, storage: MemoryStorage) -> Relay:
        card = RelayCard(
            relay_id=identity.relay_id,
            host_key=identity.key,
            endpoints=lambda: (identity.endpoint,),
        )
        self.relay = Relay(
            self.environment,
            self.world.network,
            self.neighbours,
            self.keeper,
            card,
            RelayStorage(storage, storage),
        )
        return self.relay

    @property
    def usable(self) -> bool:
        return self.keeper.directory.usable(self.world.clock.wall())

    async def run(self) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.neighbours.run)
                nursery.start_soon(self.keeper.run)
                if self.relay is not None:
                    nursery.start_soon(self.relay.run)

    def kill(self) -> None:
        self.world.internet.kill(self.relay_id)
        self.scope.cancel()


class World:
    """A network of so many relays, none of them running yet."""

    def __init__(
        self, nursery: trio.Nursery, relays: int, *, delay: float = 0.01, wall: int = START_WALL
    ) -> None:
        self.nursery = nursery
        self.padding = DEFAULT_PADDING
        self.clock = MemoryClock(wall)
        self.network = make_network()
        self.internet = MemoryInternet(delay=delay)
        nursery.start_soon(self.internet.run)
        self.identities = [RelayIdentity(number, self.network) for number in range(relays)]
        self.storages = [MemoryStorage() for _ in range(relays)]
        self.nodes: dict[int, Node] = {}
        self.source = MemorySource(self.snapshot(self.identities))

    def snapshot(self, relays: list[RelayIdentity], **changes: int) -> SourceSnapshot:
        endpoints = {relay.relay_id: (relay.endpoint,) for relay in self.identities}
        return SourceSnapshot(
            (view_of(relays, self.network, **changes),), NoAccounts(), endpoints=endpoints
        )

    async def start_relay(self, number: int) -> Node:
        identity = self.identities[number]
        seed = ("relay", number, trio.current_time())
        node = Node(self, identity.relay_id, (identity.endpoint,), gossips=True, seed=seed)
        await node.keeper.read()
        node.make_relay(identity, self.storages[number])
        self.nodes[number] = node
        self.nursery.start_soon(node.run)
        return node

    async def start(self, numbers: Iterable[int] | None = None) -> list[Node]:
        wanted = range(len(self.identities)) if numbers is None else numbers
        return [await self.start_relay(number) for number in wanted]

    def client(self, number: int = 0) -> Node:
        relay_id = hashlib.sha256(b"client%d" % number).digest()
        return Node(self, relay_id, (), gossips=False, seed=("client", number))

    async def start_client(self, number: int = 0) -> Node:
        """Return a client that runs and knows the network."""
        client = self.client(number)
        self.nursery.start_soon(client.run)
        await client.keeper.start()
        return client


async def until(condition: Callable[[], object], within: float) -> float:
    """Wait for a condition in mock time; how long that took."""
    started = trio.current_time()
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  # a condition of many nodes has no event
            await trio.sleep(max(0.05, within / 400))
    return trio.current_time() - started


async def open_circuit(
    client: Node,
    path: list[bytes],
    command: Command = Command.OPEN,
    body: bytes = b"",
) -> Owner:
    """Open a circuit whose last hop runs `command`; returned once there is an answer to it."""
    link = await client.neighbours.dial(path[0])
    wall = client.world.clock.wall()
    hops = [client.keeper.directory.hop(relay_id, wall) for relay_id in path]
    owner = Owner()
    owner.circuit = OriginCircuit(link, hops, owner=owner, cell_class=2)
    owner.circuit.open(
        lambda _binding: encode_payload(command, body),
        bucket=client.world.network.bucket(wall),
        entropy=client.environment.entropy,
        now=client.world.clock.now(),
    )
    client.links.wake()
    await until(lambda: owner.message is not None or owner.error is not None, 15)
    return owner


async def ask(client: Node, owner: Owner, command: Command, body: bytes) -> Status:
    """Send a command over an open circuit and return how it ended."""
    before = len(owner.take(Command.RESULT))
    owner.circuit.send_control(command, body)
    client.links.wake()
    await until(lambda: len(owner.take(Command.RESULT)) > before or owner.reason, 15)
    return Result.decode(owner.take(Command.RESULT)[-1]).status


@asynccontextmanager
async def network(
    relays: int = 12, padding: PaddingSettings = DEFAULT_PADDING
) -> AsyncIterator[World]:
    """Run a world of relays that are all usable."""
    async with trio.open_nursery() as nursery:
        world = World(nursery, relays)
        world.padding = padding
        nodes = await world.start()
        await until(lambda: all(node.usable for node in nodes), 120)
        yield world
        nursery.cancel_scope.cancel()
