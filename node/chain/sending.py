"""Sending transactions one after another: nonces, replacement at a higher fee (SPEC 8.6)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.errors import (
    EndpointRefusedError,
    FeeTooLowError,
    NonceError,
    NotMinedError,
)
from peerstream.node.chain.quantities import read_quantity
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.transactions import (
    OUTBID_PERCENT,
    Fees,
    Plan,
    Receipt,
    current_fees,
    failure_reason,
    first_receipt,
    named_refusal,
    sign,
    submit,
    with_gas,
)

_SETTLE_S: Final = 2.0  # receipts of a block come a moment after its nonces


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
    replacements: int = 8
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
        plan = await with_gas(self.rpc, self.address, plan)
        async with self._lock:
            nonce, self._next = await self._nonce(), None
            attempt = _Attempt(self, plan, nonce, await current_fees(self.rpc))
            receipt = await attempt.run()
            self._next = attempt.nonce + 1
        if not receipt.succeeded:
            raise await failure_reason(self.rpc, self.address, plan, receipt)
        return receipt

    async def _nonce(self) -> int:
        return await self.mined_nonce() if self._next is None else self._next

    async def mined_nonce(self) -> int:
        """Return the account's next nonce after all blocks."""
        # "latest", not "pending": a transaction of ours that hangs is replaced, not queued behind.
        answer = await self.rpc.call("eth_getTransactionCount", str(self.address), "latest")
        return read_quantity(answer)


@dataclass(slots=True)
class _Attempt:
    """One plan under one nonce, until one of its signed forms is mined."""

    sender: Sender
    plan: Plan
    nonce: int
    fees: Fees
    _taken: list[bytes] = field(default_factory=list)

    async def run(self) -> Receipt:
        for _ in range(self.sender.replacements + 1):
            receipt = await self._once()
            if receipt is not None:
                return receipt
        where = f"nonce {self.nonce} of {self.sender.address}"
        raise NotMinedError(f"{where} after {len(self._taken)} submissions")

    async def _once(self) -> Receipt | None:
        raw = sign(self.sender.secret, self.sender.chain_id, self.nonce, self.plan, self.fees)
        try:
            self._taken.append(await submit(self.sender.rpc, raw))
        except FeeTooLowError:
            # Another transaction hangs at this nonce, or the base fee went up.
            self.fees = self.fees.bumped(OUTBID_PERCENT)
            return None
        except NonceError:
            return await self._settle(keccak256(raw))
        receipt = await first_receipt(self.sender.rpc, self._taken, self.sender.patience_s)
        if receipt is None:
            self.fees = self.fees.bumped().at_least(await current_fees(self.sender.rpc))
        return receipt

    async def _settle(self, digest: bytes) -> Receipt | None:
        # The nonce is used. Perhaps by us: a connection can break after it was taken.
        hashes = [*self._taken, digest]
        receipt = await first_receipt(self.sender.rpc, hashes, _SETTLE_S)
        if receipt is not None:
            return receipt
        fresh = await self.sender.mined_nonce()
        if self._taken or fresh == self.nonce:
            raise NonceError(f"nonce {self.nonce} of {self.sender.address} was used by another")
        self.nonce = fresh
        return None


async def send_batch(
    rpc: RpcClient, chain_id: int, plans: Sequence[tuple[bytes, Plan]], patience_s: float = 60.0
) -> list[Receipt]:
    """Send plans with known gas, each from another account (secret of 32 bytes).

    They are submitted in this order without waiting for each other, and mined in it where fees
    alone decide, as on development chains. Raises TransactionError for the first that failed, or
    EndpointError.
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
    # Not in a JSON-RPC batch: anvil takes up the requests of one in an order of its own.
    hashes = [await submit(rpc, raw) for raw in raws]
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
