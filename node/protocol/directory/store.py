"""What a relay stores for addresses it cannot read: records and grants (SPEC 6.11).

A store checks everything that can be checked without knowing whose record it is. Records order
themselves by revision, so stores may hand them to each other and none can roll one back.
"""

import heapq
from collections import deque
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from peerstream.identity import canonical
from peerstream.identity.delegation import DelegationChecks, Scope, SignedDelegation
from peerstream.identity.descriptor.record import Record, RecordRules
from peerstream.identity.errors import IdentityError
from peerstream.node.protocol.directory.commands import DOCUMENT_MAX, Answer, Get, Kind, Put
from peerstream.node.protocol.directory.errors import (
    InvalidRecordError,
    NotResponsibleError,
    RecordNotFoundError,
    RecordRefusedError,
    StaleRevisionError,
    StoreFullError,
    TooManyUpdatesError,
)
from peerstream.node.protocol.directory.ring import Ring, grant_index
from peerstream.node.protocol.wire.status import Status

HOUR_S: Final = 3_600
RECALLED_MAX: Final = 2_048  # documents of an answer to another store ...
RECALLED_BYTES: Final = 524_288  # ... and bytes of them: a full store is 130 answers
GRANT_LIFE_S: Final = 86_400  # put again each day, as long as its owner wants to be listed
_GRANT_FIELDS: Final = range(1, 4)


@dataclass(frozen=True, slots=True)
class StoreRules:
    """records: what a record is judged by; budget in bytes of documents held."""

    records: RecordRules
    updates_per_hour: int
    budget: int


class Stored(NamedTuple):
    """Outcome of a PUT: where it lies, and who else should have it (nobody if nothing is new)."""

    key: bytes
    replicate_to: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    document: bytes
    order: int  # revision of a record, `issued` of a grant: the higher one wins
    expiry: int
    others: tuple[bytes, ...]  # relay_ids of its other stores


class DescriptorStore:
    """One relay's part of the ring. `wall` is unix seconds.

    Rings come from outside as periods begin: `set_ring`. A record of a period without a ring is
    not ours.
    """

    def __init__(self, relay_id: bytes, rules: StoreRules) -> None:
        self._relay_id = relay_id
        self._rules = rules
        self._rings: dict[int, Ring] = {}
        self._held: dict[tuple[Kind, bytes], _Held] = {}
        self._updates: dict[tuple[Kind, bytes], deque[int]] = {}
        self._by_expiry: list[tuple[int, Kind, bytes]] = []
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes of documents held."""
        return self._size

    def __len__(self) -> int:
        return len(self._held)

    def set_ring(self, ring: Ring) -> None:
        """Keep the ring of a period, with those of its two neighbours."""
        self._rings[ring.period] = ring
        self._rings = {p: r for p, r in self._rings.items() if abs(p - ring.period) <= 2}

    def put(self, put: Put, wall: int) -> Stored:
        """Check and keep a record or a grant. Raises RecordRefusedError, as a subclass."""
        if len(put.document) > DOCUMENT_MAX[put.kind]:
            raise InvalidRecordError(f"{len(put.document)} bytes of {put.kind.name}")
        if put.kind is Kind.RECORD:
            return self._put_record(put.document, wall)
        if put.kind is Kind.GRANT:
            return self._put_grant(put.document, wall)
        raise InvalidRecordError(f"{put.kind.name} is not stored")

    def get(self, get: Get, wall: int) -> bytes:
        """Return the newest document under a key. Raises RecordNotFoundError."""
        held = self._held.get((get.kind, get.key))
        if held is None or held.expiry <= wall:
            raise RecordNotFoundError(f"no {get.kind.name} under that key")
        return held.document

    def answer_put(self, put: Put, wall: int) -> tuple[Answer, tuple[bytes, ...]]:
        """Return the answer to a PUT, and the stores to hand the document to."""
        try:
            stored = self.put(put, wall)
        except RecordRefusedError as error:
            return Answer(put.kind, error.status), ()
        return Answer(put.kind, Status.OK), stored.replicate_to

    def answer_get(self, get: Get, wall: int) -> Answer:
        """Return the answer to a GET of a record or grant."""
        try:
            return Answer(get.kind, Status.OK, self.get(get, wall))
        except RecordNotFoundError:
            return Answer(get.kind, Status.NOT_FOUND)

    def shared_with(
        self, relay_id: bytes, after: bytes, wall: int
    ) -> tuple[tuple[tuple[Kind, bytes], ...], bytes]:
        """Documents whose store that relay is too, with keys behind `after`, in order of keys.

        As many as an answer holds, and the last one's key when there are more, else b"".
        """
        found = sorted(
            (key, kind)
            for (kind, key), held in self._held.items()
            if key > after and held.expiry > wall and relay_id in held.others
        )
        documents: list[tuple[Kind, bytes]] = []
        size = 0
        for key, kind in found[:RECALLED_MAX]:
            document = self._held[kind, key].document
            size += len(document)
            if size > RECALLED_BYTES:
                break
            documents.append((kind, document))
        end = found[len(documents) - 1][0] if len(documents) < len(found) else b""
        return tuple(documents), end

    def expire(self, wall: int) -> None:
        """Forget what is over. Call it every minute or so."""
        while self._by_expiry and self._by_expiry[0][0] <= wall:
            self._drop_first()
        for key, times in list(self._updates.items()):
            if times[-1] <= wall - HOUR_S:
                del self._updates[key]

    def _put_record(self, document: bytes, wall: int) -> Stored:
        try:
            record = Record.parse(document)
        except IdentityError as error:
            raise InvalidRecordError(str(error)) from error
        header = record.header
        others = self._others(header.period, header.blinded)
        place = (Kind.RECORD, header.blinded)
        if self._is_known(place, document, header.revision):
            return Stored(header.blinded, ())
        try:
            record.verify(now=wall, rules=self._rules.records)
        except IdentityError as error:
            raise InvalidRecordError(str(error)) from error
        self._keep(place, _Held(document, header.revision, header.expiry, others), wall)
        return Stored(header.blinded, others)

    def _put_grant(self, document: bytes, wall: int) -> Stored:
        try:
            fields = canonical.decode_fields(
                document, known=_GRANT_FIELDS, max_size=DOCUMENT_MAX[Kind.GRANT]
            )
            signed = SignedDelegation.from_fields(fields)
        except IdentityError as error:
            raise InvalidRecordError(str(error)) from error
        if canonical.encode(signed.to_fields()) != document:
            raise InvalidRecordError("a grant with fields that are not its own")
        places = self._grant_places(signed, wall)
        issued = signed.delegation.issued
        new = {
            key: others
            for key, others in places.items()
            if not self._is_known((Kind.GRANT, key), document, issued)
        }
        first = next(iter(places))
        if not new:
            return Stored(first, ())
        network_id = self._rules.records.network_id
        try:
            signed.verify(
                DelegationChecks(network_id=network_id, now=wall, required_scope=Scope.ACCEPT)
            )
        except IdentityError as error:
            raise InvalidRecordError(str(error)) from error
        expiry = min(signed.delegation.not_after, wall + GRANT_LIFE_S)
        for key, others in new.items():
            self._keep((Kind.GRANT, key), _Held(document, issued, expiry, others), wall)
        return Stored(first, tuple(dict.fromkeys(chain.from_iterable(new.values()))))

    def _grant_places(self, signed: SignedDelegation, wall: int) -> dict[bytes, tuple[bytes, ...]]:
        """Grant indices that are ours, with the other stores of each.

        A grant names no period: it is kept for the present one and for the next.
        """
        records = self._rules.records
        now = wall // records.period_seconds
        places = {}
        for period in (now, now + 1):
            key = grant_index(records.network_id, signed.delegation.account.raw, period)
            try:
                places[key] = self._others(period, key)
            except NotResponsibleError:
                continue
        if not places:
            raise NotResponsibleError("the grant belongs to other stores")
        return places

    def _others(self, period: int, key: bytes) -> tuple[bytes, ...]:
        ring = self._rings.get(period)
        stores = ring.responsible(key) if ring is not None else ()
        if self._relay_id not in stores:
            raise NotResponsibleError(f"not ours in period {period}")
        return tuple(store for store in stores if store != self._relay_id)

    def _is_known(self, place: tuple[Kind, bytes], document: bytes, order: int) -> bool:
        held = self._held.get(place)
        if held is None:
            return False
        if held.document == document:
            return True
        if order <= held.order:
            raise StaleRevisionError(f"revision {order} where {held.order} is stored")
        return False

    def _keep(self, place: tuple[Kind, bytes], held: _Held, wall: int) -> None:
        times = [t for t in self._updates.get(place, ()) if t > wall - HOUR_S]
        if len(times) >= self._rules.updates_per_hour:
            raise TooManyUpdatesError(f"{len(times)} updates in an hour")
        self._make_room(place, held, wall)
        self._size += self._growth(place, held)
        self._held[place] = held
        heapq.heappush(self._by_expiry, (held.expiry, *place))
        self._updates[place] = deque((*times, wall))

    def _growth(self, place: tuple[Kind, bytes], held: _Held) -> int:
        previous = self._held.get(place)
        return len(held.document) - (len(previous.document) if previous else 0)

    def _make_room(self, place: tuple[Kind, bytes], held: _Held, wall: int) -> None:
        self.expire(wall)
        while self._size + self._growth(place, held) > self._rules.budget:
            if not self._by_expiry or self._by_expiry[0][0] >= held.expiry:
                raise StoreFullError(f"{self._size} bytes are held, all for longer")
            self._drop_first()

    def _drop_first(self) -> None:
        """Drop what ends first; an entry of the heap that was replaced since stands for nothing."""
        expiry, kind, key = heapq.heappop(self._by_expiry)
        held = self._held.get((kind, key))
        if held is not None and held.expiry == expiry:
            self._size -= len(held.document)
            del self._held[kind, key]
