"""Frames of a link: one header, ten types, exact lengths (SPEC 0).

header = circuit u32 | type u8 | flags u8 | length u16, then `length` bytes of body.
"""

import struct
from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.sizes import (
    CELL_SIZES,
    LINK_HEADER_SIZE,
    REPLY_SIZE,
    SETUP_SIZE,
)
from peerstream.node.protocol.wire.status import DESTROY_REASONS, Status
from peerstream.node.protocol.wire.version import VersionRange

HEADER: Final = struct.Struct(">IBBH")
DIALER_CIRCUITS: Final = 0x8000_0000  # set in the ids that the connection's dialer chose
FRAME_BODY_MAX: Final = 0xFFFF

_HELLO = struct.Struct(">HHIQQI")
_PADDING_RATE = struct.Struct(">HHHBB")


class FrameType(IntEnum):
    """What a frame carries. A new type needs a new version of the link."""

    PADDING = 0
    SETUP = 1
    REPLY = 2
    CELL = 3
    CREDIT = 4
    DESTROY = 5
    HELLO = 6
    PADNEG = 7
    PING = 8
    PONG = 9


class FrameError(MalformedError):
    """A frame header that no version of ours writes: wrong type, length, flags or circuit.

    The two sides no longer agree where frames begin, so nothing after it can be read: close the
    link.
    """


LEGAL_LENGTHS: Final = MappingProxyType[FrameType, Container[int]](
    {
        FrameType.PADDING: range(FRAME_BODY_MAX + 1),
        FrameType.SETUP: frozenset({SETUP_SIZE}),
        FrameType.REPLY: frozenset({REPLY_SIZE}),
        FrameType.CELL: frozenset(CELL_SIZES),
        FrameType.CREDIT: frozenset({4}),
        FrameType.DESTROY: frozenset({4}),
        FrameType.HELLO: frozenset({_HELLO.size}),
        FrameType.PADNEG: frozenset({_PADDING_RATE.size}),
        FrameType.PING: frozenset({8}),
        FrameType.PONG: frozenset({8}),
    }
)
CIRCUIT_FRAMES: Final = frozenset(
    {FrameType.SETUP, FrameType.REPLY, FrameType.CELL, FrameType.CREDIT, FrameType.DESTROY}
)


def check_header(circuit: int, kind: int, flags: int, length: int) -> FrameType:
    """Return the type of a frame with this header; FrameError when no such frame exists.

    Called for every frame but cells of a known circuit, whose size that circuit compares itself.
    """
    if not FrameType.PADDING <= kind <= FrameType.PONG:
        raise FrameError(f"no frame has type {kind}")
    frame_type = FrameType(kind)
    if flags:
        raise FrameError(f"flags {flags:#x} of a {frame_type.name} are reserved")
    if length not in LEGAL_LENGTHS[frame_type]:
        raise FrameError(f"a {frame_type.name} never has {length} bytes")
    if (circuit != 0) != (frame_type in CIRCUIT_FRAMES):
        raise FrameError(f"a {frame_type.name} with circuit {circuit}")
    return frame_type


def encode_frame(circuit: int, frame_type: FrameType, body: bytes) -> bytes:
    """Header and body as one; LocalProtocolError for a frame that check_header would refuse."""
    try:
        check_header(circuit, frame_type, 0, len(body))
    except FrameError as error:
        raise LocalProtocolError("we must not send this frame") from error
    return HEADER.pack(circuit, frame_type, 0, len(body)) + body


def split_header(data: bytes | memoryview) -> tuple[int, int, int, int]:
    """(circuit, type, flags, length) of the first 8 bytes; FrameError when there are fewer."""
    if len(data) < LINK_HEADER_SIZE:
        raise FrameError(f"{len(data)} bytes are no frame header")
    circuit, kind, flags, length = HEADER.unpack_from(data)
    return circuit, kind, flags, length


def encode_credit(cells: int) -> bytes:
    """Body of a CREDIT: how many cells were granted since the circuit began, modulo 2^32."""
    return (cells & 0xFFFF_FFFF).to_bytes(4, "big")


def decode_credit(body: bytes | memoryview) -> int:
    """Return the cumulative count of a CREDIT."""
    reader = Reader(body)
    cells = reader.u32()
    reader.end()
    return cells


def encode_destroy(reason: Status) -> bytes:
    """Body of a DESTROY. Only DESTROY_REASONS may cross a link: the others describe the path."""
    if reason not in DESTROY_REASONS:
        raise LocalProtocolError(f"{reason.name} tells a neighbour too much")
    return bytes((reason, 0, 0, 0))


def decode_destroy(body: bytes | memoryview) -> Status:
    """Return the reason of a DESTROY; MalformedError when it must not cross a link."""
    reader = Reader(body)
    reason = reader.u8()
    reader.zeros(3)
    reader.end()
    if reason not in DESTROY_REASONS:
        raise MalformedError(f"no DESTROY has reason {reason}")
    return Status(reason)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first frame both ways: versions, features and limits of one side of a link.

    `epoch` is the newest the sender knows; `time` is unix seconds, 0 from a client, since a
    client's clock is a fingerprint. `features` are bits that both sides must set to be used.
    """

    versions: VersionRange
    features: int
    epoch: int
    time: int
    max_circuits: int

    def encode(self) -> bytes:
        """28 bytes; LocalProtocolError when a field does not fit."""
        try:
            return _HELLO.pack(
                *self.versions, self.features, self.epoch, self.time, self.max_circuits
            )
        except struct.error as error:
            raise LocalProtocolError("a field of our HELLO is out of range") from error

    @classmethod
    def decode(cls, body: bytes | memoryview) -> "Hello":
        """From exactly 28 bytes; MalformedError for another size or an empty version range."""
        reader = Reader(body)
        versions = VersionRange(reader.u16(), reader.u16())
        hello = cls(versions, reader.u32(), reader.u64(), reader.u64(), reader.u32())
        reader.end()
        if not 1 <= versions.lowest <= versions.highest:
            raise MalformedError(f"versions {versions.lowest} to {versions.highest}")
        return hello


@dataclass(frozen=True, slots=True)
class PaddingRate:
    """What a client asks of its guard: when to pad an idle link, or a constant rate.

    `idle_low` and `idle_high` in milliseconds: after a silence drawn between them one cell of
    padding; both 0 = none. `rate` in cells per second, 0 = only when idle.
    """

    idle_low: int
    idle_high: int
    rate: int
    cell_class: int

    def encode(self) -> bytes:
        """8 bytes; LocalProtocolError when a field does not fit."""
        try:
            return _PADDING_RATE.pack(self.idle_low, self.idle_high, self.rate, self.cell_class, 0)
        except struct.error as error:
            raise LocalProtocolError("a field of our PADNEG is out of range") from error

    @classmethod
    def decode(cls, body: bytes | memoryview) -> "PaddingRate":
        """From exactly 8 bytes; MalformedError for another size, order or class."""
        reader = Reader(body)
        rate = cls(reader.u16(), reader.u16(), reader.u16(), reader.u8())
        reader.zeros(1)
        reader.end()
        if rate.idle_low > rate.idle_high or rate.cell_class >= len(CELL_SIZES):
            raise MalformedError("no such padding")
        return rate
