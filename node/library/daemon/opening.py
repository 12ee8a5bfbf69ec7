"""Puts a daemon together, and takes it apart the other way round (SPEC 17.1)."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio

from peerstream.node.config import NetworkParameters
from peerstream.node.gateway.service_spec import LEVELS, ServiceSpec
from peerstream.node.http import schemas
from peerstream.node.http.app import make_app
from peerstream.node.http.guard import Door, Guard
from peerstream.node.http.server import ApiServer
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.daemon.certificates import keep_certified
from peerstream.node.library.daemon.clocks import watch_clocks
from peerstream.node.library.daemon.configuration import Configuration
from peerstream.node.library.daemon.daemon import Daemon, DaemonParts
from peerstream.node.library.daemon.doors import Doors, place_of
from peerstream.node.library.daemon.secrets import Secrets
from peerstream.node.library.daemon.services import Services
from peerstream.node.library.daemon.ways_in import WaysIn, keep_taking
from peerstream.node.library.destinations import Destinations, opened_names
from peerstream.node.library.node import NodeSettings, open_node
from peerstream.node.network.counters import places_of
from peerstream.node.ports import Environment
from peerstream.node.protocol.circuit.padding import PaddingProfile
from peerstream.node.protocol.rendezvous.ranking import nobody
from peerstream.node.roles.padder import PaddingSettings
from peerstream.node.roles.tasks import bare_errors
from peerstream.node.store import run_folder
from peerstream.node.store.keystore import Unlock
from peerstream.node.store.state import StateDirectory

PATIENCE_S: Final = 30.0  # a network that is down must not keep the ways in closed

_log = structlog.get_logger("peerstream.daemon")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """What a daemon runs on. unlock: asked once, where there is a keystore."""

    configuration: Configuration
    network: NetworkParameters
    state: Path
    unlock: Callable[[], Unlock] = field(repr=False)


@asynccontextmanager
async def open_daemon(settings: DaemonSettings) -> AsyncIterator[Daemon]:
    """Run a daemon until the block is left; it is ready when the block begins.

    Raises StoreError, IdentityStateError, WrongNetworkError, DaemonError, and as `open_node`.
    """
    with bare_errors():
        async with AsyncExitStack() as stack:
            state = stack.enter_context(StateDirectory.open(settings.state))
            folder = state.directory(run_folder.RUN)
            run_folder.empty(folder)
            stack.callback(run_folder.empty, folder)
            environment = Environment(SystemClock(), os.urandom)
            kept = Secrets(state, settings.unlock, environment)
            identity = kept.identity(settings.network.network_id)
            doors = Doors.open(settings.configuration)
            stack.callback(doors.close)
            node = await stack.enter_async_context(
                open_node(_node(settings, state, kept), identity)
            )
            nursery = await stack.enter_async_context(trio.open_nursery())
            taking, level = trio.CancelScope(), LEVELS[settings.configuration.level]
            services = Services(node, level, kept.contacts, settings.configuration.access_log)
            daemon = Daemon(
                DaemonParts(
                    node=node,
                    network=settings.network,
                    state=settings.state,
                    contacts=kept.contacts,
                    services=services,
                    listeners=lambda: _listeners(settings.configuration, folder, doors),
                    stop_taking=partial(_stop_taking, taking, folder),
                )
            )
            nursery.start_soon(watch_clocks, environment.clock, daemon.jumped)
            if kept.keystore is not None:
                nursery.start_soon(keep_certified, node, kept.keystore, environment)
            await _open_api(daemon, settings.configuration, folder, doors, nursery)
            takers = await nursery.start(keep_taking, taking)
            find_name = await stack.enter_async_context(opened_names(settings.network))
            destinations = Destinations(node, level, kept.contacts, find_name)
            ways = WaysIn(
                destinations, takers, nursery, settings.configuration.gateway.extended_errors
            )
            await ways.open(doors, folder if settings.configuration.api.streams else None)
            await _expose(services, settings.configuration.specs(), nursery)
            _log.info("daemon.ready", identity=identity is not None)
            yield daemon
            nursery.cancel_scope.cancel()


def _stop_taking(taking: trio.CancelScope, folder: Path) -> None:
    taking.cancel()
    (folder / run_folder.STREAM_SOCKET).unlink(missing_ok=True)


def _node(settings: DaemonSettings, state: StateDirectory, kept: Secrets) -> NodeSettings:
    return NodeSettings(
        network=settings.network,
        state=state.path,
        opened=state,
        static_file=settings.configuration.relay_file,
        source_address=settings.configuration.source_address,
        padding=PaddingSettings(
            PaddingProfile(settings.configuration.padding), settings.configuration.padding_cells
        ),
        is_contact=nobody if kept.contacts is None else kept.contacts.is_contact,
    )


async def _open_api(
    daemon: Daemon,
    configuration: Configuration,
    folder: Path,
    doors: Doors,
    nursery: trio.Nursery,
) -> None:
    """Serve the local API where it is wanted."""
    app = make_app(daemon)
    if configuration.api.socket:
        listener = run_folder.listen(folder, run_folder.API_SOCKET)
        await nursery.start(ApiServer(Guard(app, Door.of_socket(), _bug)).serve, listener)
    if doors.tcp is not None:
        doors.write_token(folder)
        door = Door.of_port(doors.tcp.getsockname()[1], doors.token)
        await nursery.start(ApiServer(Guard(app, door, _bug)).serve, doors.tcp)


async def _expose(services: Services, specs: Sequence[ServiceSpec], nursery: trio.Nursery) -> None:
    """Expose what is configured; go on after a while, and on with it, where no record gets out."""
    done = trio.Event()

    async def expose() -> None:
        await services.expose_all(specs)
        done.set()

    nursery.start_soon(expose)
    with trio.move_on_after(PATIENCE_S):
        await done.wait()


def _bug(error: BaseException) -> None:
    _log.error("api.bug", error=type(error).__name__, where=places_of(error))


def _listeners(configuration: Configuration, folder: Path, doors: Doors) -> schemas.Listeners:
    api = configuration.api
    return schemas.Listeners(
        socks=place_of(doors.socks),
        http=place_of(doors.http),
        tcp=place_of(doors.tcp),
        api=str(folder / run_folder.API_SOCKET) if api.socket else None,
        streams=str(folder / run_folder.STREAM_SOCKET) if api.streams else None,
    )
