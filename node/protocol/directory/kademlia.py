"""What is said over libp2p's Kademlia, and what a node of it answers (SPEC 6.14).

The messages are libp2p's; `node.network` knows their bytes. One value is kept, the admissions of a
network, and every relay keeps all of it: being close to its key only decides who is asked first.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Final

from peerstream.identity.labels import ADMISSIONS_KEY
from peerstream.node.protocol.directory.admission_book import (
    OF_ONE_RELAY,
    AdmissionBook,
    decode_page,
)
from peerstream.node.protocol.directory.errors import (
    MalformedDocumentError,
    UnknownKeyError,
    UnservedQuestionError,
)
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.subnets import Endpoint

CLOSEST: Final = 8  # peers in an answer, and places that a value is put to and asked from
PUT_ITEMS: Final = OF_ONE_RELAY
PEER_ID_PREFIX: Final = bytes.fromhex("002408011220")  # SPEC 9.1
_KEY_PREFIX: Final = b"/psp/"  # libp2p names the kind of a value before the first slash


class Kind(IntEnum):
    """The messages of libp2p's Kademlia, by their numbers."""

    PUT_VALUE = 0
    GET_VALUE = 1
    ADD_PROVIDER = 2
    GET_PROVIDERS = 3
    FIND_NODE = 4
    PING = 5


@dataclass(frozen=True, slots=True)
class Contact:
    """A relay_id of 32 bytes and where somebody says that it listens."""

    relay_id: bytes
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class KadMessage:
    """A question or an answer. value: what the record holds, None without one."""

    kind: Kind
    key: bytes = b""
    value: bytes | None = None
    closer: tuple[Contact, ...] = ()


def protocol_of(network_id: bytes) -> str:
    """Return the libp2p protocol of one network's DHT: two networks never meet in one."""
    return f"/psp/kad/{network_id.hex()[:16]}/1.0.0"


def admissions_key(network_id: bytes, period: int) -> bytes:
    """Return the key of a period: another one each time, so that its neighbours change."""
    digest = hashlib.sha256(ADMISSIONS_KEY + network_id + period.to_bytes(8, "big")).digest()
    return _KEY_PREFIX + digest.hex().encode()


def nearest_first(key: bytes, relay_ids: Iterable[bytes]) -> list[bytes]:
    """Order relays by the XOR of the SHA-256 of a key and of their PeerIDs."""
    place = int.from_bytes(hashlib.sha256(key).digest(), "big")
    return sorted(relay_ids, key=lambda relay_id: place ^ _place(relay_id))


@lru_cache(maxsize=CAPACITY)  # an answer orders all relays, and strangers ask for it
def _place(relay_id: bytes) -> int:
    return int.from_bytes(hashlib.sha256(PEER_ID_PREFIX + relay_id).digest(), "big")


class Responder:
    """Answers what strangers ask of the DHT, from one book.

    `locate`: where a relay of the book can be reached, nothing if that is not known. `changed` is
    called when a put brought something new.
    """

    def __init__(
        self,
        book: AdmissionBook,
        locate: Callable[[bytes], tuple[Endpoint, ...]],
        changed: Callable[[], None],
    ) -> None:
        self._book = book
        self._locate = locate
        self._changed = changed

    def answer(self, question: KadMessage, wall: int) -> KadMessage:
        """Return the answer.

        Raises UnknownKeyError, UnservedQuestionError; what `AdmissionBook.add` raises for a put.
        """
        match question.kind:
            case Kind.PING:
                return KadMessage(Kind.PING)
            case Kind.FIND_NODE:
                return KadMessage(Kind.FIND_NODE, question.key, closer=self._closer(question.key))
            case Kind.GET_VALUE:
                return self._get(question, wall)
            case Kind.PUT_VALUE:
                return self._put(question, wall)
        raise UnservedQuestionError(question.kind.name)

    def _get(self, question: KadMessage, wall: int) -> KadMessage:
        """Answer with the page, or its digest in place of it to who names it and holds it too."""
        self._require_key(question.key, wall)
        digest = self._book.digest()
        value = digest if question.value == digest else self._book.page()
        return KadMessage(Kind.GET_VALUE, question.key, value, self._closer(question.key))

    def _put(self, question: KadMessage, wall: int) -> KadMessage:
        self._require_key(question.key, wall)
        documents = decode_page(question.value or b"")
        if len(documents) > PUT_ITEMS:
            raise MalformedDocumentError(f"{len(documents)} admissions at once")
        before = self._book.changes
        try:
            for data in documents:
                self._book.add(data, wall)
        finally:
            if self._book.changes != before:
                self._changed()
        return KadMessage(Kind.PUT_VALUE, question.key, question.value)

    def _require_key(self, key: bytes, wall: int) -> None:
        """Raise UnknownKeyError for a key that is not of this period nor of one beside it."""
        rules = self._book.rules
        period = wall // rules.period_s
        if key not in {admissions_key(rules.network_id, period + by) for by in (-1, 0, 1)}:
            raise UnknownKeyError(f"a key of {len(key)} bytes")

    def _closer(self, key: bytes) -> tuple[Contact, ...]:
        ordered = nearest_first(key, self._book.relay_ids())
        contacts = (Contact(relay_id, self._locate(relay_id)) for relay_id in ordered)
        return tuple(islice((contact for contact in contacts if contact.endpoints), CLOSEST))
