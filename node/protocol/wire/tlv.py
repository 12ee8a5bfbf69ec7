"""Optional fields of a message: type u8, length u16, value; type 0 ends them (SPEC 0)."""

from collections.abc import Container, Mapping
from typing import Final

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError
from peerstream.node.protocol.wire.reader import Reader

TLV_HEADER_SIZE: Final = 3
FIRST_CRITICAL: Final = 128  # a reader that does not know such a type must give up


class UnknownCriticalError(RemoteProtocolError):
    """A field that we must understand and do not: the sender is newer. Refuse the message."""


def encode_tlv(fields: Mapping[int, bytes], size: int) -> bytes:
    """`fields` in ascending order of type, then zeros up to exactly `size` bytes.

    Raises LocalProtocolError for a type outside 1..255 or fields that do not fit.
    """
    parts = []
    for kind, value in sorted(fields.items()):
        if not 1 <= kind <= 0xFF or len(value) > 0xFFFF:
            raise LocalProtocolError(f"field {kind} of {len(value)} bytes")
        parts.append(bytes((kind,)) + len(value).to_bytes(2, "big") + value)
    encoded = b"".join(parts)
    if len(encoded) > size:
        raise LocalProtocolError(f"fields of {len(encoded)} bytes in {size}")
    return encoded.ljust(size, b"\0")


def decode_tlv(data: bytes | memoryview, known: Container[int]) -> dict[int, bytes]:
    """Return the fields whose type is in `known`; an unknown type below 128 is skipped.

    Raises MalformedError when a field is cut off, out of ascending order (so there is one
    encoding per value and no field twice) or when the padding is not zero, UnknownCriticalError
    for an unknown type of 128 or more.
    """
    reader = Reader(data)
    fields: dict[int, bytes] = {}
    last = 0
    while reader.remaining and (kind := reader.u8()):
        value = reader.take(reader.u16())
        if kind <= last:
            raise MalformedError(f"field {kind} after field {last}")
        last = kind
        if kind in known:
            fields[kind] = value
        elif kind >= FIRST_CRITICAL:
            raise UnknownCriticalError(f"field {kind} is not known here and cannot be skipped")
    reader.zeros(reader.remaining)
    return fields
