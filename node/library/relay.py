"""A relay as a process: put together, started, counted, stopped (SPEC 10.4)."""

import gc
import os
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.relay_identity import RelayIdentity, open_keystore, read_identity
from peerstream.node.library.sources import SourceSettings, join_source, open_source
from peerstream.node.library.statistics import write_statistics
from peerstream.node.network.counters import Counters
from peerstream.node.network.host import DataPlane, Host, HostOptions
from peerstream.node.network.node_links import NodeLinks
from peerstream.node.ports import Environment, RelaySource
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.subnets import Endpoint
from peerstream.node.roles.announcer import RelayCard
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.relay import Relay, RelayStorage
from peerstream.node.roles.tasks import bare_errors
from peerstream.node.store.keystore import Keystore, Unlock
from peerstream.node.store.node_store import RelayStore
from peerstream.node.store.state import StateDirectory

COUNT_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """What a relay runs on.

    state: its directory, made by `init_relay`. listen: where; port 0 takes a free one. announce:
    what others are told, None for where it listens. source_address: the IP that outgoing sockets
    leave from. static_file: the signed relay file of a static network. admission: the file of our
    admission in a network of mode dht. statistics_file: where counters are written twice a second.
    """

    network: NetworkParameters
    state: Path
    unlock: Unlock
    listen: tuple[Endpoint, ...]
    announce: tuple[Endpoint, ...] | None = None
    source_address: str | None = None
    static_file: Path | None = None
    admission: Path | None = None
    data_plane: DataPlane = DataPlane.OWN
    statistics_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Parts:
    identity: RelayIdentity
    neighbours: Neighbours
    links: NodeLinks
    keeper: DirectoryKeeper
    relay: Relay
    storage: RelayStore


class RunningRelay:
    """A relay that runs in this process. Made by `open_relay`."""

    def __init__(self, parts: _Parts) -> None:
        self.relay_id = parts.identity.relay_id
        self._relay = parts.relay
        self._links = parts.links

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it listens."""
        return self._links.endpoints

    def statistics(self) -> dict[str, Any]:
        """Return counters at this moment; rss in bytes, the most that was resident so far."""
        return {
            "relay_id": self.relay_id.hex(),
            "pid": os.getpid(),
            **self._relay.statistics(),
            "network": self._links.counts(),
            "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024,
        }

    def to_json(self) -> dict[str, Any]:
        """Return what a starter of relays wants to know once it runs."""
        return {
            "relay_id": self.relay_id.hex(),
            "endpoints": [str(endpoint) for endpoint in self.endpoints],
            "pid": os.getpid(),
        }


@asynccontextmanager
async def open_relay(settings: RelaySettings) -> AsyncIterator[RunningRelay]:
    """Run a relay until the block is left.

    Raises StoreError for the state directory, SourceError when the relay set cannot be read,
    NoSourceError, ListenError, MalformedDocumentError for addresses that the network does not
    allow; each as a subclass that says what to do.
    """
    for endpoint in settings.announce or settings.listen:
        endpoint.require_routable(private=settings.network.private_addresses)
    with bare_errors():
        async with AsyncExitStack() as stack:
            state = stack.enter_context(StateDirectory.open(settings.state))
            keystore = open_keystore(state, settings.unlock)
            identity = read_identity(keystore)
            environment = Environment(SystemClock(), os.urandom)
            asked = _source_settings(settings, identity)
            source = await stack.enter_async_context(
                open_source(environment, settings.network, state, asked)
            )
            host = Host(identity.host_seed, asked.host, asked.counters)
            known = _Known(environment, state, keystore, identity, source, host)
            parts = await _assemble(settings, known)
            stack.callback(parts.storage.close)
            await stack.enter_async_context(parts.links.listen(settings.listen))
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(parts.neighbours.run)
            nursery.start_soon(parts.keeper.run)
            await nursery.start(parts.relay.run)
            yield RunningRelay(parts)
            nursery.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class _Known:
    environment: Environment
    state: StateDirectory
    keystore: Keystore
    identity: RelayIdentity
    source: RelaySource
    host: Host


async def _assemble(settings: RelaySettings, known: _Known) -> _Parts:
    """Make all parts of a relay, which has read the relay set and does not listen yet."""
    network, environment, identity = settings.network, known.environment, known.identity
    neighbours = Neighbours(environment, Directory(network.directory_rules))
    links = NodeLinks(known.host, neighbours)
    neighbours.attach(links)
    keeper = DirectoryKeeper(environment, network, neighbours, known.source, gossips=True)
    await keeper.read()
    join_source(known.source, keeper.fetcher.endpoints, known.host)
    storage = RelayStore(known.state, known.keystore, network.bucket_s)
    card = _card(settings, identity, links)
    relay = Relay(environment, network, neighbours, keeper, card, RelayStorage(storage, storage))
    return _Parts(identity, neighbours, links, keeper, relay, storage)


def _source_settings(settings: RelaySettings, identity: RelayIdentity) -> SourceSettings:
    return SourceSettings(
        static_file=settings.static_file,
        relay_id=identity.relay_id,
        admission=settings.admission,
        host=HostOptions(data_plane=settings.data_plane, source_address=settings.source_address),
        counters=Counters(),
    )


def _card(settings: RelaySettings, identity: RelayIdentity, links: NodeLinks) -> RelayCard:
    announced = settings.announce
    return RelayCard(
        relay_id=identity.relay_id,
        host_key=identity.host_key,
        endpoints=lambda: links.endpoints if announced is None else announced,
        statement_key=identity.sign_key.raw,
        sign_statement=identity.sign_statement,
    )


async def run_relay(settings: RelaySettings, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run a relay until cancelled; ``ready(...)`` once it serves. Raises as `open_relay`."""
    async with open_relay(settings) as relay:
        # What there is now stays: the collector need not look at it again, nor copy it in forks.
        gc.collect()
        gc.freeze()
        ready(relay.to_json())
        while True:
            if settings.statistics_file is not None:
                write_statistics(settings.statistics_file, relay.statistics())
            await trio.sleep(COUNT_S)
