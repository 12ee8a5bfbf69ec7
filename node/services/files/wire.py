"""Greeting, message heads and status codes of the service `file` (SPEC 11.1).

greeting = "psp/file" | lowest u16 | highest u16; message = kind u8 | length u24 | body.
"""

from enum import IntEnum
from types import MappingProxyType
from typing import Final

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.version import VersionRange

SERVICE: Final = "file"
FILE_VERSIONS: Final = VersionRange(1, 1)
GREETING_SIZE: Final = 12
HEAD_SIZE: Final = 4
DOCUMENT_MAX: Final = 512  # an OFFER with the longest name has 307
PIECE_MAX: Final = 262_144  # a receiver holds three at the most: one arrives, waits, is written
_MAGIC: Final = b"psp/file"


class Kind(IntEnum):
    """What a message is."""

    OFFER = 1
    ANSWER = 2
    BEGIN = 3
    PIECE = 4
    RECEIPT = 5
    ABORT = 6


class FileStatus(IntEnum):
    """Why a file was refused or given up; SPEC 11.2 says by whom."""

    OK = 0
    DECLINED = 1
    NAME = 2
    TOO_LARGE = 3
    QUOTA = 4
    NO_SPACE = 5
    BUSY = 6
    STORAGE = 7
    MISMATCH = 8
    DELIVERED = 9
    CHANGED = 10
    UNREADABLE = 11


LONGEST: Final = MappingProxyType[Kind, int](
    {kind: PIECE_MAX if kind is Kind.PIECE else DOCUMENT_MAX for kind in Kind}
)


class MessageError(MalformedError):
    """Bytes that no version of the service writes. Reset the stream: nothing after them counts."""


class MessageTooLongError(MessageError):
    """A message longer than its kind may be: somebody wants our memory. Reset the stream."""


def encode_greeting(versions: VersionRange) -> bytes:
    """12 bytes: the versions that we speak."""
    return _MAGIC + versions.lowest.to_bytes(2, "big") + versions.highest.to_bytes(2, "big")


def decode_greeting(data: bytes) -> VersionRange:
    """Return the peer's versions, not compared yet; MessageError for another protocol."""
    if len(data) != GREETING_SIZE or not data.startswith(_MAGIC):
        raise MessageError("this is no greeting of the service file")
    reader = Reader(data[len(_MAGIC) :])
    versions = VersionRange(reader.u16(), reader.u16())
    if not 1 <= versions.lowest <= versions.highest:
        raise MessageError(f"versions {versions.lowest} to {versions.highest}")
    return versions


def encode_head(kind: Kind, length: int) -> bytes:
    """4 bytes before a body; LocalProtocolError for a message that decode_head would refuse."""
    if not 1 <= length <= LONGEST[kind]:
        raise LocalProtocolError(f"a {kind.name} of {length} bytes")
    return bytes((kind,)) + length.to_bytes(3, "big")


def decode_head(data: bytes) -> tuple[Kind, int]:
    """Kind and length of the body; MessageError, MessageTooLongError."""
    if len(data) != HEAD_SIZE or not Kind.OFFER <= data[0] <= Kind.ABORT:
        raise MessageError(f"no message has kind {data[0] if data else None}")
    kind, length = Kind(data[0]), int.from_bytes(data[1:], "big")
    if length == 0:
        raise MessageError(f"a {kind.name} without a body")
    if length > LONGEST[kind]:
        raise MessageTooLongError(f"a {kind.name} of {length} bytes")
    return kind, length
