"""Writing to the identity registry: by the account itself, or by anybody with its signature
(SPEC 8.6).

A signed request names a random nonce key of 192 bits, whose first nonce is surely unused: who
signs needs no endpoint, and none learns of the account before the request is posted.
"""  # noqa: D205 - one sentence

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from peerstream.identity import eip712
from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.identity.json_text import read_json
from peerstream.identity.signer import Signer, TypedData
from peerstream.node.chain.abi import encode_call
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.errors import MalformedAnswerError, RequestFileError
from peerstream.node.chain.quantities import read_octets
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan, Receipt

SCHEMA: Final = "psp.request/1"
_CONTRACT: Final = "IdentityRegistry"
_NONCE_KEY_SIZE: Final = 24
_SEQUENCE_BITS: Final = 64
_SIGNATURE_MAX: Final = 8_192  # of a contract account; a plain one has 65


class Change(StrEnum):
    """What a request changes; the value is the function of the contract."""

    SET_IDENTITY = "setIdentity"
    REVOKE_BEFORE = "revokeBefore"
    REVOKE_DEVICE = "revokeDevice"


_MEMBERS: Final[Mapping[Change, tuple[str, str]]] = {
    Change.SET_IDENTITY: ("identityKey", "bytes32"),
    Change.REVOKE_BEFORE: ("time", "uint64"),
    Change.REVOKE_DEVICE: ("deviceKey", "bytes32"),
}


class NamedRegistry(Protocol):
    """Where a request goes: a Deployment or a ChainAnchor, so that signing needs no endpoint."""

    @property
    def network_id(self) -> bytes:
        """The network id, 32 bytes."""

    @property
    def identity_registry(self) -> Address:
        """The identity registry."""


@dataclass(frozen=True, slots=True)
class IdentityRequest:
    """What an account wants changed: a key of 32 bytes, or a time in unix seconds.

    deadline: unix seconds until when it may be posted.
    """

    change: Change
    account: Address
    value: bytes | int
    nonce: int
    deadline: int

    @classmethod
    def fresh(
        cls,
        change: Change,
        account: Address,
        value: bytes | int,
        *,
        deadline: int,
        entropy: Callable[[int], bytes],
    ) -> "IdentityRequest":
        """Make a request with an unused nonce."""
        key = int.from_bytes(entropy(_NONCE_KEY_SIZE), "big")
        return cls(change, account, value, key << _SEQUENCE_BITS, deadline)

    def typed_data(self, registry: NamedRegistry) -> TypedData:
        """Return what the account signs, as eth_signTypedData_v4 takes it."""
        return eip712.typed_data(self._struct(), registry.network_id, self._message(registry))

    def digest(self, registry: NamedRegistry) -> bytes:
        """Return the 32 bytes that the account's signature is over."""
        return eip712.digest(self._struct(), registry.network_id, self._message(registry))

    def sign(self, signer: Signer, registry: NamedRegistry) -> "SignedRequest":
        """Have the account sign it."""
        signature = signer.sign_typed_data(self.typed_data(registry))
        return SignedRequest(self, registry.network_id, signature)

    def summary(self) -> tuple[str, ...]:
        """Return in words what it does, a line each."""
        return (_words(self.change, self.account, self.value),)

    def _struct(self) -> eip712.Struct:
        name = self.change[0].upper() + self.change[1:]
        members = (
            ("registry", "address"),
            ("account", "address"),
            _MEMBERS[self.change],
            ("nonce", "uint256"),
            ("deadline", "uint256"),
        )
        return eip712.Struct(name, members)

    def _message(self, registry: NamedRegistry) -> dict[str, eip712.Atom]:
        return {
            "registry": registry.identity_registry,
            "account": self.account,
            _MEMBERS[self.change][0]: self.value,
            "nonce": self.nonce,
            "deadline": self.deadline,
        }


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that anybody may post, and the network that it is for."""

    request: IdentityRequest
    network_id: bytes
    signature: bytes

    def plan(self, registry: NamedRegistry) -> Plan:
        """Return how to post it. Raises RequestFileError for another network."""
        if self.network_id != registry.network_id:
            raise RequestFileError("the request is for another network")
        wanted = self.request
        fields = (str(wanted.account), wanted.value, wanted.nonce, wanted.deadline)
        data = encode_call(_CONTRACT, f"{wanted.change}For", (fields, self.signature))
        return Plan(to=registry.identity_registry, data=data, summary=wanted.summary())

    def encode(self) -> bytes:
        """Return it as a file."""
        value = self.request.value
        found = {
            "schema": SCHEMA,
            "network_id": "0x" + self.network_id.hex(),
            "change": str(self.request.change),
            "account": str(self.request.account),
            "value": value if isinstance(value, int) else "0x" + value.hex(),
            "nonce": hex(self.request.nonce),
            "deadline": self.request.deadline,
            "signature": "0x" + self.signature.hex(),
        }
        return (json.dumps(found, indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> "SignedRequest":
        """Read a file. Raises RequestFileError."""
        try:
            return cls._read(read_json(data))
        except (ValueError, TypeError, KeyError, AddressError, MalformedAnswerError) as error:
            raise RequestFileError(f"no {SCHEMA}: {type(error).__name__}") from error

    @classmethod
    def _read(cls, found: Mapping[str, Any]) -> "SignedRequest":
        change, value = Change(found["change"]), found["value"]
        is_time = change is Change.REVOKE_BEFORE
        signature = read_octets(found["signature"])
        if found["schema"] != SCHEMA or len(signature) > _SIGNATURE_MAX:
            raise RequestFileError(f"the file is no {SCHEMA}")
        request = IdentityRequest(
            change,
            Address.parse(found["account"]),
            _number(value, 64) if is_time else read_octets(value, 32),
            _number(int(found["nonce"], 16), 256),
            _number(found["deadline"], 256),
        )
        return cls(request, read_octets(found["network_id"], 32), signature)


def identity_change(registry: NamedRegistry, change: Change, value: bytes | int) -> Plan:
    """Return how the sender changes what the registry says of itself."""
    data = encode_call(_CONTRACT, change, (value,))
    return Plan(
        to=registry.identity_registry, data=data, summary=(_words(change, "the sender", value),)
    )


async def set_identity(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, identity_key: bytes
) -> Receipt:
    """List an identity key (32 bytes x-only) for the account of a secret key of 32 bytes."""
    plan = identity_change(deployment, Change.SET_IDENTITY, identity_key)
    return await Sender(rpc, account_key, deployment.chain_id).send(plan)


async def revoke_before(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, time: int
) -> Receipt:
    """Void what the account issued up to a unix second that is not in the future."""
    plan = identity_change(deployment, Change.REVOKE_BEFORE, time)
    return await Sender(rpc, account_key, deployment.chain_id).send(plan)


async def revoke_device(
    rpc: RpcClient, deployment: Deployment, account_key: bytes, device_key: bytes
) -> Receipt:
    """Void a device of the account, named by its Ed25519 key of 32 bytes, for ever."""
    plan = identity_change(deployment, Change.REVOKE_DEVICE, device_key)
    return await Sender(rpc, account_key, deployment.chain_id).send(plan)


def _words(change: Change, account: Address | str, value: bytes | int) -> str:
    shown = value if isinstance(value, int) else value.hex()
    if change is Change.SET_IDENTITY:
        return f"list identity key {shown} for {account}"
    if change is Change.REVOKE_BEFORE:
        return f"void what {account} issued up to unix second {shown}"
    return f"void device {shown} of {account} for ever"


def _number(value: Any, bits: int) -> int:
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise RequestFileError("a number is out of range")
    return value
