"""Reading the parameters of JSON-RPC requests: typed, bounded, every refusal named (SPEC 8.6)."""

from typing import Any, Final

from peerstream.node.chain.devnet.errors import BadParametersError

_WORD_MAX: Final = 2**256 - 1
_DATA_MAX: Final = 262_144
Json = dict[str, Any]


def quantity(value: object, maximum: int = _WORD_MAX) -> int:
    """Return a number given as 0x text or as a JSON number. Raises BadParametersError."""
    number = value if type(value) is int else _from_hex(value)
    if not 0 <= number <= maximum:
        raise BadParametersError("the number is out of range")
    return number


def _from_hex(value: object) -> int:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 66:
        raise BadParametersError("a number is 0x and hexadecimal digits")
    try:
        return int(value, 16)
    except ValueError as error:
        raise BadParametersError("a number is 0x and hexadecimal digits") from error


def octets(value: object, size: int | None = None) -> bytes:
    """Return bytes given as 0x text, of exactly `size`. Raises BadParametersError."""
    if not isinstance(value, str) or not value.startswith("0x") or len(value) > 2 * _DATA_MAX + 2:
        raise BadParametersError("bytes are 0x and hexadecimal digits")
    try:
        raw = bytes.fromhex(value[2:])
    except ValueError as error:
        raise BadParametersError("bytes are 0x and hexadecimal digits") from error
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
