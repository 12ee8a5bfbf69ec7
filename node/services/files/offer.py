"""The documents that two sides exchange about a file (SPEC 11.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity.canonical import Fields, Value, decode_fields, encode
from peerstream.identity.errors import EncodingError
from peerstream.node.services.files.names import NAME_MAX
from peerstream.node.services.files.wire import DOCUMENT_MAX, FileStatus, MessageError

SIZE_MAX: Final = (1 << 63) - 1  # the largest offset of a file
HASH_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that the sender would send: `size` in bytes, `sha256` of the whole (32 B).

    The name of a decoded offer is hostile until `names.require_safe` returned it.
    """

    name: str
    size: int
    sha256: bytes

    def encode(self) -> bytes:
        """One document."""
        return encode({1: self.name, 2: self.size, 3: self.sha256})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one document; MessageError."""
        try:
            fields = _fields(data, (1, 2, 3))
            return cls(
                fields.text(1, NAME_MAX), fields.integer(2, SIZE_MAX), fields.octets(3, HASH_SIZE)
            )
        except EncodingError as error:
            raise MessageError("no OFFER") from error


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver says to an offer.

    With OK: it has `offset` bytes already, whose hash is `prefix` (32 B). Else both are empty.
    """

    status: FileStatus
    offset: int = 0
    prefix: bytes = b""

    def encode(self) -> bytes:
        """One document."""
        return _encode_outcome(self.status, {2: self.offset, 3: self.prefix})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one document; MessageError."""
        try:
            fields = _fields(data, (1, 2, 3))
            status = _status(fields, allow_ok=True)
            if status is FileStatus.OK:
                return cls(status, fields.integer(2, SIZE_MAX), fields.octets(3, HASH_SIZE))
            _require_absent(fields, (2, 3))
        except EncodingError as error:
            raise MessageError("no ANSWER") from error
        return cls(status)


@dataclass(frozen=True, slots=True)
class Begin:
    """Where the pieces that follow begin: at the answered offset, or at 0."""

    offset: int

    def encode(self) -> bytes:
        """One document."""
        return encode({1: self.offset})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one document; MessageError."""
        try:
            return cls(_fields(data, (1,)).integer(1, SIZE_MAX))
        except EncodingError as error:
            raise MessageError("no BEGIN") from error


@dataclass(frozen=True, slots=True)
class Receipt:
    """How it ended at the receiver: OK and the hash of what it stored (32 B), or why not."""

    status: FileStatus
    sha256: bytes = b""

    def encode(self) -> bytes:
        """One document."""
        return _encode_outcome(self.status, {2: self.sha256})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one document; MessageError."""
        try:
            fields = _fields(data, (1, 2))
            status = _status(fields, allow_ok=True)
            if status is FileStatus.OK:
                return cls(status, fields.octets(2, HASH_SIZE))
            _require_absent(fields, (2,))
        except EncodingError as error:
            raise MessageError("no RECEIPT") from error
        return cls(status)


@dataclass(frozen=True, slots=True)
class Abort:
    """The sender gives the file up; never OK."""

    status: FileStatus

    def encode(self) -> bytes:
        """One document."""
        return encode({1: int(self.status)})

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """From exactly one document; MessageError."""
        try:
            return cls(_status(_fields(data, (1,)), allow_ok=False))
        except EncodingError as error:
            raise MessageError("no ABORT") from error


def _fields(data: bytes, known: Iterable[int]) -> Fields:
    return decode_fields(data, known=known, max_size=DOCUMENT_MAX)


def _encode_outcome(status: FileStatus, details: dict[int, Value]) -> bytes:
    return encode({1: int(status), **(details if status is FileStatus.OK else {})})


def _status(fields: Fields, *, allow_ok: bool) -> FileStatus:
    number = fields.integer(1, max(FileStatus))
    if number == FileStatus.OK and not allow_ok:
        raise EncodingError("OK is no reason to give up")
    return FileStatus(number)


def _require_absent(fields: Fields, keys: Iterable[int]) -> None:
    if any(key in fields for key in keys):
        raise EncodingError("details of a refusal")
