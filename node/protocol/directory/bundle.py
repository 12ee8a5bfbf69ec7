"""Requests and answers of ``/psp/dir/1.0.0``, relay to relay and client to guard (SPEC 6.13).

One request and one answer a stream, each `length u32 | canonical CBOR`. The protocol is in the
clear to the relay asked: what everybody fetches whole tells nothing about who asks.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.address_record import ADDRESS_RECORD_MAX
from peerstream.node.protocol.directory.commands import DOCUMENT_MAX, Kind
from peerstream.node.protocol.directory.directory import Directory
from peerstream.node.protocol.directory.errors import DirectoryError, MalformedDocumentError
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_descriptor import DESCRIPTOR_MAX
from peerstream.node.protocol.directory.relay_set import RelayEntry
from peerstream.node.protocol.directory.static import STATIC_FILE_MAX
from peerstream.node.protocol.directory.store import RECALLED_BYTES, RECALLED_MAX
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.wire.status import Status

LENGTH_SIZE: Final = 4
REQUEST_MAX: Final = 20_480  # a record of 16 KiB to replicate
PAGE_RELAYS: Final = 256  # with 2 KiB and 512 bytes each, 640 KiB
ANSWER_MAX: Final = STATIC_FILE_MAX + 1_024
FINGERPRINT: Final = 8  # of a document; a second one with the same costs 2^64 hashes
RECALLED_SIZE: Final = RECALLED_BYTES + RECALLED_MAX * 8 + 64
KNOWN_MAX: Final = 2 * PAGE_RELAYS * FINGERPRINT
_STORED: Final = (Kind.RECORD, Kind.GRANT)


class _Operation(IntEnum):
    FETCH = 1
    PUBLISH = 2
    VIEW = 3
    REPLICATE = 4
    RECALL = 5


def frame(body: bytes, limit: int = ANSWER_MAX) -> bytes:
    """Return `length u32 | body`, as it goes on the stream."""
    if len(body) > limit:
        raise LocalProtocolError(f"a message of {len(body)} bytes")
    return len(body).to_bytes(LENGTH_SIZE, "big") + body


def frame_length(prefix: bytes, limit: int) -> int:
    """Return how many bytes follow the 4 of the prefix. Raises MalformedDocumentError."""
    length = int.from_bytes(prefix, "big")
    if len(prefix) != LENGTH_SIZE or length > limit:
        raise MalformedDocumentError(f"a message of {length} bytes")
    return length


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for descriptors of a key epoch, and addresses, of relays after `after` (b"" first).

    known: fingerprints of documents that the asker has, and need not be sent.
    """

    epoch: int
    after: bytes = b""
    known: bytes = b""

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode(
            {1: _Operation.FETCH.value, 2: self.epoch, 3: self.after, 4: self.known}
        )


@dataclass(frozen=True, slots=True)
class Publish:
    """Hand over a descriptor and an address record, each signed; one of them may be empty."""

    descriptor: bytes
    addresses: bytes

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode({1: _Operation.PUBLISH.value, 2: self.descriptor, 3: self.addresses})


@dataclass(frozen=True, slots=True)
class FetchView:
    """Ask for the relay set of an epoch: entries, static file or admissions, by the mode."""

    epoch: int

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode({1: _Operation.VIEW.value, 2: self.epoch})


@dataclass(frozen=True, slots=True)
class Replicate:
    """A record that one store hands to another; the receiver does not pass it on."""

    kind: Kind
    document: bytes

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode(
            {1: _Operation.REPLICATE.value, 2: self.kind.value, 3: self.document}
        )


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask another store for what the asker keeps too, of keys behind `after` (b"" first)."""

    after: bytes = b""

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode({1: _Operation.RECALL.value, 2: self.after})


Request = Fetch | Publish | FetchView | Replicate | Recall


def decode_request(data: bytes) -> Request:
    """Read a request without its length. Raises MalformedDocumentError."""
    value = document.decode(data, limit=REQUEST_MAX)
    operation = value.get(1) if isinstance(value, dict) else None
    if type(operation) is not int:
        raise MalformedDocumentError("no request")
    match operation:
        case _Operation.FETCH.value:
            read = document.Fields(value, required=4)
            return Fetch(read.number(2), _cursor(read.blob(3, 32)), _known(read.blob(4, KNOWN_MAX)))
        case _Operation.PUBLISH.value:
            read = document.Fields(value, required=3)
            return Publish(read.blob(2, DESCRIPTOR_MAX), read.blob(3, ADDRESS_RECORD_MAX))
        case _Operation.VIEW.value:
            return FetchView(document.Fields(value, required=2).number(2))
        case _Operation.REPLICATE.value:
            read = document.Fields(value, required=3)
            kind = Kind(read.number(2, max(_STORED), minimum=min(_STORED)))
            return Replicate(kind, read.blob(3, DOCUMENT_MAX[kind]))
        case _Operation.RECALL.value:
            return Recall(_cursor(document.Fields(value, required=2).blob(2, 32)))
    raise MalformedDocumentError("no request that we know")


def _cursor(after: bytes) -> bytes:
    if len(after) not in {0, 32}:
        raise MalformedDocumentError("a cursor is empty or 32 bytes")
    return after


def _known(fingerprints: bytes) -> bytes:
    if len(fingerprints) % FINGERPRINT:
        raise MalformedDocumentError("a fingerprint that is cut short")
    return fingerprints


def fingerprint(signed: bytes) -> bytes:
    """Return the 8 bytes by which an asker names a document that it has."""
    return sha256(signed).digest()[:FINGERPRINT]


def fingerprints(known: bytes) -> list[bytes]:
    """Return each fingerprint of those that an asker names."""
    return [known[i : i + FINGERPRINT] for i in range(0, len(known), FINGERPRINT)]


def _named(signed: bytes) -> tuple[bytes, bytes]:
    return fingerprint(signed), signed


@dataclass(frozen=True, slots=True)
class Page:
    """Descriptors and address records in wire form; `after` asks for the next page, b"" ends."""

    descriptors: tuple[bytes, ...]
    addresses: tuple[bytes, ...]
    after: bytes

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode({1: list(self.descriptors), 2: list(self.addresses), 3: self.after})

    @classmethod
    def decode(cls, data: bytes) -> "Page":
        """Read an answer to Fetch; its documents are still unchecked.

        Raises MalformedDocumentError.
        """
        read = document.Fields(document.decode(data, limit=ANSWER_MAX), required=3)
        return cls(
            _blobs(read.items(1, PAGE_RELAYS), DESCRIPTOR_MAX),
            _blobs(read.items(2, PAGE_RELAYS), ADDRESS_RECORD_MAX),
            _cursor(read.blob(3, 32)),
        )


def _blobs(items: list[Any], maximum: int) -> tuple[bytes, ...]:
    if any(not isinstance(item, bytes) or len(item) > maximum for item in items):
        raise MalformedDocumentError(f"a document is no byte string of up to {maximum}")
    return tuple(items)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a directory holds of the next relays: each document with its fingerprint before it."""

    descriptors: tuple[tuple[bytes, bytes], ...]
    addresses: tuple[tuple[bytes, bytes], ...]
    after: bytes

    def page(self, known: bytes) -> Page:
        """Return the answer to somebody who knows these: fingerprints in a row."""
        left_out = set(fingerprints(known))
        return Page(
            tuple(signed for key, signed in self.descriptors if key not in left_out),
            tuple(signed for key, signed in self.addresses if key not in left_out),
            self.after,
        )


def listing_of(directory: Directory, epoch: int, after: bytes) -> Listing:
    """Return descriptors of a key epoch and addresses of up to 256 relays behind `after`."""
    descriptors = directory.signed_descriptors(epoch)
    addresses = directory.signed_addresses()
    left = sorted(key for key in descriptors.keys() | addresses.keys() if key > after)
    chosen = left[:PAGE_RELAYS]
    return Listing(
        tuple(_named(descriptors[key]) for key in chosen if key in descriptors),
        tuple(_named(addresses[key]) for key in chosen if key in addresses),
        chosen[-1] if len(left) > len(chosen) else b"",
    )


def page_of(directory: Directory, fetch: Fetch) -> Page:
    """Return what the directory answers to a Fetch."""
    return listing_of(directory, fetch.epoch, fetch.after).page(fetch.known)


def fetch_from(directory: Directory, epoch: int, after: bytes) -> Fetch:
    """Return the question for the next page, of somebody who has this directory already."""
    own = listing_of(directory, epoch, after)
    return Fetch(epoch, after, b"".join(key for key, _ in (*own.descriptors, *own.addresses)))


@dataclass(frozen=True, slots=True)
class Merged:
    """How many documents were fine, and why each of the others was not."""

    kept: int
    refused: tuple[DirectoryError, ...]


def merge(directory: Directory, page: Page | Publish, wall: int) -> Merged:
    """Verify documents one by one and keep the good ones: a bad one spoils only itself."""
    if isinstance(page, Publish):
        page = Page(
            (page.descriptor,) if page.descriptor else (),
            (page.addresses,) if page.addresses else (),
            b"",
        )
    kept, refused = 0, []
    work = [(directory.add_descriptor, data) for data in page.descriptors]
    tasks = [*work, *((directory.add_addresses, data) for data in page.addresses)]
    for add, data in tasks:
        try:
            add(data, wall)
        except DirectoryError as error:
            refused.append(error)
        else:
            kept += 1
    return Merged(kept, tuple(refused))


@dataclass(frozen=True, slots=True)
class Done:
    """The answer to Publish and Replicate, and to a FetchView of an epoch that is not held."""

    status: Status

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode({1: self.status.value})

    @classmethod
    def decode(cls, data: bytes) -> "Done":
        """Read the wire form. Raises MalformedDocumentError."""
        number = document.Fields(document.decode(data, limit=16), required=1).number(1, 255)
        try:
            return cls(Status(number))
        except ValueError as error:
            raise MalformedDocumentError(f"status {number}") from error


@dataclass(frozen=True, slots=True)
class Recalled:
    """The answer to Recall: documents, unchecked, and the cursor of the next page; b"" ends."""

    documents: tuple[tuple[Kind, bytes], ...]
    after: bytes

    def encode(self) -> bytes:
        """Wire form without the length."""
        return document.encode(
            {1: [[kind.value, stored] for kind, stored in self.documents], 2: self.after}
        )

    @classmethod
    def decode(cls, data: bytes) -> "Recalled":
        """Read the wire form. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(data, limit=RECALLED_SIZE), required=2)
        items = read.items(1, RECALLED_MAX)
        return cls(tuple(_stored(item) for item in items), _cursor(read.blob(2, 32)))


def _stored(item: Any) -> tuple[Kind, bytes]:
    if not isinstance(item, list) or len(item) != 2 or item[0] not in _STORED:
        raise MalformedDocumentError("neither a record nor a grant")
    kind, stored = Kind(item[0]), item[1]
    if not isinstance(stored, bytes) or len(stored) > DOCUMENT_MAX[kind]:
        raise MalformedDocumentError(f"a {kind.name} of another size")
    return kind, stored


def encode_entries(entries: tuple[RelayEntry, ...]) -> bytes:
    """Return all leaves under a registry root, also those not in force: an answer to FetchView."""
    return document.encode({1: [entry.to_fields() for entry in entries]})


def decode_entries(data: bytes) -> tuple[RelayEntry, ...]:
    """Read what `encode_entries` wrote; `registry_view` checks it.

    Raises MalformedDocumentError.
    """
    read = document.Fields(document.decode(data, limit=ANSWER_MAX), required=1)
    return tuple(RelayEntry.from_fields(item) for item in read.items(1, CAPACITY))
