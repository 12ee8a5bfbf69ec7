"""What goes over a stream socket (SPEC 18.5): frames, bounded and typed, as bytes and values.

The same on both sides; nothing here waits or opens anything.
"""

import json
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple

from peerstream.identity.json_text import JsonTextError, read_json
from peerstream.node.ports import DATAGRAM_MAX

DATA_MAX: Final = 65_536
WINDOW: Final = 262_144  # bytes that may be sent and not yet taken, each way
JSON_MAX: Final = 16_384
_HEADER: Final = struct.Struct("!BI")
_LIFE: Final = struct.Struct("!I")  # milliseconds
_CREDIT: Final = struct.Struct("!I")
_RESET: Final = struct.Struct("!BB")


class FrameError(Exception):
    """The other end of a stream socket sent what no frame is: it is dropped. Update both ends."""


class Kind(IntEnum):
    """The type of a frame; the first byte."""

    REQUEST = 1
    ANSWER = 2
    ERROR = 3
    INCOMING = 4
    DATA = 16
    END = 17
    RESET = 18
    CREDIT = 19
    DATAGRAM = 20
    CLOSE = 21


_SIZES: Final = {
    Kind.REQUEST: (2, JSON_MAX),
    Kind.ANSWER: (2, JSON_MAX),
    Kind.ERROR: (2, JSON_MAX),
    Kind.INCOMING: (2, JSON_MAX),
    Kind.DATA: (1, DATA_MAX),
    Kind.END: (0, 0),
    Kind.RESET: (_RESET.size, _RESET.size),
    Kind.CREDIT: (_CREDIT.size, _CREDIT.size),
    Kind.DATAGRAM: (_LIFE.size, _LIFE.size + DATAGRAM_MAX),
    Kind.CLOSE: (0, 0),
}


class Frame(NamedTuple):
    """One frame: its type and its body."""

    kind: Kind
    body: bytes

    def read_object(self) -> dict[str, Any]:
        """Return the JSON object that it holds. Raises FrameError."""
        try:
            found = read_json(self.body)
        except (JsonTextError, RecursionError) as error:
            raise FrameError("the body is no JSON") from error
        if not isinstance(found, dict):
            raise FrameError("the body is no object")
        return found

    def read_credit(self) -> int:
        """Return how many bytes a CREDIT frame allows more."""
        number: int = _CREDIT.unpack(self.body)[0]
        return number

    def read_datagram(self) -> tuple[float, bytes]:
        """Return the life in seconds and the bytes of a DATAGRAM frame."""
        return _LIFE.unpack_from(self.body)[0] / 1_000, self.body[_LIFE.size :]

    def read_reset(self) -> tuple[int, bool]:
        """Return the status of a RESET frame, and whether the whole session ended."""
        status, session = _RESET.unpack(self.body)
        return status, bool(session)


def encode(kind: Kind, body: bytes = b"") -> bytes:
    """Return a frame as bytes."""
    return _HEADER.pack(kind, len(body)) + body


def encode_object(kind: Kind, value: dict[str, Any]) -> bytes:
    """Return a frame that holds a JSON object."""
    return encode(kind, json.dumps(value).encode())


def encode_credit(more: int) -> bytes:
    """Return a CREDIT frame."""
    return encode(Kind.CREDIT, _CREDIT.pack(more))


def encode_datagram(data: bytes, life_s: float) -> bytes:
    """Return a DATAGRAM frame; `life_s` of 0 to 60 seconds."""
    return encode(Kind.DATAGRAM, _LIFE.pack(int(life_s * 1_000)) + data)


def encode_reset(status: int, *, session: bool) -> bytes:
    """Return a RESET frame."""
    return encode(Kind.RESET, _RESET.pack(status, session))


class FrameReader:
    """Cuts bytes into frames. A header that no frame has is refused before its body is kept."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes in."""
        self._buffer += data

    def frames(self) -> Iterator[Frame]:
        """Give each whole frame that is there. Raises FrameError."""
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if len(self._buffer) < _HEADER.size:
            return None
        number, size = _HEADER.unpack_from(self._buffer)
        least, most = _SIZES.get(number, (1, 0))
        if not least <= size <= most:
            raise FrameError(f"a frame of type {number} and {size} bytes")
        end = _HEADER.size + size
        if len(self._buffer) < end:
            return None
        frame = Frame(Kind(number), bytes(self._buffer[_HEADER.size : end]))
        del self._buffer[:end]
        return frame
