"""Reading what an endpoint says: typed and bounded, or MalformedAnswerError (SPEC 8.3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from peerstream.node.chain.errors import MalformedAnswerError

# int() and fromhex() also take signs, spaces and underscores.
_QUANTITY: Final = re.compile("0x[0-9a-fA-F]{1,64}")
_OCTETS: Final = re.compile("0x(?:[0-9a-fA-F]{2}){0,1048576}")
WORD: Final = 32


def refuse(what: str) -> NoReturn:
    """Raise MalformedAnswerError."""
    raise MalformedAnswerError(f"the endpoint's answer: {what}")


def read_quantity(value: Any) -> int:
    """Return a number given as 0x text."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        refuse("a quantity is 0x and hexadecimal digits")
    return int(value, 16)


def read_octets(value: Any, size: int | None = None) -> bytes:
    """Return bytes given as 0x text, of exactly `size` when given."""
    if not isinstance(value, str) or not _OCTETS.fullmatch(value):
        refuse("bytes are 0x and hexadecimal digits")
    raw = bytes.fromhex(value[2:])
    if size is not None and len(raw) != size:
        refuse(f"{len(raw)} bytes where {size} belong")
    return raw


def read_table(value: Any) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        refuse("an object was expected")
    return value


def read_list(value: Any) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        refuse("a list was expected")
    return value


@dataclass(frozen=True, slots=True)
class Header:
    """What we use of a block: hash, parent and prevrandao of 32 bytes, unix seconds, state root."""

    number: int
    hash: bytes
    parent: bytes
    timestamp: int
    randomness: bytes
    state_root: bytes

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read a block as eth_getBlockByNumber gives it."""
        block = read_table(value)
        return cls(
            number=read_quantity(block.get("number")),
            hash=read_octets(block.get("hash"), WORD),
            parent=read_octets(block.get("parentHash"), WORD),
            timestamp=read_quantity(block.get("timestamp")),
            randomness=read_octets(block.get("mixHash"), WORD),
            state_root=read_octets(block.get("stateRoot"), WORD),
        )
