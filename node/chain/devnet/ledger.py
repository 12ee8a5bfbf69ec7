"""An Ethereum chain in memory, one block a transaction, on py-evm (SPEC 8.7).

No consensus and no fork choice: it mines when told to. The only time it knows is the `wall` that
each call brings, and an offset to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from eth.abc import BlockHeaderAPI, ReceiptAPI, SignedTransactionAPI, StateAPI, VirtualMachineAPI
from eth.chains.base import MiningChain
from eth.consensus import ConsensusApplier, NoProofConsensus
from eth.constants import BLANK_ROOT_HASH, POST_MERGE_DIFFICULTY, POST_MERGE_NONCE
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from eth.vm.forks.prague import PragueVM
from eth_utils.exceptions import ValidationError

from peerstream.node.chain.devnet.errors import (
    BlockNotFoundError,
    SnapshotNotFoundError,
    TransactionRefusedError,
)

CHAIN_ID: Final = 31_337
GAS_LIMIT: Final = 30_000_000
_SNAPSHOTS_MAX: Final = 1_024  # each keeps the database of its moment alive
_COINBASE: Final = bytes(20)


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block, its transactions and their receipts; `logs_before` counts logs per transaction."""

    header: BlockHeaderAPI
    transactions: tuple[SignedTransactionAPI, ...]
    receipts: tuple[ReceiptAPI, ...]
    created: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    database: dict[bytes, bytes] = field(repr=False)
    height: int
    offset: int


class Ledger:
    """The chain: blocks by number, hash and transaction, and the state at each of them.

    genesis_time: unix seconds; balances: wei by account of 20 bytes. entropy: 32 bytes of
    prevrandao for each block.
    """

    def __init__(
        self, genesis_time: int, balances: Mapping[bytes, int], entropy: Callable[[int], bytes]
    ) -> None:
        self._database: dict[bytes, bytes] = {}
        self._entropy = entropy
        self._snapshots: dict[int, _Snapshot] = {}
        self._snapshot_ids = count(1)
        self.offset = 0
        self.next_time: int | None = None
        self._chain = _chain_class().from_genesis(
            AtomicDB(MemoryDB(self._database)), _genesis(genesis_time), _alloc(balances)
        )
        header = self._chain.get_canonical_block_header_by_number(0)
        self.blocks = [MinedBlock(header, (), (), ())]
        self._by_hash = {header.hash: 0}
        self._by_transaction: dict[bytes, tuple[int, int]] = {}

    @property
    def head(self) -> MinedBlock:
        """The last block."""
        return self.blocks[-1]

    def block(self, number: int) -> MinedBlock:
        """Return a block by number. Raises BlockNotFoundError."""
        if not 0 <= number < len(self.blocks):
            raise BlockNotFoundError(f"no block {number}")
        return self.blocks[number]

    def block_by_hash(self, digest: bytes) -> MinedBlock | None:
        """Return a block by its hash of 32 bytes, None for an unknown one."""
        number = self._by_hash.get(digest)
        return None if number is None else self.blocks[number]

    def transaction(self, digest: bytes) -> tuple[MinedBlock, int] | None:
        """Return the block of a transaction and its place there, None for an unknown one."""
        place = self._by_transaction.get(digest)
        return None if place is None else (self.blocks[place[0]], place[1])

    def vm(self, block: MinedBlock) -> VirtualMachineAPI:
        """Return the machine with the state after a block."""
        return self._chain.get_vm(block.header)

    def nodes(self) -> Mapping[bytes, bytes]:
        """Return the nodes of the chain's tries, RLP by hash of 32 bytes, with other things."""
        return self._database

    def builder(self) -> Any:
        """Return what decodes and makes transactions of the current fork."""
        return self._chain.get_transaction_builder()

    def clock(self, wall: int) -> int:
        """Return the chain's time at the unix second `wall`: never before the head."""
        return max(int(self.head.header.timestamp), wall + self.offset)

    def free_state(self, block: MinedBlock, timestamp: int) -> StateAPI:
        """Return the state after a block, to run calls on that cost nothing, at a unix second."""
        vm = self.vm(block)
        header = block.header.copy(base_fee_per_gas=0, timestamp=timestamp)
        return vm.build_state(self._chain.chaindb.db, header, vm.chain_context, vm.previous_hashes)

    def send(self, raw: bytes, wall: int) -> bytes:
        """Mine a block with one signed transaction; return the transaction's hash.

        Raises TransactionRefusedError when it cannot be part of any block.
        """
        self._mine_raw([raw], self.next_timestamp(wall), self._entropy(32))
        return bytes(self.head.transactions[0].hash)

    def mine(self, wall: int) -> MinedBlock:
        """Mine an empty block."""
        self._mine([], self.next_timestamp(wall), self._entropy(32))
        return self.head

    def replay(self, raws: Sequence[bytes], timestamp: int, randomness: bytes) -> None:
        """Mine a block as it was mined before. Raises TransactionRefusedError."""
        self._mine_raw(raws, timestamp, randomness)

    def snapshot(self) -> int:
        """Remember this moment; return its number."""
        while len(self._snapshots) >= _SNAPSHOTS_MAX:
            del self._snapshots[next(iter(self._snapshots))]
        number = next(self._snapshot_ids)
        self._snapshots[number] = _Snapshot(dict(self._database), len(self.blocks), self.offset)
        return number

    def revert(self, number: int) -> None:
        """Go back to a snapshot and forget it and all later ones. Raises SnapshotNotFoundError."""
        found = self._snapshots.get(number)
        if found is None:
            raise SnapshotNotFoundError(f"no snapshot {number}")
        for later in [key for key in self._snapshots if key >= number]:
            del self._snapshots[later]
        self._database.clear()
        self._database.update(found.database)
        for block in self.blocks[found.height :]:
            self._forget(block)
        del self.blocks[found.height :]
        self.offset = found.offset
        self.next_time = None
        self._chain = _chain_class()(AtomicDB(MemoryDB(self._database)))

    def next_timestamp(self, wall: int) -> int:
        """Return the time of the block that would be mined at the unix second `wall`."""
        return self.clock(wall) if self.next_time is None else self.next_time

    def _mine_raw(self, raws: Sequence[bytes], timestamp: int, seed: bytes) -> None:
        try:
            transactions = [self.builder().decode(raw) for raw in raws]
            for transaction in transactions:
                transaction.validate()
                _require_chain(transaction)
            self._mine(transactions, timestamp, seed)
        except Exception as error:
            # py-evm and rlp raise dozens of classes for what a stranger can put into raw bytes.
            raise TransactionRefusedError(_reason(error)) from error

    def _mine(
        self, transactions: Sequence[SignedTransactionAPI], timestamp: int, seed: bytes
    ) -> None:
        self._chain.header = self._chain.header.copy(timestamp=timestamp, mix_hash=seed)
        result, receipts, computations = self._chain.mine_all(
            transactions, coinbase=_COINBASE, timestamp=timestamp, mix_hash=seed
        )
        self.next_time = None
        created = tuple(
            bytes(c.msg.storage_address) if c.msg.is_create and c.is_success else None
            for c in computations
        )
        self._keep(
            MinedBlock(result.imported_block.header, tuple(transactions), tuple(receipts), created)
        )

    def _keep(self, block: MinedBlock) -> None:
        number = len(self.blocks)
        self.blocks.append(block)
        self._by_hash[block.header.hash] = number
        for index, transaction in enumerate(block.transactions):
            self._by_transaction[transaction.hash] = (number, index)

    def _forget(self, block: MinedBlock) -> None:
        self._by_hash.pop(block.header.hash, None)
        for transaction in block.transactions:
            self._by_transaction.pop(transaction.hash, None)


def _chain_class() -> Any:
    forks = ConsensusApplier(NoProofConsensus).amend_vm_configuration(((0, _DevnetVm),))
    return _EmbeddedChain.configure(vm_configuration=forks, chain_id=CHAIN_ID)


class _DevnetVm(PragueVM):  # type: ignore[misc]
    """The current fork, except that blocks may share a second.

    Ten transactions in one second would otherwise push the chain's time ten seconds ahead of the
    clock, and a relay that counts in epochs of the clock would see a chain from the future.
    """

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        if header.timestamp == parent_header.timestamp:
            parent_header = parent_header.copy(timestamp=header.timestamp - 1)
        super().validate_header(header, parent_header)


class _EmbeddedChain(MiningChain):  # type: ignore[misc]
    """py-evm's chain with a gas limit that stays."""

    def create_header_from_parent(
        self, parent_header: BlockHeaderAPI, **header_params: Any
    ) -> BlockHeaderAPI:
        header_params["gas_limit"] = parent_header.gas_limit
        return super().create_header_from_parent(parent_header, **header_params)

    def get_transaction_builder(self) -> Any:
        return super().get_vm().get_transaction_builder()


def _genesis(timestamp: int) -> dict[str, Any]:
    return {
        "coinbase": _COINBASE,
        "difficulty": POST_MERGE_DIFFICULTY,
        "extra_data": b"",
        "gas_limit": GAS_LIMIT,
        "mix_hash": bytes(32),
        "nonce": POST_MERGE_NONCE,
        "receipt_root": BLANK_ROOT_HASH,
        "timestamp": timestamp,
        "transaction_root": BLANK_ROOT_HASH,
    }


def _alloc(balances: Mapping[bytes, int]) -> dict[bytes, dict[str, Any]]:
    return {
        account: {"balance": balance, "nonce": 0, "code": b"", "storage": {}}
        for account, balance in balances.items()
    }


def _require_chain(transaction: SignedTransactionAPI) -> None:
    # py-evm takes typed transactions of any chain. None: from before EIP-155.
    if transaction.chain_id not in {None, CHAIN_ID}:
        raise ValidationError(f"a transaction of chain {transaction.chain_id}")


def _reason(error: Exception) -> str:
    text = str(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
    return text[:200]
