"""The two handshake messages as bytes (SPEC 5.2).

What is here is layout only; `handshake` seals and opens.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Final

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.session.errors import MalformedMessageError
from peerstream.node.protocol.session.frames import SERVICE_SIZE_MAX, TICKET_SIZE, TICKETS_MAX
from peerstream.node.protocol.session.schedule import PATH_NUMBER_MAX, SESSION_ID_SIZE
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.sizes import (
    CELL_SIZES,
    INTRODUCTION_BLOB_SIZE,
    JOIN_BLOB_SIZES,
    KEM_CIPHERTEXT_SIZE,
    TAG_SIZE,
)
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import TLV_HEADER_SIZE, decode_tlv, encode_tlv

VERSION: Final = 1
SUITE: Final = 1  # X-Wing, ML-KEM-768, X25519, AES-256-GCM, SHA-256
KEY_ID_SIZE: Final = 8
HEADER_1_SIZE: Final = 4 + KEY_ID_SIZE + KEM_CIPHERTEXT_SIZE
PAYLOAD_1_SIZE: Final = INTRODUCTION_BLOB_SIZE - HEADER_1_SIZE - TAG_SIZE
LATTICE_PUBLIC_SIZE: Final = 1_184
LATTICE_CIPHERTEXT_SIZE: Final = 1_088
POINT_SIZE: Final = 32
HEADER_2_SIZE: Final = POINT_SIZE + LATTICE_CIPHERTEXT_SIZE
CHAIN_SIZE_MAX: Final = 3_072
PROOF_SIZE: Final = 32
_FIXED_1 = Struct(f">{LATTICE_PUBLIC_SIZE}s32s32sQ32sBBHI8s")
FIELDS_1_SIZE: Final = PAYLOAD_1_SIZE - _FIXED_1.size
_RESUME = Struct(f">{SESSION_ID_SIZE}sI{PROOF_SIZE}s")
_PARAMETERS = Struct(">IIB")
_EARLY_ACCEPTED = 1
_TAKES_STREAM = 2


class Field1(IntEnum):
    """Optional fields of message 1; 6 is free."""

    POW = 1
    AUTH0 = 2
    TICKET = 3
    SERVICE = 4
    EARLY = 5
    RESUME = 7
    RP_DESC = 8


class Field2(IntEnum):
    """Optional fields of message 2."""

    PARAMS = 1
    EARLY_RESPONSE = 2
    TICKETS = 3
    STATUS = 4


@dataclass(frozen=True, slots=True)
class CallRequest:
    """What a caller asks for. ``epoch`` and ``root`` name its view of the relay set.

    ``early`` is the first bytes of stream 1 to ``service``. ``puzzle`` is a solution, ``ticket``
    48 bytes that skip the queue, ``rendezvous_descriptor`` a relay descriptor that the callee may
    not have. Empty values are not on the wire.
    """

    relay_id: bytes
    cookie: bytes = field(repr=False)
    epoch: int
    root: bytes
    level: int
    cell_class: int
    bucket: int
    service: str = ""
    early: bytes = field(default=b"", repr=False)
    puzzle: bytes = b""
    ticket: bytes = field(default=b"", repr=False)
    rendezvous_descriptor: bytes = b""


@dataclass(frozen=True, slots=True)
class ResumeClaim:
    """Which session the caller wants to go on with, its next path, and the MAC."""

    session_id: bytes
    first_path: int
    proof: bytes

    def encode(self) -> bytes:
        """Return 52 bytes."""
        return _RESUME.pack(self.session_id, self.first_path, self.proof)


@dataclass(frozen=True, slots=True)
class CallerClaim:
    """The caller's certificates and the MAC that it holds their device key."""

    chain: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Payload1:
    """All that message 1 hides."""

    lattice_public: bytes
    request: CallRequest
    claim: CallerClaim | None
    resume: ResumeClaim | None


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What the callee tells: its limits, whether EARLY was taken, the first bytes back.

    takes_stream: a stream to the service that the call named will be taken as soon as it is opened.
    """

    streams: int
    stream_window: int
    early_accepted: bool = False
    early_response: bytes = b""
    tickets: tuple[bytes, ...] = ()
    takes_stream: bool = False


def encode_payload1(payload: Payload1) -> bytes:
    """Return 8 036 bytes; LocalProtocolError when the fields do not fit."""
    request = payload.request
    fixed = _FIXED_1.pack(
        payload.lattice_public, request.relay_id, request.cookie, request.epoch, request.root,
        request.level, request.cell_class, 0, request.bucket, bytes(8),
    )  # fmt: skip
    values = {
        Field1.POW: request.puzzle,
        Field1.TICKET: request.ticket,
        Field1.SERVICE: request.service.encode(),
        Field1.EARLY: request.early,
        Field1.RP_DESC: request.rendezvous_descriptor,
    }
    fields: dict[int, bytes] = {int(kind): value for kind, value in values.items() if value}
    if payload.claim is not None:
        if len(payload.claim.chain) > CHAIN_SIZE_MAX:
            raise LocalProtocolError("the certificates are longer than 3 KiB")
        fields[Field1.AUTH0] = payload.claim.chain + payload.claim.proof
    if payload.resume is not None:
        fields[Field1.RESUME] = payload.resume.encode()
    return fixed + encode_tlv(fields, FIELDS_1_SIZE)


def decode_payload1(payload: bytes) -> Payload1:
    """Parse what message 1 hid; raises MalformedMessageError, UnknownCriticalError."""
    (
        lattice, relay_id, cookie, epoch, root, level, cell_class, flags, bucket, reserved,
    ) = _FIXED_1.unpack_from(payload)  # fmt: skip
    if flags or any(reserved) or cell_class >= len(CELL_SIZES) or level not in (1, 2):
        raise MalformedMessageError("a field of message 1 is out of range")
    fields = _fields(payload[_FIXED_1.size :], Field1)
    request = CallRequest(
        relay_id=relay_id,
        cookie=cookie,
        epoch=epoch,
        root=root,
        level=level,
        cell_class=cell_class,
        bucket=bucket,
        service=_service(fields.get(Field1.SERVICE)),
        early=fields.get(Field1.EARLY, b""),
        puzzle=fields.get(Field1.POW, b""),
        ticket=_ticket(fields.get(Field1.TICKET, b"")),
        rendezvous_descriptor=fields.get(Field1.RP_DESC, b""),
    )
    if request.early and not request.service:
        raise MalformedMessageError("early data for no service")
    claim, resume = _claim(fields.get(Field1.AUTH0)), _resume(fields.get(Field1.RESUME))
    return Payload1(lattice, request, claim, resume)


def _fields(data: bytes, kinds: type[IntEnum]) -> dict[int, bytes]:
    try:
        fields = decode_tlv(data, {int(kind) for kind in kinds})
    except MalformedError as error:
        raise MalformedMessageError(str(error)) from error
    if not all(fields.values()):
        raise MalformedMessageError("an empty field")
    return fields


def _service(value: bytes | None) -> str:
    if value is None:
        return ""
    if len(value) > SERVICE_SIZE_MAX:
        raise MalformedMessageError("a service name of more than 64 bytes")
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise MalformedMessageError("a service name that is not UTF-8") from None


def _ticket(value: bytes) -> bytes:
    if len(value) not in (0, TICKET_SIZE):
        raise MalformedMessageError(f"a ticket of {len(value)} bytes")
    return value


def _claim(value: bytes | None) -> CallerClaim | None:
    if value is None:
        return None
    if not PROOF_SIZE < len(value) <= CHAIN_SIZE_MAX + PROOF_SIZE:
        raise MalformedMessageError(f"AUTH0 of {len(value)} bytes")
    return CallerClaim(value[:-PROOF_SIZE], value[-PROOF_SIZE:])


def _resume(value: bytes | None) -> ResumeClaim | None:
    if value is None:
        return None
    if len(value) != _RESUME.size:
        raise MalformedMessageError(f"RESUME of {len(value)} bytes")
    claim = ResumeClaim(*_RESUME.unpack(value))
    if claim.first_path % 2 or claim.first_path > PATH_NUMBER_MAX // 2:
        raise MalformedMessageError(f"RESUME at path {claim.first_path}")
    return claim


def encode_payload2(answer: CallAnswer | Status) -> bytes:
    """Return 912 bytes if that holds the answer, else 8 048; LocalProtocolError if none does."""
    if isinstance(answer, Status):
        fields = {int(Field2.STATUS): bytes((answer,))}
    else:
        flags = _EARLY_ACCEPTED * answer.early_accepted + _TAKES_STREAM * answer.takes_stream
        values = {
            Field2.PARAMS: _PARAMETERS.pack(answer.streams, answer.stream_window, flags),
            Field2.EARLY_RESPONSE: answer.early_response,
            Field2.TICKETS: b"".join(answer.tickets),
        }
        fields = {int(kind): value for kind, value in values.items() if value}
    used = sum(TLV_HEADER_SIZE + len(value) for value in fields.values())
    small, large = (size - HEADER_2_SIZE - TAG_SIZE for size in JOIN_BLOB_SIZES)
    return encode_tlv(fields, small if used <= small else large)


def decode_payload2(payload: bytes) -> CallAnswer | Status:
    """Parse what message 2 hid; raises MalformedMessageError, UnknownCriticalError."""
    fields = _fields(payload, Field2)
    if Field2.STATUS in fields:
        return _status(fields[Field2.STATUS])
    parameters = fields.get(Field2.PARAMS, b"")
    if len(parameters) != _PARAMETERS.size:
        raise MalformedMessageError("an answer without parameters")
    streams, window, flags = _PARAMETERS.unpack(parameters)
    if flags > _EARLY_ACCEPTED + _TAKES_STREAM:
        raise MalformedMessageError(f"parameters with flags {flags}")
    tickets = fields.get(Field2.TICKETS, b"")
    if len(tickets) % TICKET_SIZE or len(tickets) > TICKET_SIZE * TICKETS_MAX:
        raise MalformedMessageError("tickets out of form")
    return CallAnswer(
        streams=streams,
        stream_window=window,
        early_accepted=bool(flags & _EARLY_ACCEPTED),
        takes_stream=bool(flags & _TAKES_STREAM),
        early_response=fields.get(Field2.EARLY_RESPONSE, b""),
        tickets=tuple(tickets[i : i + TICKET_SIZE] for i in range(0, len(tickets), TICKET_SIZE)),
    )


def _status(value: bytes) -> Status:
    try:
        status = Status(int.from_bytes(value, "big"))
    except ValueError:
        raise MalformedMessageError(f"status {value.hex()}") from None
    if len(value) != 1 or status is Status.OK:
        raise MalformedMessageError("a refusal that is none")
    return status


@dataclass(frozen=True, slots=True)
class Header1:
    """What stands in clear before the sealed part of message 1."""

    key_id: bytes
    ciphertext: bytes

    def encode(self) -> bytes:
        """Return 1 132 bytes."""
        return bytes((VERSION, SUITE, 0, 0)) + self.key_id + self.ciphertext


def decode_header1(message: bytes) -> tuple[int, int, Header1]:
    """Version, suite and the rest; raises MalformedMessageError for the wrong size."""
    if len(message) != INTRODUCTION_BLOB_SIZE:
        raise MalformedMessageError(f"message 1 of {len(message)} bytes")
    reader = Reader(message[:HEADER_1_SIZE])
    version, suite = reader.u8(), reader.u8()
    if reader.u16():
        raise MalformedMessageError("reserved bytes are not zero")
    return version, suite, Header1(reader.take(KEY_ID_SIZE), reader.rest())
