"""The relay set and identities from a chain, as roles take them (SPEC 8, 10.5)."""

from collections.abc import Sequence
from typing import Self

import trio

from peerstream.node.chain.anchor import ChainAnchor
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import ChainError
from peerstream.node.chain.reader import RegistryReader, RegistrySnapshot
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import NetworkParameters
from peerstream.node.ports import SourceError, SourceSnapshot
from peerstream.node.protocol.directory.bundle import encode_entries
from peerstream.node.protocol.directory.relay_set import registry_root


class ChainSource:
    """Follows the registries of one network over the endpoints of its file.

    Only whole contracts and blocks by number are read, never anything about one account.
    """

    def __init__(
        self, network: NetworkParameters, clients: Sequence[RpcClient] | None = None
    ) -> None:
        """`clients`: instead of those that the file names; they are closed with this object.

        Raises TooFewEndpointsError, SettingRangeError.
        """
        if clients is None:
            clients = [RpcClient(rpc.url, own_node=rpc.own_node) for rpc in network.rpc]
        self._clients = tuple(clients)
        anchor = ChainAnchor.of_network(network, start=network.first_block)
        self._reader = RegistryReader(Endpoints.of(self._clients), anchor)
        self._first = {relay.relay_id: relay.endpoints for relay in network.bootstrap}

    async def read(self, wall: int) -> SourceSnapshot:
        """Read both registries as of the final block. Raises SourceError from the ChainError."""
        try:
            snapshot = await self._reader.read(wall)
        except ChainError as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error
        return SourceSnapshot(
            snapshot.views,
            snapshot.identities,
            randomness=snapshot.randomness,
            endpoints=self._first,
            documents=_documents(snapshot),
            commitments=snapshot.commitments,
        )

    async def news(self) -> None:
        """Wait for ever: what a chain says changes with its epochs."""
        await trio.sleep_forever()

    async def aclose(self) -> None:
        """Close the connections to the endpoints."""
        for client in self._clients:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


def _documents(snapshot: RegistrySnapshot) -> dict[int, bytes]:
    """Return the leaves for each epoch whose root they add up to: those after the last change."""
    root = registry_root(snapshot.latest)
    document = encode_entries(snapshot.latest)
    return {view.epoch: document for view in snapshot.views if view.root == root}
