"""A node in the program itself, for trio and asyncio (SPEC 18.4)."""

import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
import trio

from peerstream.node.config import NetworkParameters, load_network
from peerstream.node.library.api.client import SocketConnector
from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.embedded import EmbeddedConnector
from peerstream.node.library.api.errors import FAMILIES, BadRequestError, public
from peerstream.node.library.api.places import state_path
from peerstream.node.library.api.streams import PeerListener, Stream
from peerstream.node.library.api.threaded import TrioThread
from peerstream.node.library.assembly import NodeSettings
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import NoIdentityError, load_identity
from peerstream.node.library.node import Node as RunningNode
from peerstream.node.library.node import open_node
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.keystore import KeyFile, Keystore, Passphrase, Unlock
from peerstream.node.store.state import StateDirectory

KEYSTORE: Final = "keystore"
KEY_FILE: Final = "keystore.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    network: NetworkParameters
    state: Path
    relay_file: Path | None
    source_address: str | None
    identity: LocalIdentity | None = field(repr=False)

    def open(self) -> AbstractAsyncContextManager[RunningNode]:
        """Return the node, not yet running."""
        settings = NodeSettings(
            network=self.network,
            state=self.state,
            static_file=self.relay_file,
            source_address=self.source_address,
        )
        return open_node(settings, self.identity)


class Node(Connector):
    """A node of the network, run by the program itself.

    Use it as ``async with``. Under trio it runs in the program's own tasks; under asyncio in a
    thread of its own. It has its state directory to itself; where a daemon runs on it, use
    `Client`.

    Raises PeerStreamError when the block is entered: StateError, IdentityNeededError,
    UnreachableError.
    """

    def __init__(  # noqa: PLR0913 - what a node is made of
        self,
        network: NetworkParameters | Path | str | None = None,
        state: Path | str | None = None,
        *,
        identity: LocalIdentity | None = None,
        nobody: bool = False,
        passphrase: str | None = None,
        relay_file: Path | str | None = None,
        source_address: str | None = None,
    ) -> None:
        """`network`: the network file; None for that of PSP_NETWORK.

        state: the state directory; None for that of PSP_STATE, or the user's usual one. identity:
        None for that of the state directory; nobody: none, and every call must be anonymous.
        passphrase: opens the keystore; None for its key file. relay_file: the signed relay file of
        a static network; None for that of PSP_RELAY_FILE. source_address: the IP address that
        connections leave from.
        """
        self._network = network
        self._state = state_path(state)
        self._identity = identity
        self._nobody = nobody
        self._passphrase = passphrase
        self._relay_file = relay_file or os.environ.get("PSP_RELAY_FILE")
        self._source_address = source_address
        self._stack = AsyncExitStack()
        self._inner: Connector | None = None

    def __repr__(self) -> str:
        return f"<Node in {self._state}>"

    @property
    def address(self) -> str | None:
        """As `Connector`."""
        return None if self._inner is None else self._inner.address

    @property
    def card(self) -> str | None:
        """The contact card to give to others; None without an identity. See `psp id card`."""
        return None if self._identity is None else str(self._identity.card)

    async def __aenter__(self) -> Self:
        """Start it; return when it knows the network. Raises PeerStreamError."""
        try:
            settings = self._settings()
            async with AsyncExitStack() as stack:
                if trio.lowlevel.in_trio_task():
                    running = await stack.enter_async_context(settings.open())
                    self._inner = EmbeddedConnector(running)
                else:
                    thread = await stack.enter_async_context(TrioThread.running(settings.open))
                    connector = SocketConnector(thread.open_transport)
                    self._inner = await stack.enter_async_context(connector)
                self._stack = stack.pop_all()
        except FAMILIES as error:
            raise public(error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Stop it; what was sent before still arrives."""
        self._inner = None
        return await self._stack.__aexit__(kind, error, trace)

    def _settings(self) -> _Settings:
        network = self._parameters()
        if self._identity is None and not self._nobody:
            self._identity = self._load_identity(network)
        return _Settings(
            network=network,
            state=self._state,
            relay_file=None if self._relay_file is None else Path(self._relay_file),
            source_address=self._source_address,
            identity=self._identity,
        )

    def _parameters(self) -> NetworkParameters:
        if isinstance(self._network, NetworkParameters):
            return self._network
        path = self._network or os.environ.get("PSP_NETWORK")
        if path is None:
            raise BadRequestError("no network is named: give network, or set PSP_NETWORK")
        return load_network(Path(path))

    def _load_identity(self, network: NetworkParameters) -> LocalIdentity:
        if not (self._state / KEYSTORE).exists():
            raise NoIdentityError(f"{self._state}")
        unlock: Unlock = KeyFile(self._state / KEY_FILE)
        if self._passphrase is not None:
            unlock = Passphrase(self._passphrase)
        environment = Environment(SystemClock(), os.urandom)
        with StateDirectory.open(self._state) as directory:
            keystore = Keystore.open(directory.file(KEYSTORE), unlock, os.urandom)
            return load_identity(keystore, environment, network.network_id)

    async def open_stream(self, request: DialRequest) -> Stream:
        """As `Connector`."""
        return await self._require().open_stream(request)

    async def open_listener(self, request: ListenRequest) -> PeerListener:
        """As `Connector`."""
        return await self._require().open_listener(request)

    def _require(self) -> Connector:
        if self._inner is None:
            raise anyio.ClosedResourceError
        return self._inner
