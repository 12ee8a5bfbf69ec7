"""Sending transactions: nonces, fees, replacement, receipts, refusals by name (SPEC 8.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio
from eth_account import Account

from peerstream.identity.address import Address
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.abi import revert_error
from peerstream.node.chain.errors import (
    ChainError,
    EndpointRefusedError,
    NoFundsError,
    NonceError,
    NotMinedError,
    TransactionError,
    TransactionRevertedError,
)
from peerstream.node.chain.quantities import read_octets, read_quantity, read_table
from peerstream.node.chain.rpc import ContractRevertedError, RpcClient

TIP: Final = 10**9
_BUMP_PERCENT: Final = 125  # nodes take a replacement from 10 % on; several steps must suffice
_POLL_S: Final = 0.02
_POLL_MAX_S: Final = 2.0
_GAS_MARGIN_PERCENT: Final = 115


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a transaction shall do; `to` None creates a contract. gas 0: estimate it."""

    to: Address | None
    data: bytes = b""
    value: int = 0
    gas: int = 0


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

    def bumped(self) -> "Fees":
        """Return fees that replace a transaction with these."""
        return Fees(
            self.maximum * _BUMP_PERCENT // 100 + 1,
            min(self.tip * _BUMP_PERCENT // 100 + 1, self.maximum * _BUMP_PERCENT // 100 + 1),
        )


async def current_fees(rpc: RpcClient) -> Fees:
    """Return fees with which a transaction is mined soon."""
    block = read_table(await rpc.call("eth_getBlockByNumber", "latest", False))  # noqa: FBT003
    return Fees(2 * read_quantity(block.get("baseFeePerGas")) + TIP, TIP)


async def simulate(rpc: RpcClient, sender: Address, plan: Plan) -> int:
    """Return the gas that a plan needs. Raises TransactionError when it would fail."""
    request = {
        "from": str(sender),
        "data": "0x" + plan.data.hex(),
        "value": hex(plan.value),
        **({} if plan.to is None else {"to": str(plan.to)}),
    }
    try:
        return read_quantity(await rpc.call("eth_estimateGas", request))
    except EndpointRefusedError as error:
        raise named_refusal(error) from error


def named_refusal(error: EndpointRefusedError) -> ChainError:
    """Return our name for what an endpoint refused."""
    if isinstance(error, ContractRevertedError) and error.data:
        return revert_error(error.data)
    text = str(error).lower()
    if "nonce" in text or "already known" in text or "underpriced" in text:
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


@dataclass(slots=True)
class Sender:
    """One account that sends: its nonces are counted here, one transaction after another.

    patience_s: seconds until a transaction that is not mined is replaced at a higher fee;
    replacements: how often.
    """

    rpc: RpcClient
    secret: bytes = field(repr=False)
    chain_id: int
    patience_s: float = 30.0
    replacements: int = 4
    _next: int | None = None
    _lock: trio.Lock = field(default_factory=trio.Lock)

    @property
    def address(self) -> Address:
        """The account."""
        return LocalSigner(self.secret).address

    async def send(self, plan: Plan) -> Receipt:
        """Send one transaction and wait for it.

        Raises TransactionError, as a subclass, or EndpointError.
        """
        needed = plan.gas or await simulate(self.rpc, self.address, plan)
        gas = needed if plan.gas else needed * _GAS_MARGIN_PERCENT // 100
        plan = Plan(to=plan.to, data=plan.data, value=plan.value, gas=gas)
        async with self._lock:
            receipt = await self._send_until_mined(plan)
        if not receipt.succeeded:
            raise await failure_reason(self.rpc, self.address, plan, receipt)
        return receipt

    async def _send_until_mined(self, plan: Plan) -> Receipt:
        fees = await current_fees(self.rpc)
        nonce = await self._take_nonce()
        sent: list[bytes] = []
        for attempt in range(self.replacements + 1):
            try:
                sent.append(await self._submit(plan, nonce, fees))
            except NonceError:
                receipt = await first_receipt(self.rpc, sent, 0)
                if receipt is not None:
                    return self._mined(nonce, receipt)
                if sent or attempt:
                    raise
                nonce = await self._resync()
                sent.append(await self._submit(plan, nonce, fees))
            receipt = await first_receipt(self.rpc, sent, self.patience_s)
            if receipt is not None:
                return self._mined(nonce, receipt)
            fees = fees.bumped()
        self._next = None
        raise NotMinedError(f"nonce {nonce} of {self.address} after {len(sent)} tries")

    def _mined(self, nonce: int, receipt: Receipt) -> Receipt:
        self._next = nonce + 1
        return receipt

    async def _take_nonce(self) -> int:
        return await self._resync() if self._next is None else self._next

    async def _resync(self) -> int:
        # "latest", not "pending": a transaction of ours that hangs is replaced, not queued behind.
        answer = await self.rpc.call("eth_getTransactionCount", str(self.address), "latest")
        self._next = read_quantity(answer)
        return self._next

    async def _submit(self, plan: Plan, nonce: int, fees: Fees) -> bytes:
        raw = sign(self.secret, self.chain_id, nonce, plan, fees)
        try:
            return read_octets(await self.rpc.call("eth_sendRawTransaction", "0x" + raw.hex()), 32)
        except EndpointRefusedError as error:
            raise named_refusal(error) from error


async def first_receipt(
    rpc: RpcClient, hashes: Sequence[bytes], patience_s: float
) -> Receipt | None:
    """Return the receipt of the first of these that is mined, None after `patience_s`."""
    end, pause = trio.current_time() + patience_s, _POLL_S
    while hashes:
        answers = await rpc.batch([_receipt_request(digest) for digest in hashes])
        for answer in answers:
            if isinstance(answer, dict):
                return Receipt.read(answer)
        if trio.current_time() + pause > end:
            break
        await trio.sleep(pause)
        pause = min(2 * pause, _POLL_MAX_S)
    return None


def _receipt_request(digest: bytes) -> tuple[str, tuple[str]]:
    return "eth_getTransactionReceipt", ("0x" + digest.hex(),)


async def failure_reason(
    rpc: RpcClient, sender: Address, plan: Plan, receipt: Receipt
) -> TransactionError:
    """Return why a mined transaction failed, from running it again on the block before."""
    request = {
        "from": str(sender),
        "data": "0x" + plan.data.hex(),
        "value": hex(plan.value),
        "gas": hex(plan.gas),
        **({} if plan.to is None else {"to": str(plan.to)}),
    }
    try:
        await rpc.call("eth_call", request, hex(receipt.block - 1))
    except EndpointRefusedError as error:
        found = named_refusal(error)
        if isinstance(found, TransactionError):
            return found
    return TransactionRevertedError("no reason given", f"in block {receipt.block}")


async def send_batch(
    rpc: RpcClient, chain_id: int, plans: Sequence[tuple[bytes, Plan]], patience_s: float = 60.0
) -> list[Receipt]:
    """Send plans with known gas, each from another account (secret of 32 bytes), all at once.

    Raises TransactionError for the first that failed, or EndpointError.
    """
    fees = await current_fees(rpc)
    accounts = [LocalSigner(secret).address for secret, _ in plans]
    nonces = await rpc.batch(
        [("eth_getTransactionCount", (str(account), "latest")) for account in accounts]
    )
    raws = [
        sign(secret, chain_id, read_quantity(_given(nonce)), plan, fees)
        for (secret, plan), nonce in zip(plans, nonces, strict=True)
    ]
    hashes = [
        read_octets(_given(answer), 32)
        for answer in await rpc.batch(
            [("eth_sendRawTransaction", ("0x" + raw.hex(),)) for raw in raws]
        )
    ]
    receipts = []
    for account, (_, plan), digest in zip(accounts, plans, hashes, strict=True):
        receipt = await first_receipt(rpc, [digest], patience_s)
        if receipt is None:
            raise NotMinedError(f"a transaction of {account}")
        if not receipt.succeeded:
            raise await failure_reason(rpc, account, plan, receipt)
        receipts.append(receipt)
    return receipts


def _given(answer: Any) -> Any:
    if isinstance(answer, EndpointRefusedError):
        raise named_refusal(answer) from answer
    return answer
