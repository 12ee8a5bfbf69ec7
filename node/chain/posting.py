"""From a plan to a signed file that somebody else posts (SPEC 8.6)."""

import json
from dataclasses import dataclass
from typing import Final

from eth_account import Account
from eth_keys.exceptions import BadSignature, ValidationError
from rlp.exceptions import RLPException

from peerstream.identity.address import Address
from peerstream.identity.json_text import read_json
from peerstream.node.chain.abi import describe_call
from peerstream.node.chain.errors import (
    MalformedAnswerError,
    NotMinedError,
    RequestFileError,
    WrongChainError,
)
from peerstream.node.chain.quantities import read_octets, read_quantity
from peerstream.node.chain.rlp import decode
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.transactions import (
    Fees,
    Plan,
    Receipt,
    current_fees,
    failure_reason,
    first_receipt,
    sign,
    submit,
    with_gas,
)
from peerstream.node.chain.units import ether

SCHEMA: Final = "psp.transaction/1"
_TYPE: Final = b"\x02"
_FIELDS: Final = 12  # chain, nonce, tip, fee, gas, to, value, data, access list, v, r, s
_CHAIN, _NONCE, _TO, _VALUE, _DATA, _ACCESS_LIST = 0, 1, 5, 6, 7, 8


@dataclass(frozen=True, slots=True)
class Preview:
    """A plan that was run without effect: who sends it, with which nonce, and what it may cost."""

    plan: Plan
    sender: Address
    chain_id: int
    nonce: int
    fees: Fees

    @property
    def cost(self) -> int:
        """The most that it can take from the sender, in wei: value and gas."""
        return self.plan.value + self.plan.gas * self.fees.maximum

    def lines(self) -> tuple[str, ...]:
        """Return what will be signed, in words."""
        return (
            *self.plan.summary,
            f"from {self.sender} on chain {self.chain_id}, nonce {self.nonce}",
            f"to {self.plan.to or 'a new contract'}, value {ether(self.plan.value)}",
            f"gas up to {self.plan.gas} at up to {self.fees.maximum} wei",
            f"cost up to {ether(self.cost)}",
        )

    def sign(self, secret: bytes) -> "SignedTransaction":
        """Sign it with the sender's secret key of 32 bytes."""
        raw = sign(secret, self.chain_id, self.nonce, self.plan, self.fees)
        return SignedTransaction.of_raw(raw)


async def preview(rpc: RpcClient, sender: Address, plan: Plan) -> Preview:
    """Run a plan without effect. Raises TransactionError when it would fail, EndpointError."""
    chain_id = read_quantity(await rpc.call("eth_chainId"))
    plan = await with_gas(rpc, sender, plan)
    nonce = read_quantity(await rpc.call("eth_getTransactionCount", str(sender), "latest"))
    return Preview(plan, sender, chain_id, nonce, await current_fees(rpc))


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction that anybody can post. All but `raw` is read from `raw` itself."""

    raw: bytes
    sender: Address
    chain_id: int
    nonce: int
    to: Address | None
    value: int
    data: bytes

    @classmethod
    def of_raw(cls, raw: bytes) -> "SignedTransaction":
        """Read a raw transaction of type 2 (EIP-1559). Raises RequestFileError."""
        try:
            fields = _fields(raw)
            sender = Address.parse(Account.recover_transaction(raw))
        except (ValueError, TypeError, RLPException, BadSignature, ValidationError) as error:
            raise RequestFileError(f"no signed transaction: {type(error).__name__}") from error
        to = Address(fields[_TO]) if fields[_TO] else None
        numbers = [int.from_bytes(fields[place], "big") for place in (_CHAIN, _NONCE, _VALUE)]
        return cls(raw, sender, numbers[0], numbers[1], to, numbers[2], fields[_DATA])

    def lines(self) -> tuple[str, ...]:
        """Return what was signed, in words: from the bytes, whatever a file says of them."""
        return (
            f"from {self.sender} on chain {self.chain_id}, nonce {self.nonce}",
            f"to {self.to or 'a new contract'}, value {ether(self.value)}",
            *describe_call(self.data),
        )

    async def post(self, rpc: RpcClient, patience_s: float = 60.0) -> Receipt:
        """Post it and wait for it.

        Raises WrongChainError, TransactionError, as a subclass, or EndpointError.
        """
        if read_quantity(await rpc.call("eth_chainId")) != self.chain_id:
            raise WrongChainError(f"{rpc.name} is not of chain {self.chain_id}")
        digest = await submit(rpc, self.raw)
        receipt = await first_receipt(rpc, [digest], patience_s)
        if receipt is None:
            raise NotMinedError(f"0x{digest.hex()}")
        if not receipt.succeeded:
            plan = Plan(to=self.to, data=self.data, value=self.value, gas=receipt.gas_used)
            raise await failure_reason(rpc, self.sender, plan, receipt)
        return receipt

    def encode(self) -> bytes:
        """Return it as a file."""
        found = {"schema": SCHEMA, "raw": "0x" + self.raw.hex(), "summary": list(self.lines())}
        return (json.dumps(found, indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> "SignedTransaction":
        """Read a file. Raises RequestFileError."""
        try:
            found = read_json(data)
            raw = read_octets(found["raw"])
        except (ValueError, TypeError, KeyError, MalformedAnswerError) as error:
            raise RequestFileError(f"no {SCHEMA}: {type(error).__name__}") from error
        if found.get("schema") != SCHEMA:
            raise RequestFileError(f"the file is no {SCHEMA}")
        return cls.of_raw(raw)


def _fields(raw: bytes) -> list[bytes]:
    fields = decode(raw[1:])
    if raw[:1] != _TYPE or not isinstance(fields, list) or len(fields) != _FIELDS:
        raise RequestFileError("the transaction is not of type 2")
    if len(fields[_TO]) not in {0, 20} or fields[_ACCESS_LIST] != []:
        raise RequestFileError("the transaction is not one of ours")
    return [field if isinstance(field, bytes) else b"" for field in fields]
