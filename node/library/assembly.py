"""The parts of a node that dials, put together and kept running (SPEC 10.9)."""

import gc
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from peerstream.identity.address import Address
from peerstream.node.config import NetworkParameters
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.sources import SourceSettings, join_source, open_source
from peerstream.node.network.host import DataPlane, Host, HostOptions
from peerstream.node.network.node_links import NodeLinks
from peerstream.node.ports import Commit, Environment, ReplayStore
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import DirectoryIncompleteError
from peerstream.node.protocol.rendezvous.ranking import nobody
from peerstream.node.roles.circuits import Circuits
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.padder import DEFAULT_PADDING, PaddingSettings
from peerstream.node.roles.parts import NodeParts
from peerstream.node.store.node_store import NodeStore, TagStore
from peerstream.node.store.state import StateDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What a node runs on.

    state: its directory, for one process at a time; opened: the same, where the caller has opened
    it and closes it. static_file: the signed relay file of a static network. source_address: the IP
    that outgoing sockets leave from. data_plane: whose Noise and Yamux carry the bytes. is_contact:
    whose calls come before those of strangers (SPEC 12.7). padding: of links to guards (SPEC 4.5).
    commit: how our records are committed to on the chain (SPEC 2.5); everybody then sees when we
    publish, and who pays.
    """

    network: NetworkParameters
    state: Path
    opened: StateDirectory | None = None
    static_file: Path | None = None
    source_address: str | None = None
    data_plane: DataPlane = DataPlane.OWN
    is_contact: Callable[[Address], bool] = nobody
    padding: PaddingSettings = DEFAULT_PADDING
    commit: Commit | None = None


@dataclass(frozen=True, slots=True)
class Assembly:
    """A node without roles: what they share, and where opened calls are remembered."""

    parts: NodeParts
    replays: ReplayStore
    links: NodeLinks
    is_contact: Callable[[Address], bool] = nobody
    commit: Commit | None = None

    def statistics(self) -> dict[str, Any]:
        """Return counts at this moment, without addresses or keys."""
        parts = self.parts
        return {
            "links": parts.neighbours.count,
            "circuits": parts.circuits.count,
            "breaches": dict(parts.neighbours.breaches()),
            "causes": dict(parts.keeper.causes + parts.neighbours.causes),
            "network": self.links.counts(),
            "padding": parts.neighbours.padder.statistics(),
        }


@asynccontextmanager
async def assemble(settings: NodeSettings) -> AsyncIterator[Assembly]:
    """Put a node together and run it: its directory is usable, its guards are drawn.

    Raises StoreError, NoSourceError, DirectoryUnavailableError; each says what to do.
    """
    network = settings.network
    async with AsyncExitStack() as stack:
        state = settings.opened or stack.enter_context(StateDirectory.open(settings.state))
        environment = Environment(SystemClock(), os.urandom)
        asked = SourceSettings(static_file=settings.static_file, host=_options(settings))
        source = await stack.enter_async_context(open_source(environment, network, state, asked))
        directory = Directory(network.directory_rules)
        neighbours = Neighbours(environment, directory, settings.padding)
        # A fresh host key for each run: a guard cannot recognise us by it (SPEC 9.1).
        links = NodeLinks(Host(os.urandom(32), asked.host, asked.counters), neighbours)
        neighbours.attach(links)
        keeper = DirectoryKeeper(environment, network, neighbours, source)
        join_source(source, keeper.fetcher.endpoints)
        store = NodeStore(state, network.network_id, environment.clock.wall)
        replays = TagStore(state, "calls", network.bucket_s)
        stack.callback(replays.close)
        circuits = Circuits(environment, network, neighbours, store)
        parts = NodeParts(environment, network, neighbours, keeper, circuits, store)
        await stack.enter_async_context(links.listen())
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(neighbours.run)
        await keeper.start()
        _keep_guards(keeper, circuits)
        nursery.start_soon(keeper.run)
        nursery.start_soon(circuits.run)
        gc.collect()
        gc.freeze()  # a full collection over what libp2p imported stalls a node for 40 ms
        yield Assembly(parts, replays, links, settings.is_contact, settings.commit)
        nursery.cancel_scope.cancel()


def _options(settings: NodeSettings) -> HostOptions:
    return HostOptions(data_plane=settings.data_plane, source_address=settings.source_address)


def _keep_guards(keeper: DirectoryKeeper, circuits: Circuits) -> None:
    """Draw guards now, and look after them whenever the relay set changed."""

    def refresh() -> None:
        try:
            circuits.refresh_guards()
        except DirectoryIncompleteError as error:
            keeper.count(error)

    circuits.refresh_guards()
    circuits.guarding.look_around = keeper.search
    keeper.changed.append(refresh)
