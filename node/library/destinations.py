"""Finds whom a destination means, and dials through a node (SPEC 16.2)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import NetworkParameters
from peerstream.node.gateway.dialling import DialOptions
from peerstream.node.gateway.ens import EnsFinder
from peerstream.node.gateway.errors import EnsUnavailableError, UnknownAliasError
from peerstream.node.gateway.names import Alias, Destination, EnsName
from peerstream.node.library.node import Node
from peerstream.node.ports import ByteStream
from peerstream.node.roles.identity import Target
from peerstream.node.store.contacts import Contacts

KEPT_S: Final = 300.0  # a listed account's key: who rotates it is reached this late
KEPT_MAX: Final = 1_024


@asynccontextmanager
async def opened_names(
    network: NetworkParameters, registry: Address | None = None
) -> AsyncIterator["FindName | None"]:
    """Give what finds names of ENS, by the own node of a network; None where it has none.

    registry: of ENS, None for that of the node's chain.
    """
    own = next((endpoint for endpoint in network.rpc if endpoint.own_node), None)
    if own is None:
        yield None
        return
    async with RpcClient(own.url, own_node=True) as rpc:
        yield EnsFinder(rpc, registry).find


FindName = Callable[[EnsName], Awaitable[Address]]


@dataclass(slots=True)
class Destinations:
    """What stands behind the names, for one node. `dial` is the `Dial` of ways in.

    level: 1 or 2, where a dial names none. contacts: None where there are none. find_name: None
    where names of ENS cannot be looked up without telling a stranger.
    """

    node: Node
    level: int = 2
    contacts: Contacts | None = field(default=None, repr=False)
    find_name: FindName | None = None
    _kept: dict[tuple[Address, bytes], tuple[float, Target]] = field(
        default_factory=dict, repr=False
    )
    _locks: defaultdict[tuple[Address, bytes], trio.Lock] = field(
        default_factory=lambda: defaultdict(trio.Lock), repr=False
    )

    async def dial(self, destination: Destination, options: DialOptions) -> ByteStream:
        """Open a stream to a destination that has a service. Raises DIAL_ERRORS."""
        target = await self.find(destination, options.isolation)
        return await self.dial_target(target, destination.service, options)

    async def dial_target(self, target: Target, service: str, options: DialOptions) -> ByteStream:
        """Open a stream to a service of whom we know already. Raises DIAL_ERRORS."""
        return await self.node.connect(
            target,
            service,
            level=options.level or self.level,
            anonymous=options.anonymous or self.node.identity is None,
            isolation=options.isolation,
        )

    async def find(self, destination: Destination, isolation: bytes = b"") -> Target:
        """Return whom a destination means.

        Raises UnknownAliasError, EnsError, AddressUnknownError, and as `Circuits.open`.
        """
        match destination.target:
            case Alias(text):
                card = None if self.contacts is None else self.contacts.get(text)
                if card is None:
                    raise UnknownAliasError(f"{text}.psp.alt")
                return Target.of_card(card)
            case EnsName() as name:
                return await self._find_account(await self._look_up(name), isolation)
            case account:
                return await self._find_account(account, isolation)

    async def _look_up(self, name: EnsName) -> Address:
        if self.find_name is None:
            raise EnsUnavailableError(name.text)
        return await self.find_name(name)

    async def _find_account(self, account: Address, isolation: bytes) -> Target:
        """Return a contact by its card, anybody else by the key that the account lists."""
        alias = None if self.contacts is None else self.contacts.alias_of(account)
        if self.contacts is not None and alias is not None:
            return Target.of_card(self.contacts[alias])
        if len(self._locks) >= KEPT_MAX:
            self._locks.clear()  # whoever waits has its own hold of one
        async with self._locks[account, isolation]:  # a page that opens asks once, not each file
            return await self._resolved(account, isolation)

    async def _resolved(self, account: Address, isolation: bytes) -> Target:
        kept = self._kept.get((account, isolation))
        if kept is not None and trio.current_time() < kept[0]:
            return kept[1]
        target = await self.node.resolve(account)
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[account, isolation] = (trio.current_time() + KEPT_S, target)
        return target
