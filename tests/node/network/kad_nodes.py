"""Nodes of a DHT on loopback, honest ones and ones that answer what a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from libp2p.abc import INetStream
from multiaddr import Multiaddr

from peerstream.identity.network import NetworkMode
from peerstream.node.config import Bootstrap, NetworkParameters
from peerstream.node.network.counters import Counters
from peerstream.node.network.dht_source import DhtSource, OwnAdmission, open_dht_source
from peerstream.node.network.host import Host, HostOptions
from peerstream.node.network.kad_server import read_message
from peerstream.node.ports import Environment
from peerstream.node.protocol.directory.kad_wire import QUESTION_MAX, decode_message
from peerstream.node.protocol.directory.kademlia import KadMessage, protocol_of
from peerstream.node.protocol.directory.subnets import Endpoint
from tests.node.protocol.directory.admissions import KEEPER, NETWORK, admit
from tests.node.protocol.directory.network import WALL, Relay, seeded
from tests.node.roles.relays import MemoryClock, NoAccounts, make_network

PROTOCOL = protocol_of(NETWORK)
Reply = Callable[[KadMessage], Awaitable[bytes]]


@dataclass
class Town:
    """Who listens where; everybody knows everybody's address, as signed records tell it."""

    stack: AsyncExitStack
    places: dict[bytes, tuple[Endpoint, ...]] = field(default_factory=dict)
    bootstrap: list[Relay] = field(default_factory=list)

    def network(self) -> NetworkParameters:
        first = tuple(Bootstrap(r.relay_id, self.places[r.relay_id]) for r in self.bootstrap)
        return replace(
            make_network(),
            mode=NetworkMode.DHT,
            static_signer=b"",
            admission_keys=(KEEPER.relay_id,),
            bootstrap=first,
        )

    async def listen(self, relay: Relay) -> Host:
        host = Host(relay.key.private_bytes_raw(), HostOptions(), Counters())
        await self.stack.enter_async_context(
            host.run([Multiaddr(f"/ip4/127.{relay.number}.0.1/tcp/0")])
        )
        self.places[relay.relay_id] = tuple(Endpoint.parse(str(a)) for a in host.addresses)
        return host

    async def source(self, own: Relay | None = None, admission: bytes | None = None) -> DhtSource:
        document = admit(own) if admission is None and own is not None else admission or b""
        return await self.stack.enter_async_context(
            open_dht_source(
                Environment(MemoryClock(WALL), seeded(own)),
                self.network(),
                NoAccounts(),
                own=None if own is None else OwnAdmission(own.relay_id, lambda: document),
                options=HostOptions(),
                counters=Counters(),
            )
        )

    async def honest(self, relay: Relay, *, knows: Iterable[Relay] = ()) -> tuple[Host, DhtSource]:
        """Run a relay that has heard of some others."""
        host = await self.listen(relay)
        source = await self.source(relay)
        for each in (relay, *knows):
            source.book.add(admit(each), WALL)
        source.know(self.locate)
        source.serve(host)
        return host, source

    async def lying(self, relay: Relay, reply: Reply) -> Host:
        """Run a relay that answers each question with these bytes."""
        host = await self.listen(relay)

        async def handler(stream: INetStream) -> None:
            question = decode_message(await read_message(stream, QUESTION_MAX))
            await stream.write(await reply(question))
            await stream.close()

        host.set_handler(PROTOCOL, handler)
        return host

    def locate(self, relay_id: bytes) -> tuple[Endpoint, ...]:
        return self.places.get(relay_id, ())


@asynccontextmanager
async def open_town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(stack)
