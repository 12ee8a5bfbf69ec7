"""All admissions that a node has heard of, each verified once (SPEC 6.12).

The set only grows by what an admission key signed, and is the union of whatever anybody hands on:
who withholds one relay is made up for by the next who does not.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.admission import (
    ADMISSION_MAX,
    Admission,
    SignedAdmission,
    admitted_view,
    last_first,
)
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    DirectoryError,
    MalformedDocumentError,
    TooManyAdmissionsError,
)
from peerstream.node.protocol.directory.merkle import CAPACITY
from peerstream.node.protocol.directory.relay_set import RelayView

OF_ONE_RELAY: Final = 2  # the present admission and the one that renews it
PAGE_ITEMS: Final = CAPACITY * OF_ONE_RELAY
PAGE_MAX: Final = PAGE_ITEMS * (ADMISSION_MAX + 3) + 8


@dataclass(frozen=True, slots=True)
class BookRules:
    """What the network file says: admission keys (32 B each), and lengths in seconds."""

    keys: tuple[bytes, ...]
    network_id: bytes
    epoch_s: int
    period_s: int

    @property
    def kept_s(self) -> int:
        """How long an admission is kept after its end: views of the period still hold it."""
        return self.period_s + 2 * self.epoch_s


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one page: how many were new, and why others were not taken."""

    new: int
    refused: tuple[DirectoryError, ...]


def encode_page(documents: Iterable[bytes]) -> bytes:
    """Return admissions in wire form as one value."""
    return document.encode({1: list(documents)})


def decode_page(data: bytes) -> tuple[bytes, ...]:
    """Read what `encode_page` wrote; the admissions are still unchecked.

    Raises MalformedDocumentError.
    """
    items = document.Fields(document.decode(data, limit=PAGE_MAX), required=1).items(1, PAGE_ITEMS)
    if any(not isinstance(item, bytes) or len(item) > ADMISSION_MAX for item in items):
        raise MalformedDocumentError(f"an admission is no byte string of up to {ADMISSION_MAX}")
    return tuple(items)


def _order(signed: SignedAdmission) -> tuple[int, int, bytes, bytes]:
    return *last_first(signed.admission), signed.signed.signature  # two keys may sign one body


class AdmissionBook:
    """Verified admissions by relay, at most two of each and 4 096 relays. `wall`: unix seconds."""

    def __init__(self, rules: BookRules) -> None:
        self.rules = rules
        self.changes = 0  # how often the set became another
        self._held: dict[bytes, tuple[SignedAdmission, ...]] = {}
        self._documents: dict[bytes, Admission] = {}
        self._page = b""
        self._digest = b""
        self._views: dict[int, RelayView] = {}

    def __contains__(self, relay_id: object) -> bool:
        return relay_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def relay_ids(self) -> list[bytes]:
        """Return whose admissions are held."""
        return sorted(self._held)

    # Taking

    def add(self, data: bytes, wall: int) -> bool:
        """Verify and keep an admission; whether it changed anything.

        Raises MalformedDocumentError, AdmissionOverError, BadAdmissionError,
        TooManyAdmissionsError.
        """
        if data in self._documents:
            return False
        signed, rules = SignedAdmission.decode(data), self.rules
        relay_id = signed.admission.relay_id
        held = self._held.get(relay_id, ())
        if not held and len(self._held) >= CAPACITY:
            raise TooManyAdmissionsError(f"more than {CAPACITY} relays")
        if len(held) == OF_ONE_RELAY and _order(signed) < _order(held[-1]):
            return False  # whoever says it again shall not have us verify it again
        signed.verify(rules.keys, rules.network_id, wall=wall, kept_s=rules.kept_s)
        ordered = sorted((*held, signed), key=_order, reverse=True)
        self._held[relay_id] = tuple(ordered[:OF_ONE_RELAY])
        self._documents[data] = signed.admission
        for dropped in ordered[OF_ONE_RELAY:]:
            del self._documents[dropped.encode()]
        self._changed()
        return True

    def take(self, documents: Sequence[bytes], wall: int) -> Received:
        """Add what holds of documents that one node handed over.

        One that is over spoils only itself: clocks differ. With the first that no key signed, or
        that is none, the rest is not looked at: nobody honest holds it, and each costs a
        verification.
        """
        new = 0
        refused: list[DirectoryError] = []
        for data in documents:
            try:
                new += self.add(data, wall)
            except (AdmissionOverError, TooManyAdmissionsError) as error:
                refused.append(error)
            except (BadAdmissionError, MalformedDocumentError) as error:
                refused.append(error)
                break
        return Received(new, tuple(refused))

    def prune(self, wall: int) -> None:
        """Forget what no view of this period needs any more."""
        ends = wall - self.rules.kept_s
        left = {
            relay_id: tuple(one for one in admissions if one.admission.not_after > ends)
            for relay_id, admissions in self._held.items()
        }
        if left != self._held:
            self._held = {relay_id: kept for relay_id, kept in left.items() if kept}
            documents = [one for kept in self._held.values() for one in kept]
            self._documents = {one.encode(): one.admission for one in documents}
            self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self._page = self._digest = b""
        self._views.clear()

    # Giving

    def page(self) -> bytes:
        """Return all admissions as one value, the same bytes for equal sets."""
        if not self._page:
            self._page = encode_page(sorted(self._documents))
        return self._page

    def digest(self) -> bytes:
        """SHA-256 of the page, 32 bytes: equal sets have equal digests."""
        if not self._digest:
            self._digest = hashlib.sha256(self.page()).digest()
        return self._digest

    def views(self, wall: int) -> tuple[RelayView, ...]:
        """Return the views from the start of the period, or of the epoch before, to the next one.

        Empty ones are left out.
        """
        rules = self.rules
        epoch = wall // rules.epoch_s
        start = wall // rules.period_s * rules.period_s // rules.epoch_s
        self._views = {
            each: self._views.get(each)
            or admitted_view(each, self._documents.values(), epoch_s=rules.epoch_s)
            for each in range(min(start, epoch - 1), epoch + 2)
        }
        return tuple(view for view in self._views.values() if len(view))
