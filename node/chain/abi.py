"""Encoding calls and reading refusals by the committed ABI (SPEC 8.6).

Only for who writes to a chain: this loads eth-abi, which a node that reads does without.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.artifacts import CONTRACTS, load_artifact
from peerstream.node.chain.errors import (
    AlreadyRegisteredError,
    NoEquivocationError,
    RelaySlashedError,
    RequestExpiredError,
    RequestUsedError,
    RevocationTimeError,
    StakeLockedError,
    StakeTooLowError,
    StaleSiblingsError,
    TransactionRevertedError,
    WrongKeyError,
)

_NAMED: Final = {
    "RelayTreeStaleProof": StaleSiblingsError,
    "RelayRegistryStakeTooLow": StakeTooLowError,
    "RelayRegistryNotRegistered": WrongKeyError,
    "RelayRegistryLocked": StakeLockedError,
    "RelayRegistryAlreadyRegistered": AlreadyRegisteredError,
    "RelayRegistrySlashed": RelaySlashedError,
    "RelayRegistryNoEquivocation": NoEquivocationError,
    "IdentityRegistryBadRevocation": RevocationTimeError,
    "SigAuthExpired": RequestExpiredError,
    "InvalidAccountNonce": RequestUsedError,
    "SigAuthInvalidSignature": WrongKeyError,
}
_ADDRESS: Final = re.compile("0x[0-9a-f]{40}")
_REASON: Final = bytes.fromhex("08c379a0")
Json = dict[str, Any]


def encode_call(contract: str, function: str, arguments: Sequence[Any]) -> bytes:
    """Return selector and arguments of a function of one of our contracts."""
    item = next(i for i in _items(contract, "function") if i["name"] == function)
    return _selector(item) + encode(_types(item), list(arguments))


def encode_creation(contract: str, arguments: Sequence[Any]) -> bytes:
    """Return the bytecode of one of our contracts and the arguments of its constructor."""
    item = next(_items(contract, "constructor"))
    return load_artifact(contract).bytecode + encode(_types(item), list(arguments))


def revert_error(data: bytes) -> TransactionRevertedError:
    """Return the named error for what a contract gave as its reason."""
    if data[:4] == _REASON:
        return TransactionRevertedError("Error", " ".join(_decoded(["string"], data[4:])))
    item = _errors().get(data[:4])
    if item is None:
        return TransactionRevertedError(f"unknown error 0x{data[:4].hex()}")
    values = _decoded(_types(item), data[4:])
    names = [member["name"] for member in item["inputs"]]
    detail = ", ".join(f"{n} {_shown(v)}" for n, v in zip(names, values, strict=False))
    return _NAMED.get(item["name"], TransactionRevertedError)(item["name"], detail)


def describe_call(data: bytes) -> tuple[str, ...]:
    """Return in words which of our functions is called, and with what."""
    for name in CONTRACTS:
        for item in _items(name, "function"):
            if data[:4] == _selector(item):
                values = _decoded(_types(item), data[4:])
                members = zip(item["inputs"], values, strict=False)
                arguments = (f"  {member['name']}: {_shown(value)}" for member, value in members)
                return (f"call {name}.{item['name']}", *arguments)
    return (f"call with {len(data)} bytes that are not for our contracts",)


def event_signatures(contract: str) -> list[str]:
    """Return the signature of each event of one of our contracts."""
    return [f"{item['name']}({','.join(_types(item))})" for item in _items(contract, "event")]


def _items(contract: str, kind: str) -> Iterator[Json]:
    return (item for item in load_artifact(contract).abi if item["type"] == kind)


@cache
def _errors() -> dict[bytes, Json]:
    return {_selector(item): item for name in CONTRACTS for item in _items(name, "error")}


def _selector(item: Json) -> bytes:
    return keccak256(f"{item['name']}({','.join(_types(item))})".encode())[:4]


def _types(item: Json) -> list[str]:
    return [_type(member) for member in item["inputs"]]


def _type(member: Json) -> str:
    if not member["type"].startswith("tuple"):
        return str(member["type"])
    inner = ",".join(_type(part) for part in member["components"])
    return f"({inner}){member['type'].removeprefix('tuple')}"


def _decoded(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    try:
        return decode(types, data)
    except DecodingError:
        return ()


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_shown(part) for part in value) + ")"
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        return str(Address(bytes.fromhex(value[2:])))
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
