"""The bytes of libp2p's Kademlia messages, as much of them as we use (SPEC 6.14).

Protocol buffers behind a length, as in libp2p's specification (kad-dht, "RPC messages"). Fields
that we do not know are passed over: other implementations send more of them.
"""

from collections.abc import Iterator
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from peerstream.node.protocol.directory.admission_book import PAGE_MAX
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.kademlia import PEER_ID_PREFIX, Contact, KadMessage, Kind
from peerstream.node.protocol.directory.subnets import Endpoint

QUESTION_MAX: Final = 2_048
ANSWER_MAX: Final = PAGE_MAX + 8_192
LENGTH_MAX: Final = 4  # bytes of the length before a message
KEY_MAX: Final = 128
PEERS_MAX: Final = 20  # libp2p's bucket size
_FIELDS_MAX: Final = 64
_ADDRESSES_MAX: Final = 16
_VARINT_MAX: Final = 10
_TYPE, _KEY, _RECORD, _CLOSER = 1, 2, 3, 8
_RECORD_KEY, _RECORD_VALUE = 1, 2
_PEER_ID, _PEER_ADDRESS, _PEER_CONNECTION = 1, 2, 3
_CAN_CONNECT: Final = 2
_IP4, _IP6, _TCP = b"\x04", b"\x29", b"\x06"  # the codes of multiaddr


class WireType(IntEnum):
    """How a field of a protocol buffer is written; groups are no more."""

    NUMBER = 0
    EIGHT = 1
    BYTES = 2
    FOUR = 5


# Reading


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends. Raises MalformedDocumentError."""
    value = 0
    for place, byte in enumerate(data[at : at + _VARINT_MAX]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise MalformedDocumentError("a number without an end")


def read_length(prefix: bytes, limit: int) -> tuple[int, int] | None:
    """Return the size of the message and of the length before it; None while bytes are missing.

    Raises MalformedDocumentError for more than `limit`.
    """
    if all(byte >= 0x80 for byte in prefix[:LENGTH_MAX]) and len(prefix) < LENGTH_MAX:
        return None
    size, at = _varint(prefix[:LENGTH_MAX], 0)
    if size > limit:
        raise MalformedDocumentError(f"a message of {size} bytes")
    return size, at


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Iterate over number and value of each field. Raises MalformedDocumentError."""
    at = 0
    for _ in range(_FIELDS_MAX):
        if at == len(data):
            return
        tag, at = _varint(data, at)
        value: int | bytes
        match tag & 7:
            case WireType.NUMBER:
                value, at = _varint(data, at)
            case WireType.BYTES:
                size, at = _varint(data, at)
                value, at = data[at : at + size], at + size
            case WireType.EIGHT | WireType.FOUR as width:
                size = 8 if width == WireType.EIGHT else 4
                value, at = data[at : at + size], at + size
            case _:
                raise MalformedDocumentError("a kind of field that is no more")
        if at > len(data):
            raise MalformedDocumentError("a field beyond the end of its message")
        yield tag >> 3, value
    if at != len(data):
        raise MalformedDocumentError(f"more than {_FIELDS_MAX} fields")


def _octets(value: int | bytes, maximum: int) -> bytes:
    if not isinstance(value, bytes) or len(value) > maximum:
        raise MalformedDocumentError(f"no bytes of up to {maximum}")
    return value


def decode_message(data: bytes) -> KadMessage:
    """Read a message without its length. Raises MalformedDocumentError."""
    kind, key, value = Kind.PUT_VALUE, b"", None  # what is zero is left out
    closer: list[Contact] = []
    peers = 0
    for number, found in _fields(data):
        if number == _TYPE:
            kind = _kind(found)
        elif number == _KEY:
            key = _octets(found, KEY_MAX)
        elif number == _RECORD:
            value = _record_value(_octets(found, ANSWER_MAX))
        elif number == _CLOSER:
            peers += 1
            closer.extend(_contacts(_octets(found, QUESTION_MAX)))
    if peers > PEERS_MAX:
        raise MalformedDocumentError(f"{peers} peers in one answer")
    return KadMessage(kind, key, value, tuple(closer))


def _kind(number: int | bytes) -> Kind:
    try:
        return Kind(number)  # type: ignore[arg-type]  # bytes are no kind either
    except ValueError as error:
        raise MalformedDocumentError("no kind of message that we know") from error


def _record_value(data: bytes) -> bytes:
    value = b""
    for number, found in _fields(data):
        if number == _RECORD_VALUE:
            value = _octets(found, PAGE_MAX)
    return value


def _contacts(data: bytes) -> list[Contact]:
    """Return the peer, or nothing: one without an Ed25519 key or a plain address is no relay."""
    peer, endpoints = b"", []
    for number, found in _fields(data):
        if number == _PEER_ID:
            peer = _octets(found, QUESTION_MAX)
        elif number == _PEER_ADDRESS:
            endpoints.extend(_endpoints(_octets(found, QUESTION_MAX)))
    relay_id = peer.removeprefix(PEER_ID_PREFIX)
    if len(relay_id) != 32 or len(peer) != len(PEER_ID_PREFIX) + 32:
        return []
    return [Contact(relay_id, tuple(endpoints[:_ADDRESSES_MAX]))]


def _endpoints(data: bytes) -> list[Endpoint]:
    """Return what a binary multiaddr says, nothing for others than IP and TCP."""
    for code, size, make in ((_IP4, 4, IPv4Address), (_IP6, 16, IPv6Address)):
        if len(data) == size + 4 and data[:1] == code and data[size + 1 : size + 2] == _TCP:
            text = f"/ip{4 if size == 4 else 6}/{make(data[1 : size + 1])}/tcp/"
            try:
                return [Endpoint.parse(text + str(int.from_bytes(data[-2:], "big")))]
            except MalformedDocumentError:
                return []
    return []


# Writing


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _number(number << 3 | WireType.NUMBER) + _number(value)
    return _number(number << 3 | WireType.BYTES) + _number(len(value)) + value


def encode_message(message: KadMessage) -> bytes:
    """Wire form with its length before it."""
    parts = [_field(_TYPE, message.kind), _field(_KEY, message.key)]
    if message.value is not None:
        record = _field(_RECORD_KEY, message.key) + _field(_RECORD_VALUE, message.value)
        parts.append(_field(_RECORD, record))
    parts.extend(_field(_CLOSER, _peer(contact)) for contact in message.closer)
    body = b"".join(parts)
    return _number(len(body)) + body


def _peer(contact: Contact) -> bytes:
    parts = [_field(_PEER_ID, PEER_ID_PREFIX + contact.relay_id)]
    parts.extend(_field(_PEER_ADDRESS, _multiaddr(each)) for each in contact.endpoints)
    return b"".join(parts) + _field(_PEER_CONNECTION, _CAN_CONNECT)


def _multiaddr(endpoint: Endpoint) -> bytes:
    address = endpoint.address
    code = _IP4 if address.version == 4 else _IP6
    return code + address.packed + _TCP + endpoint.port.to_bytes(2, "big")
