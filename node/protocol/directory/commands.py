"""Bodies of DIR_GET, DIR_PUT and DIR_RECORD, spoken to a store over a circuit (SPEC 6.11).

DIR_GET = kind u8 | key 32            DIR_PUT = kind u8 | document
DIR_RECORD = kind u8 | status u8 | document, or nothing when the status is not OK
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.control import MESSAGE_MAX
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.status import Status

KEY_SIZE: Final = 32


class Kind(IntEnum):
    """What is asked for; `key` is 32 bytes in each case."""

    RECORD = 1  # a descriptor record; key: the blinded key
    GRANT = 2  # a delegation that anybody may look up; key: its grant index
    DIRECTORY_HASH = 3  # 32 bytes; key: the epoch
    DIRECTORY_PAGE = 4  # relay_id | descriptor hash, 128 times; key: epoch and page


DOCUMENT_MAX: Final = {
    Kind.RECORD: MESSAGE_MAX - 2,
    Kind.GRANT: 1_024,
    Kind.DIRECTORY_HASH: 32,
    Kind.DIRECTORY_PAGE: 8_192,
}


def epoch_key(epoch: int, page: int = 0) -> bytes:
    """Return the key that asks for an epoch's hash or page: 16 zeros, epoch u64, page u64."""
    return bytes(16) + epoch.to_bytes(8, "big") + page.to_bytes(8, "big")


def read_epoch_key(key: bytes) -> tuple[int, int]:
    """Return epoch and page. Raises MalformedDocumentError."""
    if any(key[:16]):
        raise MalformedDocumentError("the key of an epoch begins with zeros")
    return int.from_bytes(key[16:24], "big"), int.from_bytes(key[24:], "big")


@dataclass(frozen=True, slots=True)
class Get:
    """A lookup."""

    kind: Kind
    key: bytes

    def encode(self) -> bytes:
        """Wire form, 33 bytes."""
        return bytes((self.kind,)) + self.key

    @classmethod
    def decode(cls, body: bytes) -> "Get":
        """Read a body. Raises MalformedDocumentError."""
        reader = Reader(body)
        try:
            get = cls(_kind(reader.u8()), reader.take(KEY_SIZE))
            reader.end()
        except MalformedError as error:
            raise MalformedDocumentError(f"DIR_GET: {error}") from error
        return get


@dataclass(frozen=True, slots=True)
class Put:
    """A publication: a RECORD or a GRANT."""

    kind: Kind
    document: bytes

    def encode(self) -> bytes:
        """Wire form."""
        return bytes((self.kind,)) + _bounded(self.kind, self.document)

    @classmethod
    def decode(cls, body: bytes) -> "Put":
        """Read a body. Raises MalformedDocumentError."""
        if not body or body[0] not in {Kind.RECORD, Kind.GRANT}:
            raise MalformedDocumentError("DIR_PUT of something that is not stored")
        kind = Kind(body[0])
        return cls(kind, _read_bounded(kind, body[1:]))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a store answers to either; a document only where the status is OK and one was asked."""

    kind: Kind
    status: Status
    document: bytes = b""

    def encode(self) -> bytes:
        """Wire form."""
        return bytes((self.kind, self.status)) + _bounded(self.kind, self.document)

    @classmethod
    def decode(cls, body: bytes) -> "Answer":
        """Read a body. Raises MalformedDocumentError."""
        reader = Reader(body)
        try:
            kind, status = _kind(reader.u8()), Status(reader.u8())
        except (MalformedError, ValueError) as error:
            raise MalformedDocumentError("DIR_RECORD without kind and status") from error
        document = _read_bounded(kind, reader.rest())
        if document and status is not Status.OK:
            raise MalformedDocumentError("a document where there was none")
        return cls(kind, status, document)


def _kind(number: int) -> Kind:
    try:
        return Kind(number)
    except ValueError as error:
        raise MalformedDocumentError(f"kind {number}") from error


def _bounded(kind: Kind, document: bytes) -> bytes:
    if len(document) > DOCUMENT_MAX[kind]:
        raise LocalProtocolError(f"{len(document)} bytes of {kind.name}")
    return document


def _read_bounded(kind: Kind, document: bytes) -> bytes:
    if len(document) > DOCUMENT_MAX[kind]:
        raise MalformedDocumentError(f"{len(document)} bytes of {kind.name}")
    return document
