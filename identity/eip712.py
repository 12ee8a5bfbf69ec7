"""EIP-712 over our own flat structs, from keccak alone (SPEC 1.5).

The domain is {name "PeerStream", version "1", salt network_id}. It has no chainId: wallets refuse
one that is not their active chain, and our networks may have no chain at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from peerstream.identity.address import Address
from peerstream.identity.errors import KeyMaterialError
from peerstream.identity.keys import keccak256
from peerstream.identity.network import NETWORK_ID_SIZE

Atom = str | bytes | int | Address

_NAME: Final = "PeerStream"
_VERSION: Final = "1"
_DOMAIN_MEMBERS: Final = (("name", "string"), ("version", "string"), ("salt", "bytes32"))
_WORD: Final = 32
_JSON_EXACT: Final = 2**53 - 1  # JavaScript reads JSON numbers as doubles, and rounds beyond it


@dataclass(frozen=True, slots=True)
class Struct:
    """A flat EIP-712 struct: its name and its members as (name, type)."""

    name: str
    members: tuple[tuple[str, str], ...]

    @property
    def type_hash(self) -> bytes:
        """The hash of ``Name(type member,...)``."""
        members = ",".join(f"{kind} {name}" for name, kind in self.members)
        return keccak256(f"{self.name}({members})".encode())

    def hash(self, message: Mapping[str, Atom]) -> bytes:
        """Return hashStruct of a message that has every member."""
        words = b"".join(_word(message[name]) for name, _ in self.members)
        return keccak256(self.type_hash + words)


_DOMAIN: Final = Struct("EIP712Domain", _DOMAIN_MEMBERS)


def digest(struct: Struct, network_id: bytes, message: Mapping[str, Atom]) -> bytes:
    """Return the 32 bytes that a wallet signs for the message."""
    domain = _DOMAIN.hash(_domain(network_id))
    return keccak256(b"\x19\x01" + domain + struct.hash(message))


def typed_data(struct: Struct, network_id: bytes, message: Mapping[str, Atom]) -> dict[str, Any]:
    """Return the JSON form of ``eth_signTypedData_v4``, as wallets in JavaScript can read it."""
    return {
        "types": {
            "EIP712Domain": _members(_DOMAIN),
            struct.name: _members(struct),
        },
        "primaryType": struct.name,
        "domain": {name: _json(value) for name, value in _domain(network_id).items()},
        "message": {name: _json(message[name]) for name, _ in struct.members},
    }


def _domain(network_id: bytes) -> dict[str, Atom]:
    if len(network_id) != NETWORK_ID_SIZE:
        raise KeyMaterialError("a network id is 32 bytes")
    return {"name": _NAME, "version": _VERSION, "salt": network_id}


def _members(struct: Struct) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in struct.members]


def _word(value: Atom) -> bytes:
    if isinstance(value, str):
        return keccak256(value.encode())
    if isinstance(value, Address):
        return value.raw.rjust(_WORD, b"\0")
    return value.to_bytes(_WORD) if isinstance(value, int) else value


def _json(value: Atom) -> str | int:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int) and value > _JSON_EXACT:
        return str(value)
    return str(value) if isinstance(value, Address) else value
