"""Transactions: what they shall do, what they cost, and what became of them (SPEC 8.6)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import trio
from eth_account import Account

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.abi import revert_error
from peerstream.node.chain.errors import (
    ChainError,
    EndpointRefusedError,
    FeeTooLowError,
    MalformedAnswerError,
    NoFundsError,
    NonceError,
    TransactionError,
    TransactionRevertedError,
)
from peerstream.node.chain.quantities import read_octets, read_quantity, read_table
from peerstream.node.chain.rpc import ContractRevertedError, RpcClient

TIP: Final = 10**9
BUMP_PERCENT: Final = 125  # nodes take a replacement from 10 % on
OUTBID_PERCENT: Final = 200  # of a transaction whose fee is unknown
_KNOWN: Final = re.compile("already (known|imported)", re.IGNORECASE)
_POLL_S: Final = 0.02
_POLL_MAX_S: Final = 2.0
_GAS_PERCENT: Final = 110
_GAS_EXTRA: Final = 40_000  # the first change of an epoch writes more than was estimated before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a transaction shall do; `to` None creates a contract. gas 0: estimate it.

    summary: the same in words, a line each, for whoever has to agree.
    """

    to: Address | None
    data: bytes = b""
    value: int = 0
    gas: int = 0
    summary: tuple[str, ...] = ()

    def request(self, sender: Address) -> dict[str, str]:
        """Return it as eth_call and eth_estimateGas take it."""
        found = {"from": str(sender), "data": "0x" + self.data.hex(), "value": hex(self.value)}
        return found | ({} if self.to is None else {"to": str(self.to)})


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction: its hash, block, gas used and the contract that it created."""

    hash: bytes
    block: int
    gas_used: int
    succeeded: bool
    created: Address | None

    @classmethod
    def read(cls, value: Any) -> "Receipt":
        """Read what eth_getTransactionReceipt gives. Raises MalformedAnswerError."""
        table = read_table(value)
        created = table.get("contractAddress")
        return cls(
            read_octets(table.get("transactionHash"), 32),
            read_quantity(table.get("blockNumber")),
            read_quantity(table.get("gasUsed")),
            read_quantity(table.get("status")) == 1,
            None if created is None else Address(read_octets(created, 20)),
        )


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas."""

    maximum: int
    tip: int

    def bumped(self, percent: int = BUMP_PERCENT) -> "Fees":
        """Return higher fees; with the usual percentage they replace a transaction with these."""
        return Fees(self.maximum * percent // 100 + 1, self.tip * percent // 100 + 1)

    def at_least(self, other: "Fees") -> "Fees":
        """Return the higher of both."""
        return Fees(max(self.maximum, other.maximum), max(self.tip, other.tip))


async def current_fees(rpc: RpcClient) -> Fees:
    """Return fees with which a transaction is mined soon."""
    block = read_table(await rpc.call("eth_getBlockByNumber", "latest", False))
    return Fees(2 * read_quantity(block.get("baseFeePerGas")) + TIP, TIP)


async def simulate(rpc: RpcClient, sender: Address, plan: Plan) -> int:
    """Return the gas that a plan needs. Raises TransactionError when it would fail."""
    try:
        # In the block to come: its time is later, and perhaps its epoch.
        answer = await rpc.call("eth_estimateGas", plan.request(sender), "pending")
        return read_quantity(answer)
    except EndpointRefusedError as error:
        raise named_refusal(error) from error


async def with_gas(rpc: RpcClient, sender: Address, plan: Plan) -> Plan:
    """Return the plan with gas that suffices. Raises TransactionError when it would fail."""
    if plan.gas:
        return plan
    needed = await simulate(rpc, sender, plan)
    return replace(plan, gas=needed * _GAS_PERCENT // 100 + _GAS_EXTRA)


def named_refusal(error: EndpointRefusedError) -> ChainError:
    """Return our name for what an endpoint refused."""
    if isinstance(error, ContractRevertedError) and error.data:
        return revert_error(error.data)
    text = str(error).lower()
    if "underpriced" in text or "fee too low" in text or "max fee per gas less" in text:
        return FeeTooLowError(str(error))
    if "nonce" in text:
        return NonceError(str(error))
    if "insufficient" in text or "balance" in text or "enough funds" in text:
        return NoFundsError(str(error))
    if "revert" in text:
        return TransactionRevertedError("no reason given")
    return error


def sign(secret: bytes, chain_id: int, nonce: int, plan: Plan, fees: Fees) -> bytes:
    """Return the raw transaction that the account of `secret` (32 bytes) signs."""
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "gas": plan.gas,
        "maxFeePerGas": fees.maximum,
        "maxPriorityFeePerGas": fees.tip,
        "value": plan.value,
        "data": plan.data,
    }
    if plan.to is not None:
        fields["to"] = str(plan.to)
    return bytes(Account.sign_transaction(fields, secret).raw_transaction)


async def submit(rpc: RpcClient, raw: bytes) -> bytes:
    """Submit a raw transaction; return its hash of 32 bytes, also where it was known already.

    Raises NonceError, FeeTooLowError or another TransactionError; EndpointError.
    """
    digest = keccak256(raw)
    try:
        answer = await rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
    except EndpointRefusedError as error:
        if _KNOWN.search(str(error)):
            return digest
        raise named_refusal(error) from error
    if read_octets(answer, 32) != digest:
        raise MalformedAnswerError("the endpoint took another transaction than ours")
    return digest


async def first_receipt(
    rpc: RpcClient, hashes: Sequence[bytes], patience_s: float
) -> Receipt | None:
    """Return the receipt of the first of these that is mined, None after `patience_s`."""
    end, pause = trio.current_time() + patience_s, _POLL_S
    while hashes:
        requests = [("eth_getTransactionReceipt", ("0x" + digest.hex(),)) for digest in hashes]
        for digest, answer in zip(hashes, await rpc.batch(requests), strict=True):
            if isinstance(answer, dict):
                return _receipt_of(digest, answer)
        if trio.current_time() + pause > end:
            break
        await trio.sleep(pause)
        pause = min(2 * pause, _POLL_MAX_S)
    return None


def _receipt_of(digest: bytes, answer: Any) -> Receipt:
    receipt = Receipt.read(answer)
    if receipt.hash != digest:
        raise MalformedAnswerError("the receipt of another transaction")
    return receipt


async def failure_reason(
    rpc: RpcClient, sender: Address, plan: Plan, receipt: Receipt
) -> TransactionError:
    """Return why a mined transaction failed, from running it again on the block before."""
    request = plan.request(sender) | {"gas": hex(plan.gas)}
    try:
        await rpc.call("eth_call", request, hex(receipt.block - 1))
    except EndpointRefusedError as error:
        found = named_refusal(error)
        if isinstance(found, TransactionError):
            return found
    return TransactionRevertedError("no reason given", f"in block {receipt.block}")
