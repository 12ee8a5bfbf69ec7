"""`peerstream.connect` and `peerstream.listen`: through the daemon, or a node of their own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from peerstream.node.library.api.client import Client
from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.errors import DaemonError
from peerstream.node.library.api.streams import PeerListener, Stream

Place = Path | str | None


@asynccontextmanager
async def connect(  # noqa: PLR0913 - what a dial is made of
    target: str,
    service: str = "",
    *,
    level: int = 2,
    anonymous: bool = False,
    isolation: bytes = b"",
    early: bytes = b"",
    network: Place = None,
    state: Place = None,
) -> AsyncIterator[Stream]:
    """Open a stream to a service of an address, and close it behind the block.

    Through the daemon of the state directory where one runs; else a node is started for the block,
    which takes seconds: programs with more than one stream use `Node`. network: for that node, None
    for PSP_NETWORK; state: None for PSP_STATE or the usual directory. The rest, and what is raised,
    is that of `Connector.connect`, with StateError.
    """
    async with _connector(network, state, nobody=anonymous) as connector:
        stream = await connector.connect(
            target,
            service,
            level=level,
            anonymous=anonymous,
            isolation=isolation,
            early=early,
        )
        async with stream:
            yield stream


@asynccontextmanager
async def listen(
    service: str,
    *,
    level: int | None = None,
    anonymous: bool = False,
    early_data: bool = False,
    network: Place = None,
    state: Place = None,
) -> AsyncIterator[PeerListener]:
    """Offer a service under our address, and withdraw it behind the block.

    Through the daemon where one runs, else by a node of its own, as `connect`. The rest, and what
    is raised, is that of `Connector.listen`, with StateError.
    """
    async with _connector(network, state, nobody=False) as connector:
        listener = await connector.listen(
            service, level=level, anonymous=anonymous, early_data=early_data
        )
        async with listener:
            yield listener


@asynccontextmanager
async def _connector(network: Place, state: Place, *, nobody: bool) -> AsyncIterator[Connector]:
    async with AsyncExitStack() as stack:
        connector: Connector
        try:
            connector = await stack.enter_async_context(Client(state))
        except DaemonError as error:
            if error.cause not in ("DaemonNotRunningError", "StateUnavailableError"):
                raise
            # a node imports libp2p, which takes a second: only who runs one waits for it
            from peerstream.node.library.api.node import Node  # noqa: PLC0415

            connector = await stack.enter_async_context(Node(network, state, nobody=nobody))
        yield connector
