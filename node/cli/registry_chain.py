"""The endpoints behind `psp registry`: one to write through, all of them to read (SPEC 13.9)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from peerstream.identity.address import Address
from peerstream.node.chain.anchor import ChainAnchor
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import NoFundsError
from peerstream.node.chain.networks import read_deployment
from peerstream.node.chain.posting import Preview
from peerstream.node.chain.quantities import read_quantity
from peerstream.node.chain.reader import RegistrySnapshot, read_registry
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.units import ether
from peerstream.node.cli.errors import OwnNodeError
from peerstream.node.config import NetworkParameters, RpcEndpoint
from peerstream.node.library.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Connection:
    """An endpoint of the right chain, and the contracts as it has them."""

    rpc: RpcClient
    network: NetworkParameters
    deployment: Deployment

    async def snapshot(self) -> RegistrySnapshot:
        """Return both registries as this endpoint has them. Raises ChainError."""
        return await read_registry(Endpoints((self.rpc,), 1), anchor(self.network), wall())

    async def require_funds(self, found: Preview) -> None:
        """Raise NoFundsError when the sender could not pay for it."""
        answer = await self.rpc.call("eth_getBalance", str(found.sender), "latest")
        balance = read_quantity(answer)
        if balance < found.cost:
            text = f"{found.sender} has {ether(balance)}, and this may take {ether(found.cost)}"
            raise NoFundsError(text)

    @property
    def contracts(self) -> frozenset[Address]:
        """The contracts of the network."""
        return frozenset(self.deployment.addresses.values())


@asynccontextmanager
async def connected(network: NetworkParameters, *, stranger: bool) -> AsyncIterator[Connection]:
    """Connect to an own node; with `stranger` to any endpoint where there is none.

    Raises OwnNodeError; WrongChainError, WrongContractError; EndpointError, as a subclass.
    """
    endpoint = _endpoint(network, stranger=stranger)
    async with RpcClient(endpoint.url, own_node=endpoint.own_node) as rpc:
        yield Connection(rpc, network, await read_deployment(rpc, network))


async def read_all(network: NetworkParameters) -> RegistrySnapshot:
    """Return both registries as nodes read them. Raises ChainError, as a subclass."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(RpcClient(rpc.url, own_node=rpc.own_node))
            for rpc in network.rpc
        ]
        return await read_registry(Endpoints.of(clients), anchor(network), wall())


def anchor(network: NetworkParameters) -> ChainAnchor:
    """Return what ties a reader to the network."""
    return ChainAnchor.of_network(network, start=network.first_block)


def wall() -> int:
    """Return unix seconds."""
    return SystemClock().wall()


def _endpoint(network: NetworkParameters, *, stranger: bool) -> RpcEndpoint:
    own = [endpoint for endpoint in network.rpc if endpoint.own_node]
    usable = own or (network.rpc if stranger else ())
    if not usable:
        raise OwnNodeError(f"the network file names {len(network.rpc)} endpoints, none of them own")
    return usable[0]
