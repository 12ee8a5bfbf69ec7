"""What commands share that open streams to one service of one address (SPEC 13.15)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from peerstream.identity.contact import ContactCard
from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.logs import log_to_stderr
from peerstream.node.cli.nodes import NodeOptions, kept_secrets
from peerstream.node.cli.options import named_network
from peerstream.node.cli.targets import Place
from peerstream.node.gateway.carrying import Remote
from peerstream.node.gateway.dialling import DialOptions
from peerstream.node.lab.steps import Steps
from peerstream.node.ports import ByteStream
from peerstream.node.roles.identity import Target

if TYPE_CHECKING:
    from peerstream.node.library.destinations import Destinations

DIAL_S: Final = 120.0
Open = Callable[[], Awaitable[Remote]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a command's streams lead, and how they are dialled. quiet: say nothing meanwhile."""

    place: Place
    level: int
    anonymous: bool
    quiet: bool = False


@asynccontextmanager
async def reached(options: NodeOptions, reach: Reach, steps: Steps) -> AsyncIterator[Open]:
    """Run a node, or ask the daemon of the state directory, which has one.

    What is given opens a stream that the callee's service has taken; it raises DIAL_ERRORS and
    PeerStreamError. Raises IdentityStateError, NetworkFileError, StoreError, RoleError.
    """
    if DaemonClient.find(options.directory) is not None:
        from peerstream.node.cli.through_daemon import through_daemon  # noqa: PLC0415 - anyio

        async with through_daemon(options.directory, reach) as open_stream:
            yield open_stream
        return
    async with _own_node(options, reach, steps) as open_stream:
        yield open_stream


@asynccontextmanager
async def _own_node(options: NodeOptions, reach: Reach, steps: Steps) -> AsyncIterator[Open]:
    from peerstream.node.library.destinations import (  # noqa: PLC0415 - libp2p
        Destinations,
        opened_names,
    )
    from peerstream.node.library.node import open_node  # noqa: PLC0415 - libp2p, a second

    log_to_stderr(quiet=reach.quiet)
    network = named_network(options.network)
    identity, contacts = kept_secrets(options, network, anonymous=reach.anonymous)
    started = trio.current_time()
    steps.begin("relays of the network")
    async with (
        open_node(options.settings(network), identity) as node,
        opened_names(network) as find_name,
    ):
        steps.done("relays of the network are known", trio.current_time() - started)
        destinations = Destinations(node, reach.level, contacts, find_name)

        async def open_stream() -> Remote:
            with trio.fail_after(DIAL_S):
                stream = await _dial(destinations, reach)
                await stream.accepted()
                return stream

        yield open_stream


async def _dial(destinations: "Destinations", reach: Reach) -> ByteStream:
    options = DialOptions(level=reach.level, anonymous=reach.anonymous)
    whom, service = reach.place.whom, reach.place.service
    if isinstance(whom, ContactCard):
        return await destinations.dial_target(Target.of_card(whom), service, options)
    return await destinations.dial_target(await destinations.find(whom), service, options)
