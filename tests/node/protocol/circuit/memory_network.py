"""A whole network in memory: real relays, links and onions, bytes moved by hand.

`MemoryNetwork` makes relays and clients; `run` moves bytes between links, cut anywhere, until
nothing moves. Time only passes in `advance`.
"""

import random
from collections.abc import Callable, Mapping

from peerstream.node.protocol.circuit.bodies import encode_payload
from peerstream.node.protocol.circuit.commands import CommandHandler
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.origin import OriginCircuit
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.relay import RelayCore, RelayParts
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord, bucket_of
from peerstream.node.protocol.onion.setup import Hop
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status

EPOCH_SECONDS = 21_600
START_WALL = 1_800_000_000
BUDGET = 65_536
# Tests open hundreds of circuits from one client within one second of their clock.
GENEROUS = LinkLimits(20_000, 1e6, 1e6, closes_on_bad_setups=True)


class Owner:
    """Records everything a circuit tells its owner."""

    def __init__(self) -> None:
        self.circuit: OriginCircuit | None = None
        self.message: bytes | None = None
        self.error: RemoteProtocolError | None = None
        self.controls: list[tuple[int, Command, bytes]] = []
        self.cells: list[bytes] = []
        self.cell_count = 0
        self.keeps_cells = True
        self.reason: Status | None = None
        self.on_room: Callable[[], None] | None = None

    def opened(self, message: bytes) -> None:
        self.message = message

    def refused(self, error: RemoteProtocolError) -> None:
        self.error = error

    def control_received(self, hop: int, command: Command, data: bytes) -> None:
        self.controls.append((hop, command, data))

    def cell_received(self, cell_buffer: memoryview) -> None:
        self.cell_count += 1
        if self.keeps_cells:
            self.cells.append(bytes(cell_buffer[8:-16]))

    def room(self) -> None:
        if self.on_room is not None:
            self.on_room()

    def closed(self, reason: Status) -> None:
        self.reason = reason

    def send(self, cell: bytes) -> None:
        buffer = self.circuit.new_cell()
        buffer[8:-16] = cell
        self.circuit.send_cell(buffer)

    def take(self, command: Command) -> list[bytes]:
        return [data for _, received, data in self.controls if received is command]


class Cable:
    """What connects two links: bytes in flight, and whether anybody reads them."""

    def __init__(self, near: Link, far: Link, network: "MemoryNetwork") -> None:
        self.ends = (near, far)
        self._network = network
        self.blocked: set[Link] = set()
        self.cut = False
        self.errors: list[RemoteProtocolError] = []
        self.carried = 0

    def step(self) -> bool:
        """Move one batch each way; whether anything moved."""
        if self.cut:
            return False
        near, far = self.ends
        moved = self._move(near, far)
        return self._move(far, near) or moved

    def _move(self, source: Link, target: Link) -> bool:
        if target in self.blocked:
            return False
        data = b"".join(source.data_to_send(BUDGET))
        if not data:
            return False
        self.carried += len(data)
        self.deliver(target, data)
        return True

    def deliver(self, target: Link, data: bytes) -> None:
        """Hand bytes to one end in random pieces; what it raises closes the cable."""
        network = self._network
        view = memoryview(data)
        try:
            for piece in network.pieces(view):
                target.receive_data(piece, network.now)
        except RemoteProtocolError as error:
            self.errors.append(error)
            self.close()

    def close(self) -> None:
        self.cut = True
        for end in self.ends:
            self._network.link_lost(end)


class MemoryRelay:
    """One relay with its keys, cables and core."""

    def __init__(
        self, network: "MemoryNetwork", number: int, directory: Mapping[Command, CommandHandler]
    ) -> None:
        self.relay_id = bytes([number]) * 32
        self.keys = OnionKeyRing(EPOCH_SECONDS)
        self.keys.rotate(network.wall, network.entropy)
        self.records: list[ReplayRecord] = []
        self.pool = BufferPool()
        self.core = RelayCore(
            RelayParts(
                relay_id=self.relay_id,
                onion_keys=self.keys,
                replay_filter=ReplayFilter(),
                record=self.records.append,
                entropy=network.entropy,
                directory=directory,
                pool=self.pool,
            ),
            now=network.now,
            wall=network.wall,
        )
        self.links: list[Link] = []

    def hop(self, network: "MemoryNetwork") -> Hop:
        return Hop(self.relay_id, self.keys.key(network.wall // EPOCH_SECONDS).public)

    def queued(self) -> int:
        """Bytes of cells that wait in this relay."""
        legs = [leg for link in self.links for leg in link._legs.values()]
        return sum(len(leg.waiting) * leg.cell_size for leg in legs)


class MemoryClient:
    """A node that relays nothing, with one link to each guard it uses."""

    def __init__(self, network: "MemoryNetwork") -> None:
        self._network = network
        self.links: dict[bytes, Link] = {}
        self.circuits: list[OriginCircuit] = []
        self.pool = BufferPool()

    def circuit(
        self,
        path: list[MemoryRelay],
        command: Command = Command.OPEN,
        body: bytes | Callable[[bytes], bytes] = b"",
        *,
        cell_class: int = 2,
        real_time: bool = False,
    ) -> Owner:
        """Open a circuit whose last hop runs `command`; call `network.run` next."""
        network = self._network
        link = self.links.get(path[0].relay_id)
        if link is None or link.closed:
            link = network.connect_client(self, path[0])
        owner = Owner()
        owner.circuit = OriginCircuit(
            link,
            [relay.hop(network) for relay in path],
            owner=owner,
            cell_class=cell_class,
            real_time=real_time,
        )
        owner.circuit.open(
            lambda binding: encode_payload(command, body(binding) if callable(body) else body),
            bucket=bucket_of(network.wall),
            entropy=network.entropy,
            now=network.now,
        )
        self.circuits.append(owner.circuit)
        return owner


class MemoryNetwork:
    """Relays, clients and cables, with one clock and one source of chance."""

    def __init__(self, seed: int = 0, *, cuts_small: bool = False) -> None:
        self.random = random.Random(seed)
        self.now = 1_000.0
        self.wall = START_WALL
        self.relays: dict[bytes, MemoryRelay] = {}
        self.clients: list[MemoryClient] = []
        self.cables: list[Cable] = []
        self.unreachable: set[bytes] = set()
        self.cuts_small = cuts_small

    def entropy(self, count: int) -> bytes:
        return self.random.randbytes(count)

    def relay(self, directory: Mapping[Command, CommandHandler] | None = None) -> MemoryRelay:
        relay = MemoryRelay(self, len(self.relays) + 1, directory or {})
        self.relays[relay.relay_id] = relay
        return relay

    def client(self) -> MemoryClient:
        client = MemoryClient(self)
        self.clients.append(client)
        return client

    def pieces(self, view: memoryview) -> list[memoryview]:
        """Cut bytes at random places; some pieces are a few bytes, some a whole batch."""
        pieces = []
        while len(view):
            large = 40 if self.cuts_small else BUDGET
            size = self.random.choice((self.random.randint(1, 40), large, large))
            pieces.append(view[:size])
            view = view[size:]
        return pieces

    def _pair(
        self, dialer: bytes | None, listener: bytes, pools: tuple[BufferPool, BufferPool]
    ) -> Cable:
        near = Link(dialer=True, peer=listener, limits=GENEROUS, now=self.now, pool=pools[0])
        far = Link(dialer=False, peer=dialer, limits=GENEROUS, now=self.now, pool=pools[1])
        cable = Cable(near, far, self)
        self.cables.append(cable)
        return cable

    def connect_client(self, client: MemoryClient, relay: MemoryRelay) -> Link:
        cable = self._pair(None, relay.relay_id, (client.pool, relay.pool))
        near, far = cable.ends
        relay.links.append(far)
        relay.core.link_ready(None, far)
        client.links[relay.relay_id] = near
        return near

    def connect_relays(self, near: MemoryRelay, far: MemoryRelay) -> Cable:
        cable = self._pair(near.relay_id, far.relay_id, (near.pool, far.pool))
        for relay, link, peer in zip((near, far), cable.ends, (far, near), strict=True):
            relay.links.append(link)
            relay.core.link_ready(peer.relay_id, link)
        return cable

    def cable(self, link: Link) -> Cable:
        return next(cable for cable in self.cables if link in cable.ends)

    def link_lost(self, link: Link) -> None:
        for relay in self.relays.values():
            if link in relay.links:
                relay.links.remove(link)
                relay.core.link_closed(link)
                return
        link.close()

    def kill(self, relay: MemoryRelay) -> None:
        """Take a relay and all its links away at once."""
        self.unreachable.add(relay.relay_id)
        for cable in [c for c in self.cables if set(c.ends) & set(relay.links)]:
            cable.close()
        self.cables = [cable for cable in self.cables if not cable.cut]

    def step(self) -> bool:
        """Serve every cable once, in random order, and dial what is asked for."""
        cables = self.random.sample(self.cables, len(self.cables))
        moved = False
        for cable in cables:
            moved = cable.step() or moved
        for relay in list(self.relays.values()):
            for event in relay.core.events():
                moved = True
                self._dial(relay, event.relay_id)
        return moved

    def _dial(self, relay: MemoryRelay, relay_id: bytes) -> None:
        if relay_id not in self.relays:
            relay.core.link_failed(relay_id, Status.NO_ROUTE)
        elif relay_id in self.unreachable:
            relay.core.link_failed(relay_id, Status.CONNECT)
        else:
            self.connect_relays(relay, self.relays[relay_id])

    def run(self, steps: int = 100_000) -> None:
        """Move bytes until nothing moves."""
        for _ in range(steps):
            if not self.step():
                return
        raise AssertionError("the network does not come to rest")

    def advance(self, seconds: float, tick: float = 1.0) -> None:
        """Let time pass in ticks, serving the network after each."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + tick)
            self.wall = START_WALL + int(self.now - 1_000.0)
            for link in [link for cable in self.cables for link in cable.ends]:
                link.tick(self.now)
            for relay in self.relays.values():
                relay.core.tick(self.now, self.wall)
            for client in self.clients:
                for circuit in list(client.circuits):
                    circuit.tick(self.now)
            self.run()
