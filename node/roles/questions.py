"""What a relay answers to questions of other nodes: `/psp/dir/1.0.0` (SPEC 6.13, 10.5)."""

from collections import Counter
from typing import Final

from peerstream.node.ports import Environment
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.directory.address_record import SignedAddressRecord
from peerstream.node.protocol.directory.bundle import (
    REQUEST_MAX,
    Done,
    Fetch,
    FetchView,
    Listing,
    Publish,
    Recall,
    Recalled,
    Replicate,
    Request,
    decode_request,
    frame,
    listing_of,
    merge,
)
from peerstream.node.protocol.directory.commands import Put
from peerstream.node.protocol.directory.errors import MalformedDocumentError, StaleDocumentError
from peerstream.node.protocol.directory.relay_descriptor import SignedRelayDescriptor
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.fetching import unframed
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.remembered import Remembered
from peerstream.node.roles.stores import Stores

PAGE_LIFE_S: Final = 0.5
PUBLISH_RATE, PUBLISH_BURST = 0.2, 8.0  # of one relay: it has two documents an epoch to tell
REPLICATE_RATE, REPLICATE_BURST = 20.0, 400.0  # of one relay
RECALL_RATE, RECALL_BURST = 0.2, 136.0  # of one relay: a full store, 64 MiB, at once


class Questions:
    """Answers Fetch and FetchView to anybody, the rest to relays of the set."""

    def __init__(self, environment: Environment, keeper: DirectoryKeeper, stores: Stores) -> None:
        self.answered: Counter[str] = Counter()  # by the kind of question
        self._environment = environment
        self._keeper = keeper
        self._stores = stores
        self._listings: Remembered[Listing] = Remembered(environment.clock.now, PAGE_LIFE_S)
        self._publishing: dict[bytes, TokenBucket] = {}
        self._replicating: dict[bytes, TokenBucket] = {}
        self._recalling: dict[bytes, TokenBucket] = {}
        keeper.changed.append(self._forget)

    def _forget(self) -> None:
        """Begin afresh with each epoch, so that no relay that left is remembered."""
        self._publishing.clear()
        self._replicating.clear()
        self._recalling.clear()

    async def answer(self, asker: bytes, question: bytes) -> bytes:
        """Return the framed answer. Raises MalformedDocumentError: the asker gets none."""
        if len(question) > REQUEST_MAX + 4:
            raise MalformedDocumentError(f"a question of {len(question)} bytes")
        request = decode_request(unframed(question))
        self.answered[type(request).__name__] += 1
        return self._answer(asker, request)

    def _answer(self, asker: bytes, request: Request) -> bytes:
        match request:
            case Fetch():
                return self._page(request)
            case FetchView():
                return self._view(request)
            case Publish():
                return _done(self._published(asker, request))
            case Replicate():
                return _done(self._replicated(asker, request))
            case Recall():
                return self._recalled(asker, request)

    def _page(self, fetch: Fetch) -> bytes:
        directory, epoch, after = self._keeper.directory, fetch.epoch, fetch.after
        listing = self._listings.get((epoch, after), lambda: listing_of(directory, epoch, after))
        return frame(listing.page(fetch.known).encode())

    def _view(self, request: FetchView) -> bytes:
        document = self._keeper.snapshot.documents.get(request.epoch)
        return _done(Status.NOT_FOUND) if document is None else frame(document)

    def _published(self, asker: bytes, publish: Publish) -> Status:
        if not self._keeper.knows(asker):
            return Status.DENIED
        if not self._may(self._publishing, asker, PUBLISH_RATE, PUBLISH_BURST):
            return Status.LIMIT
        if any(relay_id != asker for relay_id in _publishers(publish)):
            return Status.DENIED
        merged = merge(self._keeper.directory, publish, self._environment.clock.wall())
        for error in merged.refused:
            self._keeper.count(error)
        if not merged.refused:
            return Status.OK
        stale = all(isinstance(error, StaleDocumentError) for error in merged.refused)
        return Status.STALE_REVISION if stale else Status.BAD_RECORD

    def _replicated(self, asker: bytes, replicate: Replicate) -> Status:
        if not self._keeper.knows(asker):
            return Status.DENIED
        if not self._may(self._replicating, asker, REPLICATE_RATE, REPLICATE_BURST):
            return Status.LIMIT
        return self._stores.keep(Put(replicate.kind, replicate.document), replicate=False)

    def _recalled(self, asker: bytes, recall: Recall) -> bytes:
        if not self._keeper.knows(asker):
            return frame(Recalled((), b"").encode())
        if not self._may(self._recalling, asker, RECALL_RATE, RECALL_BURST):
            return _done(Status.LIMIT)
        return frame(Recalled(*self._stores.shared_with(asker, recall.after)).encode())

    def _may(
        self, buckets: dict[bytes, TokenBucket], asker: bytes, rate: float, burst: float
    ) -> bool:
        now = self._environment.clock.now()
        return buckets.setdefault(asker, TokenBucket(rate, burst, now)).take(now)


def _done(status: Status) -> bytes:
    return frame(Done(status).encode())


def _publishers(publish: Publish) -> list[bytes]:
    """Return whose documents these are, still unchecked. Raises MalformedDocumentError."""
    found = []
    if publish.descriptor:
        found.append(SignedRelayDescriptor.decode(publish.descriptor).descriptor.relay_id)
    if publish.addresses:
        found.append(SignedAddressRecord.decode(publish.addresses).record.relay_id)
    return found
