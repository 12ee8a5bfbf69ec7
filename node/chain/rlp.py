"""Reading RLP, in its one canonical form (SPEC 8.4; Ethereum yellow paper B)."""

from typing import Final

Item = bytes | list["Item"]
_DEPTH_MAX: Final = 8  # nodes of a trie within nodes: each level is below 32 bytes
_LIST: Final = 0xC0
_SHORT_MAX: Final = 55


class RlpError(ValueError):
    """The bytes are no RLP, or not in its canonical form."""


def decode(data: bytes) -> Item:
    """Return the item that the bytes are. Raises RlpError."""
    item, rest = _take(data, 0)
    if rest:
        raise RlpError("bytes after the item")
    return item


def _take(data: bytes, depth: int) -> tuple[Item, bytes]:
    if not data:
        raise RlpError("an item without its first byte")
    first = data[0]
    if first < 0x80:
        return data[:1], data[1:]
    base = 0x80 if first < _LIST else _LIST
    body, rest = _body(data, first - base)
    if base == _LIST:
        return _items(body, depth + 1), rest
    if len(body) == 1 and body[0] < 0x80:
        raise RlpError("one byte that needs no length")
    return body, rest


def _body(data: bytes, length: int) -> tuple[bytes, bytes]:
    start = 1
    if length > _SHORT_MAX:
        start += length - _SHORT_MAX
        digits = data[1:start]
        length = int.from_bytes(digits, "big")
        if len(digits) != start - 1 or digits[0] == 0 or length <= _SHORT_MAX:
            raise RlpError("a length in another form")
    if len(data) < start + length:
        raise RlpError("an item that is cut short")
    return data[start : start + length], data[start + length :]


def _items(body: bytes, depth: int) -> list[Item]:
    if depth > _DEPTH_MAX:
        raise RlpError("lists too deep")
    items: list[Item] = []
    while body:
        item, body = _take(body, depth)
        items.append(item)
    return items
