"""Reading the parameters of JSON-RPC requests: typed, bounded, every refusal named (SPEC 8.7)."""

import re
from typing import Any, Final

from peerstream.node.chain.devnet.errors import BadParametersError

_WORD_MAX: Final = 2**256 - 1
_NUMBER: Final = re.compile("0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile("0x(?:[0-9a-fA-F]{2}){0,262144}")
Json = dict[str, Any]


def quantity(value: object, maximum: int = _WORD_MAX) -> int:
    """Return a number given as 0x text or as a JSON number. Raises BadParametersError."""
    number = value if type(value) is int else _from_hex(value)
    if not 0 <= number <= maximum:
        raise BadParametersError("the number is out of range")
    return number


def _from_hex(value: object) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise BadParametersError("a number is 0x and hexadecimal digits")
    return int(value, 16)


def octets(value: object, size: int | None = None) -> bytes:
    """Return bytes given as 0x text, of exactly `size`. Raises BadParametersError."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise BadParametersError("bytes are 0x and hexadecimal digits")
    raw = bytes.fromhex(value[2:])
    if size is not None and len(raw) != size:
        raise BadParametersError(f"that is not {size} bytes")
    return raw


def address(value: object) -> bytes:
    """Return the 20 bytes of an address. Raises BadParametersError."""
    return octets(value, 20)


def table(value: object) -> Json:
    """Return a JSON object. Raises BadParametersError."""
    if not isinstance(value, dict):
        raise BadParametersError("that parameter is an object")
    return value


def flag(value: object) -> bool:
    """Return a truth value. Raises BadParametersError."""
    if not isinstance(value, bool):
        raise BadParametersError("that parameter is true or false")
    return value
