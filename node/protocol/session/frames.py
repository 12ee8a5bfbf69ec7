"""Frames: what a session cell holds (SPEC 5.6).

``type u8 | flags u8 | length u16 | body``, packed; type 0 is padding to the end and must be zero.
Numbers are big-endian. Unknown types below 128 are ignored, others end the session.
"""

from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status

HEADER = Struct(">BBH")
DATA = Struct(">BBHIQ")
DATA_BODY_MIN = DATA.size - HEADER.size
DATAGRAM = Struct(">BBHHIHHH")
DATAGRAM_BODY_MIN = DATAGRAM.size - HEADER.size
FIN = 1
SERVICE_SIZE_MAX = 64
CONTROL_SIZE_MAX = 640  # every frame but DATA and DGRAM fits the smallest cell behind a head
CONTACT_SIZE_MAX = 512
TICKET_SIZE = 48
TICKETS_MAX = 4
PROOF_SIZE = 32
REKEY1_PART = 608  # half an X-Wing public key
REKEY2_PART = 560  # half an X-Wing ciphertext
_CRITICAL = 128


class FrameType(IntEnum):
    """The first byte of a frame; 4 and 11 are free."""

    PADDING = 0
    DATA = 1
    OPEN = 2
    OPENED = 3
    RESET = 5
    CREDIT = 6
    ACK = 7
    PING = 8
    DGRAM = 9
    AUTH = 10
    ADD_PATH = 12
    PATH_STATUS = 13
    TICKETS = 14
    CLOSE = 15
    CONTACT = 16
    REKEY1 = 17
    REKEY2 = 18
    REKEY3 = 19
    SWITCH = 20


class Data(NamedTuple):
    """Bytes of a stream at an offset; ``fin`` when the stream ends behind them."""

    stream: int
    offset: int
    data: memoryview
    fin: bool


class Open(NamedTuple):
    """A new stream to a service."""

    stream: int
    service: str


class Opened(NamedTuple):
    """The service took the stream."""

    stream: int


class Reset(NamedTuple):
    """The sender of this gives the stream up in both directions; it sent up to ``final``."""

    stream: int
    final: int
    code: Status


class Credit(NamedTuple):
    """All bytes of the stream below ``limit`` may be sent."""

    stream: int
    limit: int


class Ack(NamedTuple):
    """Cells received on a path so far, kB/s of late, microseconds that the last one waited."""

    path: int
    cells: int
    rate: int
    held: int


class Ping(NamedTuple):
    """Acknowledge this cell at once."""


class Datagram(NamedTuple):
    """One part of a datagram; ``deadline`` is milliseconds of life when it was sealed."""

    flow: int
    frame: int
    part: int
    parts: int
    deadline: int
    data: memoryview


class Auth(NamedTuple):
    """The caller's proof."""

    proof: bytes


class AddPath(NamedTuple):
    """Join at this rendezvous relay: the caller listens there for one more path."""

    path: int
    relay_id: bytes
    cookie: bytes
    cell_class: int
    level: int


class PathStatus(NamedTuple):
    """A path is gone, or an offered one was not taken, and why."""

    path: int
    status: Status


class Tickets(NamedTuple):
    """Single-use tickets for later calls, 48 bytes each."""

    tickets: tuple[bytes, ...]


class Contact(NamedTuple):
    """A contact secret for the peer; the body is the identity layer's matter."""

    body: bytes


class Rekey1(NamedTuple):
    """Half a fresh KEM key; paths from ``first_path`` on come from the new chain."""

    rekey: int
    first_path: int
    part: int
    body: bytes


class Rekey2(NamedTuple):
    """Half the KEM ciphertext."""

    rekey: int
    part: int
    body: bytes


class Rekey3(NamedTuple):
    """The initiator has the secret."""

    rekey: int


class Switch(NamedTuple):
    """The last frame under the old key of this path and direction."""

    rekey: int


class Close(NamedTuple):
    """The session ends."""

    code: Status


Frame = (
    Data | Open | Opened | Reset | Credit | Ack | Ping | Datagram | Auth | AddPath | PathStatus
    | Tickets | Contact | Rekey1 | Rekey2 | Rekey3 | Switch | Close
)  # fmt: skip

_U32 = Struct(">I")
_RESET = Struct(">IQB")
_CREDIT = Struct(">IQ")
_ACK = Struct(">IQII")
_ADD_PATH = Struct(">I32s32sBB")
_PATH_STATUS = Struct(">IB")
_REKEY1 = Struct(f">IIB{REKEY1_PART}s")
_REKEY2 = Struct(f">IB{REKEY2_PART}s")
ACK_SIZE = HEADER.size + _ACK.size
SWITCH_SIZE = HEADER.size + _U32.size
PING_BYTES = HEADER.pack(FrameType.PING, 0, 0)


def _frame(kind: FrameType, body: bytes) -> bytes:
    return HEADER.pack(kind, 0, len(body)) + body


_ENCODERS: dict[type, Callable[..., bytes]] = {
    Open: lambda f: _frame(FrameType.OPEN, _U32.pack(f.stream) + f.service.encode()),
    Opened: lambda f: _frame(FrameType.OPENED, _U32.pack(*f)),
    Reset: lambda f: _frame(FrameType.RESET, _RESET.pack(*f)),
    Credit: lambda f: _frame(FrameType.CREDIT, _CREDIT.pack(*f)),
    Ack: lambda f: _frame(FrameType.ACK, _ACK.pack(*f)),
    Ping: lambda _: PING_BYTES,
    Auth: lambda f: _frame(FrameType.AUTH, f.proof),
    AddPath: lambda f: _frame(FrameType.ADD_PATH, _ADD_PATH.pack(*f)),
    PathStatus: lambda f: _frame(FrameType.PATH_STATUS, _PATH_STATUS.pack(*f)),
    Tickets: lambda f: _frame(FrameType.TICKETS, b"".join(f.tickets)),
    Contact: lambda f: _frame(FrameType.CONTACT, f.body),
    Rekey1: lambda f: _frame(FrameType.REKEY1, _REKEY1.pack(*f)),
    Rekey2: lambda f: _frame(FrameType.REKEY2, _REKEY2.pack(*f)),
    Rekey3: lambda f: _frame(FrameType.REKEY3, _U32.pack(*f)),
    Switch: lambda f: _frame(FrameType.SWITCH, _U32.pack(*f)),
    Close: lambda f: _frame(FrameType.CLOSE, bytes((f.code,))),
}


def encode(frame: Frame) -> bytes:
    """One frame's bytes; DATA and DGRAM are written in place by those who hold the data."""
    if isinstance(frame, Data):
        flags = FIN if frame.fin else 0
        length = DATA_BODY_MIN + len(frame.data)
        return DATA.pack(FrameType.DATA, flags, length, frame.stream, frame.offset) + frame.data
    if isinstance(frame, Datagram):
        length = DATAGRAM_BODY_MIN + len(frame.data)
        return DATAGRAM.pack(FrameType.DGRAM, 0, length, *frame[:5]) + frame.data
    return _ENCODERS[type(frame)](frame)


def _status(code: int) -> Status:
    try:
        return Status(code)
    except ValueError:
        raise MalformedFrameError(f"status {code}") from None


def _open(body: bytes) -> Open:
    name = body[4:]
    if not 1 <= len(name) <= SERVICE_SIZE_MAX:
        raise MalformedFrameError(f"OPEN with a name of {len(name)} bytes")
    try:
        return Open(_U32.unpack_from(body)[0], name.decode())
    except UnicodeDecodeError:
        raise MalformedFrameError("OPEN with a name that is not UTF-8") from None


def _reset(body: bytes) -> Reset:
    stream, final, code = _RESET.unpack(body)
    return Reset(stream, final, _status(code))


def _add_path(body: bytes) -> AddPath:
    offer = AddPath(*_ADD_PATH.unpack(body))
    if offer.cell_class >= len(CELL_SIZES) or offer.level not in {1, 2}:
        raise MalformedFrameError(f"a path of class {offer.cell_class}, level {offer.level}")
    return offer


def _path_status(body: bytes) -> PathStatus:
    path, code = _PATH_STATUS.unpack(body)
    return PathStatus(path, _status(code))


def _tickets(body: bytes) -> Tickets:
    if len(body) % TICKET_SIZE:
        raise MalformedFrameError("TICKETS with a piece of a ticket")
    return Tickets(tuple(body[i : i + TICKET_SIZE] for i in range(0, len(body), TICKET_SIZE)))


def _half(frame: Rekey1 | Rekey2) -> Rekey1 | Rekey2:
    if frame.part > 1:
        raise MalformedFrameError(f"part {frame.part} of a rekey")
    return frame


# Of each type: least and most bytes of the body, decoder.
_DECODERS: dict[int, tuple[int, int, Callable[[bytes], Frame]]] = {
    FrameType.OPEN: (5, 4 + SERVICE_SIZE_MAX, _open),
    FrameType.OPENED: (4, 4, lambda b: Opened(*_U32.unpack(b))),
    FrameType.RESET: (_RESET.size, _RESET.size, _reset),
    FrameType.CREDIT: (_CREDIT.size, _CREDIT.size, lambda b: Credit(*_CREDIT.unpack(b))),
    FrameType.ACK: (_ACK.size, _ACK.size, lambda b: Ack(*_ACK.unpack(b))),
    FrameType.PING: (0, 0, lambda _: Ping()),
    FrameType.AUTH: (PROOF_SIZE, PROOF_SIZE, Auth),
    FrameType.ADD_PATH: (_ADD_PATH.size, _ADD_PATH.size, _add_path),
    FrameType.PATH_STATUS: (_PATH_STATUS.size, _PATH_STATUS.size, _path_status),
    FrameType.TICKETS: (TICKET_SIZE, TICKET_SIZE * TICKETS_MAX, _tickets),
    FrameType.CLOSE: (1, 1, lambda b: Close(_status(b[0]))),
    FrameType.CONTACT: (1, CONTACT_SIZE_MAX, Contact),
    FrameType.REKEY1: (_REKEY1.size, _REKEY1.size, lambda b: _half(Rekey1(*_REKEY1.unpack(b)))),
    FrameType.REKEY2: (_REKEY2.size, _REKEY2.size, lambda b: _half(Rekey2(*_REKEY2.unpack(b)))),
    FrameType.REKEY3: (4, 4, lambda b: Rekey3(*_U32.unpack(b))),
    FrameType.SWITCH: (4, 4, lambda b: Switch(*_U32.unpack(b))),
}


def _decode(kind: int, body: memoryview) -> Frame | None:
    if kind == FrameType.DGRAM:
        return _datagram(body)
    entry = _DECODERS.get(kind)
    if entry is None:
        if kind >= _CRITICAL:
            raise MalformedFrameError(f"frame type {kind}")
        return None
    least, most, decoder = entry
    if not least <= len(body) <= most:
        raise MalformedFrameError(f"frame type {kind} with {len(body)} bytes")
    return decoder(bytes(body))


def _datagram(body: memoryview) -> Datagram:
    if len(body) < DATAGRAM_BODY_MIN:
        raise MalformedFrameError("DGRAM is too short")
    flow, frame, part, parts, deadline = _DATAGRAM_FIELDS.unpack_from(body)
    if part >= parts:
        raise MalformedFrameError(f"part {part} of {parts}")
    return Datagram(flow, frame, part, parts, deadline, body[DATAGRAM_BODY_MIN:])


_DATAGRAM_FIELDS = Struct(">HIHHH")
_DATA_TYPE = int(FrameType.DATA)


def decode_cell(text: bytes) -> list[Frame]:
    """All frames of a cell's plaintext, in order; raises MalformedFrameError."""
    frames: list[Frame] = []
    view = memoryview(text)
    position, size = 0, len(text)
    while position + HEADER.size <= size and text[position]:
        kind, flags, length = HEADER.unpack_from(text, position)
        body = position + HEADER.size
        end = body + length
        if end > size:
            raise MalformedFrameError(f"frame type {kind} runs past its cell")
        if kind == _DATA_TYPE:
            if length < DATA_BODY_MIN or flags > FIN:
                raise MalformedFrameError("DATA out of form")
            _, _, _, stream, offset = DATA.unpack_from(text, position)
            frames.append(Data(stream, offset, view[position + DATA.size : end], flags == FIN))
        else:
            _append(frames, kind, flags, view[body:end])
        position = end
    if position < size and text[position:] != bytes(size - position):
        raise MalformedFrameError("dirty padding")
    return frames


def _append(frames: list[Frame], kind: int, flags: int, body: memoryview) -> None:
    frame = _decode(kind, body)
    if frame is None:
        return
    if flags:
        raise MalformedFrameError(f"frame type {kind} with flags {flags}")
    frames.append(frame)
