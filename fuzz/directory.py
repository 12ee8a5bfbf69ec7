"""Targets for chapter 6: every document of the directory, requests, answers, the store."""

from fuzz.target import Target, codec
from peerstream.node.protocol.directory.admission_book import decode_page, encode_page
from peerstream.node.protocol.directory.bundle import decode_entries, encode_entries
from peerstream.node.protocol.directory.commands import Kind, Put
from peerstream.node.protocol.directory.dir_hash import read_directory_page
from peerstream.node.protocol.directory.errors import MalformedDocumentError, RecordRefusedError
from peerstream.node.protocol.directory.kad_wire import (
    decode_message,
    encode_message,
    read_length,
)
from peerstream.node.protocol.directory.subnets import Endpoint
from tests.node.protocol.directory.admissions import RELAYS, admit, book_of
from tests.node.protocol.directory.network import WALL, relay
from tests.node.protocol.directory.test_documents import SAMPLES
from tests.node.protocol.directory.test_kademlia import MESSAGES, body
from tests.node.protocol.directory.test_store import record, store_of

ENTRIES = tuple(relay(n).entry for n in range(3))


def _endpoint(data: bytes) -> None:
    text = data.decode("latin-1")
    if str(Endpoint.parse(text)) != text:
        raise AssertionError("two spellings of one address")


def _store(data: bytes) -> None:
    store_of().put(Put(Kind.RECORD, data), WALL)


def _kad_message(data: bytes) -> None:
    """What is read and written again is read as the same."""
    message = decode_message(data)
    written = encode_message(message)
    size, at = read_length(written, len(written)) or (0, 0)
    if len(written) != size + at or decode_message(written[at:]) != message:
        raise AssertionError("a message changed when it was passed on")


def _admissions(data: bytes) -> None:
    book = book_of(RELAYS[:1])
    received = book.take(decode_page(data), WALL)
    if len(book) > 1 + received.new:
        raise AssertionError("a relay without an admission")


TARGETS: list[Target] = [
    *(
        codec(f"directory-{name}", decode, [sample], MalformedDocumentError,
              encode=lambda value: value.encode())
        for name, (decode, sample) in SAMPLES.items()
    ),
    codec("directory-entries", decode_entries, [encode_entries(ENTRIES)], MalformedDocumentError,
          encode=encode_entries),
    codec("directory-hash-page", read_directory_page, [bytes(range(64)), b"a" * 64 + b"b" * 64],
          MalformedDocumentError),
    codec("kad-message", _kad_message, [body(each) for each in MESSAGES], MalformedDocumentError),
    codec("kad-length", lambda data: read_length(data, 2_048), [b"\x05", b"\x80\x10", b"\xff" * 4],
          MalformedDocumentError),
    codec("admissions", _admissions, [encode_page([admit(each) for each in RELAYS[:4]])],
          MalformedDocumentError),
    codec("endpoint", _endpoint, [b"/ip4/127.1.0.1/tcp/4001", b"/ip6/2001:db8::1/tcp/9"],
          MalformedDocumentError),
    codec("store-put", _store, [record()], RecordRefusedError),
]  # fmt: skip
