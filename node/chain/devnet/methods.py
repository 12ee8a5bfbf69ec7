"""The JSON-RPC methods of the embedded chain (SPEC 8.7)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eth_keys.datatypes import PrivateKey

from peerstream.identity.keys import keccak256
from peerstream.node.chain.devnet import calls, parameters, values
from peerstream.node.chain.devnet.accounts import DevAccount
from peerstream.node.chain.devnet.errors import (
    BadParametersError,
    MethodNotFoundError,
    SnapshotNotFoundError,
    TransactionRefusedError,
)
from peerstream.node.chain.devnet.filters import LOGS_MAX, LogFilter
from peerstream.node.chain.devnet.ledger import CHAIN_ID, GAS_LIMIT, Ledger, MinedBlock
from peerstream.node.chain.devnet.proofs import proof_json

CLIENT: Final = "PeerStream-devnet/1/py-evm"
TIP: Final = 10**9
_LATEST_TAGS: Final = frozenset({"latest", "pending", "safe", "finalized"})
_TIME_MAX: Final = 2**63
_HISTORY_MAX: Final = 1_024
_PERCENTILES_MAX: Final = 100
_SLOTS_MAX: Final = 64


class Methods:
    """The table of methods over one ledger. `clock` gives unix seconds."""

    def __init__(
        self, ledger: Ledger, accounts: Sequence[DevAccount], clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._keys = {account.address.raw: account.secret for account in accounts}
        self._table = self._methods()

    def call(self, method: str, params: Sequence[Any]) -> Any:
        """Run one method. Raises DevnetError, as a subclass."""
        function = self._table.get(method)
        if function is None:
            raise MethodNotFoundError(f"no method {method[:64]!r}")
        required, optional = _arity(function)
        if not required <= len(params) <= optional:
            raise BadParametersError(f"{method} takes {required} to {optional} parameters")
        return function(*params)

    def _methods(self) -> Mapping[str, Callable[..., Any]]:
        chain_id = values.quantity(CHAIN_ID)
        return {
            "web3_clientVersion": lambda: CLIENT,
            "web3_sha3": lambda data: values.octets(keccak256(parameters.octets(data))),
            "net_version": lambda: str(CHAIN_ID),
            "net_listening": lambda: True,
            "net_peerCount": lambda: values.quantity(0),
            "eth_chainId": lambda: chain_id,
            "eth_syncing": lambda: False,
            "eth_accounts": lambda: [values.account(key) for key in self._keys],
            "eth_blockNumber": lambda: values.quantity(self._ledger.head.header.block_number),
            "eth_gasPrice": lambda: values.quantity(self._base_fee() + TIP),
            "eth_maxPriorityFeePerGas": lambda: values.quantity(TIP),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": self._get_balance,
            "eth_getTransactionCount": self._get_transaction_count,
            "eth_getCode": self._get_code,
            "eth_getStorageAt": self._get_storage_at,
            "eth_getProof": self._get_proof,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_sendRawTransaction": self._send_raw_transaction,
            "eth_sendTransaction": self._send_transaction,
            "eth_getTransactionReceipt": self._get_receipt,
            "eth_getTransactionByHash": self._get_transaction,
            "eth_getBlockByNumber": self._get_block_by_number,
            "eth_getBlockByHash": self._get_block_by_hash,
            "eth_getBlockTransactionCountByNumber": self._get_transaction_total,
            "eth_getLogs": self._get_logs,
            "evm_snapshot": lambda: values.quantity(self._ledger.snapshot()),
            "evm_revert": self._revert,
            "evm_increaseTime": self._increase_time,
            "evm_setNextBlockTimestamp": self._set_next_time,
            "evm_mine": self._mine,
        }

    # Chain

    def _wall(self) -> int:
        return int(self._clock())

    def _base_fee(self) -> int:
        return int(self._ledger.head.header.base_fee_per_gas)

    def _number(self, tag: object) -> int:
        if tag is None or (isinstance(tag, str) and tag in _LATEST_TAGS):
            return int(self._ledger.head.header.block_number)
        return 0 if tag == "earliest" else parameters.quantity(tag)

    def _block(self, tag: object) -> MinedBlock:
        if isinstance(tag, dict) and "blockNumber" not in tag:
            return self._block_of_hash(tag.get("blockHash"))
        return self._ledger.block(
            self._number(tag["blockNumber"] if isinstance(tag, dict) else tag)
        )

    def _block_of_hash(self, digest: object) -> MinedBlock:
        found = self._ledger.block_by_hash(parameters.octets(digest, 32))
        if found is None:
            raise BadParametersError("no block has that hash")
        return found

    def _known_block(self, tag: object) -> MinedBlock | None:
        number = self._number(tag)
        return self._ledger.blocks[number] if number < len(self._ledger.blocks) else None

    def _get_block_by_number(self, tag: object, full: object = None) -> Any:
        return _block_json(self._known_block(tag), full)

    def _get_block_by_hash(self, digest: object, full: object = None) -> Any:
        return _block_json(self._ledger.block_by_hash(parameters.octets(digest, 32)), full)

    def _get_transaction_total(self, tag: object) -> Any:
        block = self._known_block(tag)
        return None if block is None else values.quantity(len(block.transactions))

    def _fee_history(self, total: object, newest: object, shares: object = None) -> Any:
        count = parameters.quantity(total, _HISTORY_MAX)
        last = self._block(newest).header.block_number
        first = max(0, last - count + 1)
        headers = [self._ledger.block(number).header for number in range(first, last + 1)]
        fees = [values.quantity(header.base_fee_per_gas) for header in headers]
        return {
            "oldestBlock": values.quantity(first),
            "baseFeePerGas": [*fees, fees[-1] if fees else values.quantity(self._base_fee())],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
            "reward": [[values.quantity(TIP)] * len(_percentiles(shares)) for _ in headers],
        }

    # State

    def _get_balance(self, account: object, tag: object = None) -> str:
        state = self._ledger.vm(self._block(tag)).state
        return values.quantity(state.get_balance(parameters.address(account)))

    def _get_transaction_count(self, account: object, tag: object = None) -> str:
        state = self._ledger.vm(self._block(tag)).state
        return values.quantity(state.get_nonce(parameters.address(account)))

    def _get_code(self, account: object, tag: object = None) -> str:
        state = self._ledger.vm(self._block(tag)).state
        return values.octets(state.get_code(parameters.address(account)))

    def _get_storage_at(self, account: object, slot: object, tag: object = None) -> str:
        state = self._ledger.vm(self._block(tag)).state
        word = state.get_storage(parameters.address(account), parameters.quantity(slot))
        return values.octets(word.to_bytes(32, "big"))

    def _get_proof(self, account: object, slots: object, tag: object = None) -> values.Json:
        if not isinstance(slots, list) or len(slots) > _SLOTS_MAX:
            raise BadParametersError(f"up to {_SLOTS_MAX} slots")
        wanted = [parameters.quantity(slot) for slot in slots]
        root = self._block(tag).header.state_root
        return proof_json(self._ledger.nodes(), root, parameters.address(account), wanted)

    def _call(self, request: object, tag: object = None) -> str:
        found = self._call_request(parameters.table(request), tag)
        return values.octets(calls.call(self._ledger, found, self._block(tag)))

    def _estimate_gas(self, request: object, tag: object = None) -> str:
        found = self._call_request(parameters.table(request), tag)
        return values.quantity(calls.estimate(self._ledger, found, self._block(tag)))

    def _call_request(self, table: dict[str, Any], tag: object) -> calls.CallRequest:
        data = table.get("input", table.get("data", "0x"))
        to, pending = table.get("to"), tag == "pending"
        head = self._block(tag).header
        return calls.CallRequest(
            sender=parameters.address(table.get("from") or "0x" + "00" * 20),
            to=b"" if to is None else parameters.address(to),
            data=parameters.octets(data),
            value=parameters.quantity(table.get("value") or 0),
            gas=parameters.quantity(table.get("gas") or GAS_LIMIT, GAS_LIMIT),
            timestamp=self._ledger.next_timestamp(self._wall()) if pending else head.timestamp,
        )

    # Transactions

    def _send_raw_transaction(self, raw: object) -> str:
        return values.octets(self._ledger.send(parameters.octets(raw), self._wall()))

    def _send_transaction(self, request: object) -> str:
        table = parameters.table(request)
        found = self._call_request(table, "pending")
        secret = self._keys.get(found.sender)
        if secret is None:
            raise TransactionRefusedError("the devnet has no key for that account")
        head = self._ledger.head
        gas = found.gas if "gas" in table else calls.estimate(self._ledger, found, head)
        nonce = self._ledger.vm(head).state.get_nonce(found.sender)
        unsigned = self._ledger.builder().new_unsigned_dynamic_fee_transaction(
            chain_id=CHAIN_ID,
            nonce=parameters.quantity(table.get("nonce", nonce)),
            max_priority_fee_per_gas=TIP,
            max_fee_per_gas=2 * self._base_fee() + TIP,
            gas=gas,
            to=found.to,
            value=found.value,
            data=found.data,
            access_list=(),
        )
        signed = unsigned.as_signed_transaction(PrivateKey(secret))
        return values.octets(self._ledger.send(signed.encode(), self._wall()))

    def _get_receipt(self, digest: object) -> Any:
        found = self._ledger.transaction(parameters.octets(digest, 32))
        return None if found is None else values.receipt_json(*found)

    def _get_transaction(self, digest: object) -> Any:
        found = self._ledger.transaction(parameters.octets(digest, 32))
        return None if found is None else values.transaction_json(*found)

    def _get_logs(self, request: object) -> list[values.Json]:
        table = parameters.table(request)
        wanted = LogFilter.parse(table)
        if "blockHash" in table:
            return list(wanted.select(self._block_of_hash(table["blockHash"])))
        last = self._block(table.get("toBlock")).header.block_number
        first = self._block(table.get("fromBlock")).header.block_number
        found: list[values.Json] = []
        for block in self._ledger.blocks[first : last + 1]:
            found.extend(wanted.select(block))
            if len(found) > LOGS_MAX:
                raise BadParametersError(f"more than {LOGS_MAX} logs: ask for fewer blocks")
        return found

    # Time

    def _revert(self, number: object) -> bool:
        try:
            self._ledger.revert(parameters.quantity(number))
        except SnapshotNotFoundError:
            return False
        return True

    def _increase_time(self, seconds: object) -> str:
        self._ledger.offset += parameters.quantity(seconds, _TIME_MAX)
        return values.quantity(max(0, self._ledger.offset))

    def _set_next_time(self, timestamp: object) -> None:
        found = parameters.quantity(timestamp, _TIME_MAX)
        if found < self._ledger.head.header.timestamp:
            raise BadParametersError("the chain's time does not go back")
        self._ledger.next_time = found
        self._ledger.offset = found - self._wall()

    def _mine(self, timestamp: object = None) -> str:
        if timestamp is not None:
            self._set_next_time(timestamp)
        self._ledger.mine(self._wall())
        return values.quantity(0)


def _block_json(block: MinedBlock | None, full: object) -> Any:
    if block is None:
        return None
    return values.block_json(block, full=full is not None and parameters.flag(full))


def _percentiles(value: object) -> list[Any]:
    found = value if isinstance(value, list) else []
    if len(found) > _PERCENTILES_MAX:
        raise BadParametersError(f"up to {_PERCENTILES_MAX} percentiles")
    return found


def _arity(function: Callable[..., Any]) -> tuple[int, int]:
    code, bound = function.__code__, int(hasattr(function, "__self__"))
    total = code.co_argcount - bound
    return total - len(function.__defaults__ or ()), total
