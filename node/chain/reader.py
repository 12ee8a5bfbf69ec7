"""Reading the whole of both registries, never a question about one account (SPEC 8.4).

The relay set is rebuilt from events and must give the root that the contract holds for each epoch
in use. Everything is read at one final block, from all endpoints, which must say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from peerstream.identity.descriptor.commitment import Commitment
from peerstream.node.chain.anchor import ChainAnchor
from peerstream.node.chain.blocks import first_block_since, read_header
from peerstream.node.chain.board import COMMITTED, Board
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    EndpointsDisagreeError,
    FutureBlockError,
    RegistryRootError,
    StaleEndpointError,
)
from peerstream.node.chain.events import Event
from peerstream.node.chain.history import IdentitySnapshot, RelayHistory, apply_all
from peerstream.node.chain.logs import RANGE_MAX, read_logs
from peerstream.node.chain.quantities import Header
from peerstream.node.chain.roots import read_roots
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.protocol.directory.errors import RootMismatchError
from peerstream.node.protocol.directory.relay_set import (
    RelayEntry,
    RelayView,
    registry_root,
    registry_view,
)

_NEIGHBOURS: Final = (-1, 0, 1)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds. age_s: how old the final block may be by our clock; finality takes a quarter of an
    hour, four times that in bad weeks. lag_s: how far one endpoint may be behind another.
    ahead_s: how far a block may be ahead of our clock.
    """  # noqa: D205 - one sentence each

    age_s: int = 7_200
    lag_s: int = 1_800
    ahead_s: int = 60


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """Both registries at one final block.

    views: of the epochs e - 1, e and e + 1, where e is the block's. randomness: 32 bytes for the
    ring of each period around the block's that is known yet. latest: the leaves after all changes,
    for siblings. commitments: to records, by blinded key (32 bytes) and period, for the period of
    the block and its neighbours.
    """

    block: Header
    epoch: int
    views: tuple[RelayView, ...]
    identities: IdentitySnapshot = field(repr=False)
    randomness: Mapping[int, bytes] = field(repr=False)
    latest: tuple[RelayEntry, ...] = field(repr=False)
    commitments: Mapping[tuple[bytes, int], Commitment] = field(repr=False)


@dataclass(slots=True)
class _State:
    relays: RelayHistory = field(default_factory=RelayHistory)
    identities: IdentitySnapshot = field(default_factory=IdentitySnapshot)
    randomness: dict[int, bytes] = field(default_factory=dict)
    board: Board = field(default_factory=Board)
    block: Header | None = None

    def copy(self) -> "_State":
        return _State(
            self.relays.copy(),
            self.identities.copy(),
            dict(self.randomness),
            self.board.copy(),
            self.block,
        )


class RegistryReader:
    """Follows both registries, and remembers what it read: later reads ask only for what is new."""

    def __init__(
        self, endpoints: Endpoints, anchor: ChainAnchor, freshness: Freshness | None = None
    ) -> None:
        self._endpoints = endpoints
        self._anchor = anchor
        self._freshness = freshness or Freshness()
        self._state = _State()
        self._known: set[RpcClient] = set()

    async def read(self, wall: int) -> RegistrySnapshot:
        """Read what came since the last time; `wall` is the time in unix seconds.

        Raises ChainError, as a subclass that says what to do; then nothing of it is kept.
        """
        endpoints = await self._verified()
        block = await self._final_block(endpoints, wall)
        state = await self._base(endpoints, block)
        first = self._anchor.start if state.block is None else state.block.number + 1
        apply_all(state.relays, state.identities, await self._events(endpoints, first, block))
        self._require_trusted_root(state, block)
        views = await self._views(endpoints, state, block)
        state.randomness = await self._randomness(endpoints, state, block)
        await self._read_board(endpoints, state, block)
        state.relays.forget_before(self._epoch(block) - 1)
        state.block = block
        self._state = state
        return RegistrySnapshot(
            block,
            self._epoch(block),
            views,
            state.identities.copy(),
            dict(state.randomness),
            tuple(state.relays.latest()),
            state.board.commitments(),
        )

    def _epoch(self, block: Header) -> int:
        return block.timestamp // self._anchor.epoch_s

    async def _verified(self) -> Endpoints:
        answers = await self._endpoints.ask_all(self._verify)
        return self._endpoints.only([client for client, _ in answers])

    async def _verify(self, client: RpcClient) -> None:
        if client in self._known:
            await self._anchor.verify_chain(client)
        else:
            await self._anchor.verify(client)
            self._known.add(client)

    async def _final_block(self, endpoints: Endpoints, wall: int) -> Header:
        heads = await endpoints.ask_all(lambda client: read_header(client, self._anchor.final_tag))
        newest = max(head.timestamp for _, head in heads)
        for client, head in heads:
            if newest - head.timestamp > self._freshness.lag_s:
                behind = newest - head.timestamp
                raise StaleEndpointError(f"{client.name} is {behind} s behind another endpoint")
        number = min(head.number for _, head in heads)
        block = await endpoints.agreed(lambda client: read_header(client, hex(number)))
        if block.number != number:
            raise EndpointsDisagreeError(f"asked for block {number}, got {block.number}")
        self._require_fresh(block, wall)
        return block

    def _require_fresh(self, block: Header, wall: int) -> None:
        age = wall - block.timestamp
        if age > self._freshness.age_s:
            raise StaleEndpointError(f"the final block is {age} seconds old")
        if age < -self._freshness.ahead_s:
            raise FutureBlockError(f"the final block is {-age} seconds ahead of the clock")
        known = self._state.block
        if known is not None and self._anchor.is_final and block.number < known.number:
            raise StaleEndpointError(f"final block {block.number} after {known.number}")

    async def _base(self, endpoints: Endpoints, block: Header) -> _State:
        known = self._state.block
        if known is None or known.number > block.number:
            return _State()  # a development chain lost blocks: all is read again
        same = await endpoints.agreed(lambda client: read_header(client, hex(known.number)))
        return self._state.copy() if same.hash == known.hash else _State()

    async def _events(self, endpoints: Endpoints, first: int, block: Header) -> list[Event]:
        contracts = (self._anchor.relay_registry, self._anchor.identity_registry)
        events: list[Event | None] = []
        for start in range(first, block.number + 1, RANGE_MAX):
            last = min(start + RANGE_MAX - 1, block.number)
            question = partial(read_logs, contracts=contracts, first=start, last=last)
            events += [log.decode() for log in await endpoints.agreed(question)]
        same = await endpoints.agreed(lambda client: read_header(client, hex(block.number)))
        if same != block:
            raise EndpointsDisagreeError("the final block became another one meanwhile")
        return [event for event in events if event is not None]

    async def _read_board(self, endpoints: Endpoints, state: _State, block: Header) -> None:
        """Follow the commitments of the periods that records can be of."""
        board, length = self._anchor.board, self._anchor.period_s
        if board is None or not length:
            return
        period = block.timestamp // length
        if state.block is None:
            since = max(0, period - 2) * length  # some are made before their period begins
            begin = await endpoints.agreed(partial(first_block_since, since=since, last=block))
            first = max(begin.number, self._anchor.start)
        else:
            first = state.block.number + 1
        for start in range(first, block.number + 1, RANGE_MAX):
            last = min(start + RANGE_MAX - 1, block.number)
            question = partial(
                read_logs, contracts=(board,), first=start, last=last, topic=COMMITTED
            )
            state.board.apply(await endpoints.agreed(question))
        state.board.keep(range(period - 1, period + 2))

    def _require_trusted_root(self, state: _State, block: Header) -> None:
        trusted = self._anchor.trusted_root
        if trusted is None or state.block is not None or trusted.epoch > self._epoch(block) + 1:
            return
        if registry_root(state.relays.entries(trusted.epoch)) != trusted.root:
            raise RegistryRootError(f"epoch {trusted.epoch} is not as the network file says")

    async def _views(
        self, endpoints: Endpoints, state: _State, block: Header
    ) -> tuple[RelayView, ...]:
        epochs = [e for e in (self._epoch(block) + n for n in _NEIGHBOURS) if e >= 0]
        registry = self._anchor.relay_registry
        roots = await endpoints.agreed(lambda client: read_roots(client, registry, block, epochs))
        return tuple(
            self._view(state.relays, epoch, root) for epoch, root in zip(epochs, roots, strict=True)
        )

    def _view(self, relays: RelayHistory, epoch: int, root: bytes) -> RelayView:
        entries = relays.entries(epoch)
        network_id, epoch_s = self._anchor.network_id, self._anchor.epoch_s
        try:
            return registry_view(epoch, root, entries, network_id=network_id, epoch_s=epoch_s)
        except RootMismatchError as error:
            raise RegistryRootError(f"epoch {epoch}: {len(entries)} relays") from error

    async def _randomness(
        self, endpoints: Endpoints, state: _State, block: Header
    ) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for period, since in self._seed_times(block).items():
            known = state.randomness.get(period)
            if known is None:
                first = await endpoints.agreed(partial(first_block_since, since=since, last=block))
                known = first.randomness
            found[period] = known
        return found

    def _seed_times(self, block: Header) -> Mapping[int, int]:
        length = self._anchor.period_s
        if not length:
            return {}
        period = block.timestamp // length
        times = {p: p * length - self._anchor.epoch_s for p in (period - 1, period, period + 1)}
        return {p: since for p, since in times.items() if since <= block.timestamp}


async def read_registry(endpoints: Endpoints, anchor: ChainAnchor, wall: int) -> RegistrySnapshot:
    """Read both registries once. Raises ChainError, as a subclass."""
    return await RegistryReader(endpoints, anchor).read(wall)
