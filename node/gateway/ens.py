"""Names of ENS, read from the user's own node: forward and reverse must agree (SPEC 16.8).

Whoever resolves a name learns who is about to be dialled. So nobody is asked but an endpoint that
the user marked as their own, and no name that would need a server beside the chain is resolved.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.contract_calls import selector
from peerstream.node.chain.errors import ChainError
from peerstream.node.chain.quantities import WORD, read_octets, read_quantity, read_table
from peerstream.node.chain.rpc import ContractRevertedError, RpcClient
from peerstream.node.gateway.errors import (
    BadEnsNameError,
    EnsEndpointError,
    EnsMismatchError,
    EnsOffchainError,
    EnsUnknownError,
)
from peerstream.node.gateway.names import EnsName

REGISTRY: Final = Address.parse("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e")
CHAINS: Final = frozenset({1, 11_155_111, 560_048})  # Ethereum, Sepolia, Hoodi: all at one address
DEVELOPMENT: Final = 31_337
NAME_MAX: Final = 255
KEPT_S: Final = 300.0
KEPT_MAX: Final = 1_024

_RESOLVER: Final = selector("resolver(bytes32)")
_ADDR: Final = selector("addr(bytes32)")
_NAME: Final = selector("name(bytes32)")
_OFFCHAIN: Final = selector("OffchainLookup(address,string[],bytes,bytes4,bytes)")  # EIP-3668
# What ENSIP-15 says of names in ASCII; all others are for the library, which is slow to load.
_PLAIN: Final = re.compile(r"_*[a-z0-9$-]+")
_EXTENSION: Final = re.compile(r"..--")


def normalise(name: str) -> str:
    """Return a name as ENSIP-15 has it, each label by itself. Raises BadEnsNameError."""
    labels = name.lower().split(".") if name.isascii() else [name]
    if name.isascii() and all(
        _PLAIN.fullmatch(one) and not _EXTENSION.match(one) for one in labels
    ):
        return ".".join(labels)
    from ens_normalize import DisallowedSequence, ens_normalize  # noqa: PLC0415 - 5 MB of tables

    try:
        return str(ens_normalize(name))
    except DisallowedSequence as error:
        raise BadEnsNameError(f"{name!a}: {str(error)!a}") from None


def namehash(name: str) -> bytes:
    """Return the node of a normalised name, 32 bytes (ERC-137)."""
    node = bytes(WORD)
    for label in reversed(name.split(".")):
        node = keccak256(node + keccak256(label.encode()))
    return node


@dataclass(slots=True)
class EnsFinder:
    """Finds addresses by name; `find` is the `FindName` of `library.destinations`.

    rpc: a node of the user's own, or ValueError. registry: of ENS, None for that of the chain.
    """

    rpc: RpcClient
    registry: Address | None = None
    _kept: dict[str, tuple[float, Address]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.rpc.own_node:
            raise ValueError("a name is told to an own node alone")

    async def find(self, name: EnsName) -> Address:
        """Return the address of a name that is also the name of the address. Raises EnsError."""
        wanted = normalise(name.text)
        at, kept = self._kept.get(wanted, (0.0, None))
        if kept is not None and trio.current_time() < at:
            return kept
        try:
            found = await self._ask(wanted)
        except ContractRevertedError as error:
            kind = EnsOffchainError if error.data[:4] == _OFFCHAIN else EnsUnknownError
            raise kind(wanted) from error
        except ChainError as error:
            raise EnsEndpointError(f"{type(error).__name__}: {error}") from error
        if len(self._kept) >= KEPT_MAX:
            self._kept.clear()
        self._kept[wanted] = (trio.current_time() + KEPT_S, found)
        return found

    async def _ask(self, wanted: str) -> Address:
        """Ask forward, then back, all as of one block."""
        chain = read_quantity(await self.rpc.call("eth_chainId"))
        if self.registry is None and chain not in CHAINS:
            raise EnsUnknownError(f"{wanted}: chain {chain} has no ENS")
        tag = "latest" if chain == DEVELOPMENT else "finalized"
        asked = _Asked(self.rpc, self.registry or REGISTRY, await self._block(tag))
        node = namehash(wanted)
        account = await asked.address(await asked.resolver(node, wanted), _ADDR, node)
        if account is None:
            raise EnsUnknownError(wanted)
        back = namehash(f"{account.raw.hex()}.addr.reverse")
        try:
            name = await asked.text(await asked.resolver(back, wanted), _NAME, back)
            agreed = normalise(name) == wanted
        except (EnsUnknownError, BadEnsNameError):
            agreed = False
        if not agreed:
            raise EnsMismatchError(f"{wanted} leads to {account}")
        return account

    async def _block(self, tag: str) -> str:
        header = read_table(await self.rpc.call("eth_getBlockByNumber", tag, False))
        return hex(read_quantity(header.get("number")))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions to the contracts of ENS, at one block."""

    rpc: RpcClient
    registry: Address
    block: str

    async def resolver(self, node: bytes, wanted: str) -> Address:
        """Return the resolver of a node. Raises EnsUnknownError."""
        found = await self.address(self.registry, _RESOLVER, node)
        if found is None:
            raise EnsUnknownError(wanted)
        return found

    async def address(self, contract: Address, function: bytes, node: bytes) -> Address | None:
        """Return the address that a function gives, None for zero. Raises EnsEndpointError."""
        word = await self._call(contract, function, node)
        if len(word) != WORD or any(word[:12]):
            raise EnsEndpointError("that is no address")
        return Address(word[12:]) if any(word) else None

    async def text(self, contract: Address, function: bytes, node: bytes) -> str:
        """Return the text that a function gives, "" for what is none or too long."""
        answer = await self._call(contract, function, node)
        start, size = answer[:WORD], int.from_bytes(answer[WORD : 2 * WORD], "big")
        if int.from_bytes(start, "big") != WORD or size > min(NAME_MAX, len(answer) - 2 * WORD):
            return ""
        return answer[2 * WORD : 2 * WORD + size].decode("utf-8", "replace")

    async def _call(self, contract: Address, function: bytes, node: bytes) -> bytes:
        """Return what a function of a node gives, in bytes."""
        question = {"to": str(contract), "data": "0x" + (function + node).hex()}
        return read_octets(await self.rpc.call("eth_call", question, self.block))
