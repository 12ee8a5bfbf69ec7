"""Deterministic CBOR: one encoding a value, integer keys, nothing exotic (SPEC 1.3, RFC 8949 4.2).

Values are integers of 64 bits, byte strings, text, booleans, arrays and maps with integer keys.
cbor2 writes. It does not read: its decoder runs the code behind a tag (it compiles regular
expressions and parses mail) before a caller could refuse the tag.
"""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias, final

import cbor2

from peerstream.identity.errors import CriticalFieldError, EncodingError

Value: TypeAlias = "int | bytes | str | bool | list[Value] | dict[int, Value]"

MAXIMUM_DEPTH: Final = 8  # our deepest document has 4 levels
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INTEGER_BOUND: Final = 1 << 64


def encode(value: Value) -> bytes:
    """Return the one encoding of a value; raises EncodingError for a value that has none."""
    return cbor2.dumps(_ordered(value, MAXIMUM_DEPTH))


def decode(data: bytes, *, max_size: int) -> Value:
    """Read exactly one value of at most ``max_size`` bytes.

    Raises EncodingError for anything that ``encode`` would not have written.
    """
    if len(data) > max_size:
        raise EncodingError(f"a document of {len(data)} bytes, at most {max_size} are allowed")
    reader = _Reader(bytes(data))
    value = reader.value(MAXIMUM_DEPTH)
    if reader.position != len(data):
        raise EncodingError("bytes behind the end of the document")
    return value


def decode_fields(data: bytes, *, known: Iterable[int], max_size: int) -> "Fields":
    """Read a document that is a map; raises EncodingError or CriticalFieldError."""
    return Fields(decode(data, max_size=max_size), known)


@final
class Fields:
    """Typed access to a decoded map.

    An unknown key of 0 or more is ignored; an unknown negative key raises CriticalFieldError.
    Each getter raises EncodingError when the field is missing, of another type or out of range.
    """

    __slots__ = ("_map",)

    def __init__(self, value: Value, known: Iterable[int]) -> None:
        if not isinstance(value, dict):
            raise EncodingError("a map was expected")
        unknown = [key for key in value.keys() - set(known) if key < 0]
        if unknown:
            raise CriticalFieldError(f"the critical field {min(unknown)} is unknown")
        self._map: Mapping[int, Value] = value

    def __contains__(self, key: int) -> bool:
        return key in self._map

    def integer(self, key: int, maximum: int) -> int:
        """Return an integer from 0 to ``maximum``."""
        return as_integer(self._get(key), maximum)

    def octets(self, key: int, size: int) -> bytes:
        """Return a byte string of exactly ``size`` bytes."""
        return as_octets(self._get(key), size)

    def octets_up_to(self, key: int, maximum: int) -> bytes:
        """Return a byte string of at most ``maximum`` bytes."""
        value = self._get(key)
        if type(value) is not bytes or len(value) > maximum:
            raise EncodingError(f"field {key} is no byte string of at most {maximum}")
        return value

    def text(self, key: int, maximum: int) -> str:
        """Return text of at most ``maximum`` bytes in UTF-8."""
        value = self._get(key)
        if type(value) is not str or len(value.encode()) > maximum:
            raise EncodingError(f"field {key} is no text of at most {maximum} bytes")
        return value

    def boolean(self, key: int) -> bool:
        """Return True or False."""
        value = self._get(key)
        if type(value) is not bool:
            raise EncodingError(f"field {key} is no boolean")
        return value

    def array(self, key: int, minimum: int, maximum: int) -> list[Value]:
        """Return an array of ``minimum`` to ``maximum`` values."""
        return as_array(self._get(key), minimum, maximum)

    def fields(self, key: int, known: Iterable[int]) -> "Fields":
        """Return a map inside the map, under the same rule for unknown keys."""
        return Fields(self._get(key), known)

    def _get(self, key: int) -> Value:
        try:
            return self._map[key]
        except KeyError as error:
            raise EncodingError(f"field {key} is missing") from error


def as_integer(value: Value, maximum: int) -> int:
    """Return the value as an integer from 0 to ``maximum``, or EncodingError."""
    if type(value) is not int or not 0 <= value <= maximum:
        raise EncodingError(f"no integer from 0 to {maximum}")
    return value


def as_octets(value: Value, size: int) -> bytes:
    """Return the value as a byte string of exactly ``size`` bytes, or EncodingError."""
    if type(value) is not bytes or len(value) != size:
        raise EncodingError(f"no byte string of {size}")
    return value


def as_array(value: Value, minimum: int, maximum: int) -> list[Value]:
    """Return the value as an array of ``minimum`` to ``maximum`` values, or EncodingError."""
    if not isinstance(value, list) or not minimum <= len(value) <= maximum:
        raise EncodingError(f"no array of {minimum} to {maximum} values")
    return value


def _ordered(value: object, depth: int) -> object:
    """Check a value and put its maps in the order of RFC 8949 4.2.1.

    cbor2's own canonical mode sorts as RFC 7049 did, shorter keys first, where -1 precedes 24.
    """
    if depth == 0:
        raise EncodingError(f"nested deeper than {MAXIMUM_DEPTH}")
    kind = type(value)
    if isinstance(value, list) and kind is list:
        return [_ordered(item, depth - 1) for item in value]
    if isinstance(value, dict) and kind is dict:
        keys = sorted((_checked_integer(key) for key in value), key=lambda key: (key < 0, abs(key)))
        return {key: _ordered(value[key], depth - 1) for key in keys}
    if isinstance(value, str) and kind is str:
        return _checked_text(value)
    if kind is bytes or kind is bool:
        return value
    return _checked_integer(value)


def _checked_integer(value: object) -> int:
    if type(value) is not int or not -_INTEGER_BOUND <= value < _INTEGER_BOUND:
        raise EncodingError("neither a map, an array, text, bytes, a boolean nor a 64-bit integer")
    return value


def _checked_text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EncodingError("text with half a surrogate pair") from error
    return value


@final
class _Reader:
    """A cursor over one document; accepts the shortest form of everything and nothing else."""

    __slots__ = ("_data", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> Value:
        if depth == 0:
            raise EncodingError(f"nested deeper than {MAXIMUM_DEPTH}")
        major, argument = self._head()
        if major in (_UNSIGNED, _NEGATIVE):
            return -1 - argument if major == _NEGATIVE else argument
        if major == _ARRAY:
            return [self.value(depth - 1) for _ in range(self._bounded(argument))]
        if major == _MAP:
            return self._map(argument, depth)
        if major == _SIMPLE:
            return argument == 21
        octets = self._take(argument)
        return octets if major == _BYTES else _decode_text(octets)

    def _map(self, length: int, depth: int) -> dict[int, Value]:
        entries: dict[int, Value] = {}
        previous = b""
        for _ in range(self._bounded(length)):
            start = self.position
            major, argument = self._head()
            if major not in (_UNSIGNED, _NEGATIVE):
                raise EncodingError("a map key that is no integer")
            written = self._data[start : self.position]
            if written <= previous:
                raise EncodingError("map keys out of order or twice")
            previous = written
            entries[-1 - argument if major == _NEGATIVE else argument] = self.value(depth - 1)
        return entries

    def _head(self) -> tuple[int, int]:
        """Major type and argument; the argument in its shortest form."""
        first = self._take(1)[0]
        major, information = first >> 5, first & 31
        if major == _TAG or (major == _SIMPLE and information not in (20, 21)):
            raise EncodingError("tags, floats, null and other simple values are not used")
        if information < 24:
            return major, information
        if information > 27:
            raise EncodingError("a reserved or indefinite length")
        size = 1 << (information - 24)
        argument = int.from_bytes(self._take(size))
        shorter_bound = 24 if size == 1 else 1 << (4 * size)
        if argument < shorter_bound:
            raise EncodingError("a number that is not in its shortest form")
        return major, argument

    def _bounded(self, count: int) -> int:
        """Refuse a length that the rest of the document cannot hold, before anything is made."""
        if count > len(self._data) - self.position:
            raise EncodingError("a length beyond the end of the document")
        return count

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.position:
            raise EncodingError("the document ends early")
        start = self.position
        self.position += size
        return self._data[start : self.position]


def _decode_text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise EncodingError("text that is no UTF-8") from error
