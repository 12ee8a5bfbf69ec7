"""Reading the whole of both registries, never a question about one account (SPEC 8.5).

The relay set is rebuilt from events and must give the root that the contract holds for each epoch
in use. Everything is read at one final block, from all endpoints, which must say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.chain.anchor import ChainAnchor
from peerstream.node.chain.contract_calls import ROOT_FOR, read_word, view_call
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    EndpointRefusedError,
    EndpointsDisagreeError,
    RegistryRootError,
    StaleEndpointError,
)
from peerstream.node.chain.events import Event
from peerstream.node.chain.history import IdentitySnapshot, RelayHistory, apply_all
from peerstream.node.chain.logs import read_logs
from peerstream.node.chain.quantities import Header, refuse
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.protocol.directory.errors import RootMismatchError
from peerstream.node.protocol.directory.relay_set import RelayEntry, RelayView, registry_view

MAXIMUM_AGE_S: Final = 7_200  # finality takes a quarter of an hour; four times that in bad weeks


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """Both registries at one final block.

    views: of the epochs e - 1, e and e + 1, where e is the block's. latest: the leaves after all
    changes, for siblings.
    """

    block: Header
    epoch: int
    views: tuple[RelayView, ...]
    identities: IdentitySnapshot = field(repr=False)
    latest: tuple[RelayEntry, ...] = field(repr=False)


@dataclass(slots=True)
class _State:
    relays: RelayHistory = field(default_factory=RelayHistory)
    identities: IdentitySnapshot = field(default_factory=IdentitySnapshot)
    block: Header | None = None

    def copy(self) -> "_State":
        return _State(self.relays.copy(), self.identities.copy(), self.block)


class RegistryReader:
    """Follows both registries. `maximum_age_s`: how old the final block may be by our clock."""

    def __init__(
        self,
        endpoints: Endpoints,
        anchor: ChainAnchor,
        *,
        maximum_age_s: int = MAXIMUM_AGE_S,
    ) -> None:
        self._endpoints = endpoints
        self._anchor = anchor
        self._maximum_age_s = maximum_age_s
        self._state = _State()

    async def read(self, wall: int) -> RegistrySnapshot:
        """Read what came since the last time; `wall` is the time in unix seconds.

        Raises ChainError, as a subclass that says what to do; then nothing of it is kept.
        """
        endpoints = await self._verified()
        block = await self._final_block(endpoints, wall)
        state = await self._base(endpoints, block)
        first = self._anchor.start if state.block is None else state.block.number + 1
        events = await endpoints.agreed(lambda client: self._events(client, first, block))
        roots = await endpoints.agreed(lambda client: self._roots(client, block))
        apply_all(state.relays, state.identities, events)
        views = self._views(state, block, roots)
        state.block = block
        state.relays.forget_before(block.timestamp // self._anchor.epoch_s - 1)
        self._state = state
        return RegistrySnapshot(
            block,
            block.timestamp // self._anchor.epoch_s,
            views,
            state.identities.copy(),
            tuple(state.relays.latest()),
        )

    async def _verified(self) -> Endpoints:
        answers = await self._endpoints.ask_all(self._anchor.verify)
        return Endpoints([client for client, _ in answers], self._endpoints.agree)

    async def _final_block(self, endpoints: Endpoints, wall: int) -> Header:
        heads = await endpoints.ask_all(lambda client: _header(client, self._anchor.final_tag))
        number = min(head.number for _, head in heads)
        block = await endpoints.agreed(lambda client: _header(client, hex(number)))
        if block.number != number:
            raise EndpointsDisagreeError(f"asked for block {number}, got {block.number}")
        if wall - block.timestamp > self._maximum_age_s:
            age = wall - block.timestamp
            raise StaleEndpointError(f"the final block is {age} seconds old")
        return block

    async def _base(self, endpoints: Endpoints, block: Header) -> _State:
        known = self._state.block
        if known is None:
            return _State()
        if known.number > block.number:
            return _State()  # the chain lost blocks: all is read again
        same = await endpoints.agreed(lambda client: _header(client, hex(known.number)))
        return self._state.copy() if same.hash == known.hash else _State()

    async def _events(
        self, client: RpcClient, first: int, block: Header
    ) -> tuple[Event, ...]:
        contracts = (self._anchor.relay_registry, self._anchor.identity_registry)
        logs = await read_logs(client, contracts, first, block.number)
        if await _header(client, hex(block.number)) != block:
            raise EndpointsDisagreeError(f"{client.name} changed its mind about a final block")
        decoded = (log.decode() for log in logs)
        return tuple(event for event in decoded if event is not None)

    async def _roots(self, client: RpcClient, block: Header) -> tuple[bytes, ...]:
        requests = [
            view_call(self._anchor.relay_registry, ROOT_FOR, epoch, block=hex(block.number))
            for epoch in self._epochs(block)
        ]
        answers = await client.batch(requests)
        for answer in answers:
            if isinstance(answer, EndpointRefusedError):
                raise answer
        return tuple(read_word(answer) for answer in answers)

    def _epochs(self, block: Header) -> range:
        epoch = block.timestamp // self._anchor.epoch_s
        return range(max(0, epoch - 1), epoch + 2)

    def _views(
        self, state: _State, block: Header, roots: Sequence[bytes]
    ) -> tuple[RelayView, ...]:
        return tuple(
            self._view(state, epoch, root)
            for epoch, root in zip(self._epochs(block), roots, strict=True)
        )

    def _view(self, state: _State, epoch: int, root: bytes) -> RelayView:
        entries = state.relays.entries(epoch)
        try:
            return registry_view(
                epoch,
                root,
                entries,
                network_id=self._anchor.network_id,
                epoch_s=self._anchor.epoch_s,
            )
        except RootMismatchError as error:
            raise RegistryRootError(f"epoch {epoch}: {len(entries)} relays") from error


async def _header(client: RpcClient, tag: str) -> Header:
    answer = await client.call("eth_getBlockByNumber", tag, False)  # noqa: FBT003
    if answer is None:
        refuse(f"no block {tag}")
    return Header.read(answer)


async def read_registry(
    endpoints: Endpoints, anchor: ChainAnchor, wall: int
) -> RegistrySnapshot:
    """Read both registries once. Raises ChainError, as a subclass."""
    return await RegistryReader(endpoints, anchor).read(wall)
