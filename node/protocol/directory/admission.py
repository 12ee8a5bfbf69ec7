"""Who may be a relay where no chain says so: an admission key's signature (SPEC 6.12).

A DHT carries the admissions and decides nothing: without this, the relay set would be whoever
shows up, in any number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from peerstream.identity.labels import ADMISSION
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SignedBody, SigningKey
from peerstream.node.protocol.directory.errors import (
    AdmissionOverError,
    BadAdmissionError,
    BadDocumentSignatureError,
    MalformedDocumentError,
)
from peerstream.node.protocol.directory.relay_set import (
    NO_SIGN_KEY,
    RelayEntry,
    RelayView,
    registry_root,
)

ADMISSION_MAX: Final = 192
ADMISSION_LIFE_MAX_S: Final = 30 * 86_400
ACTS_AFTER: Final = 2  # epochs: until then everybody has heard of it
_WEIGHT: Final = 1  # nothing backs a weight here, so all are equal


@dataclass(frozen=True, slots=True)
class Admission:
    """relay_id 32, operator 20, family 32; in force for not_before <= wall < not_after."""

    relay_id: bytes
    operator: bytes
    family: bytes
    not_before: int
    not_after: int

    def body(self) -> bytes:
        """Return the deterministic bytes that are signed."""
        values = (self.relay_id, self.operator, self.family, self.not_before, self.not_after)
        return document.encode(dict(enumerate(values, start=1)))

    @classmethod
    def from_body(cls, body: bytes) -> "Admission":
        """Read a body. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(body, limit=ADMISSION_MAX), required=5)
        admission = cls(
            read.octets(1, 32),
            read.octets(2, 20),
            read.octets(3, 32),
            read.number(4),
            read.number(5),
        )
        if admission.not_before >= admission.not_after:
            raise MalformedDocumentError("an admission ends before it begins")
        return admission


@dataclass(frozen=True, slots=True)
class SignedAdmission:
    """An admission with its signature, read but unchecked: `verify` gives the admission."""

    signed: SignedBody
    admission: Admission

    @classmethod
    def sign(cls, admission: Admission, key: SigningKey, *, network_id: bytes) -> "SignedAdmission":
        """Sign as the keeper of the network."""
        signed = SignedBody.sign(admission.body(), key, label=ADMISSION, network_id=network_id)
        return cls(signed, admission)

    def encode(self) -> bytes:
        """Wire form, at most 192 bytes."""
        return self.signed.encode()

    @classmethod
    def decode(cls, data: bytes) -> "SignedAdmission":
        """Read the wire form. Raises MalformedDocumentError."""
        signed = SignedBody.decode(data, limit=ADMISSION_MAX)
        return cls(signed, Admission.from_body(signed.body))

    def verify(
        self, keys: Iterable[bytes], network_id: bytes, *, wall: int, kept_s: int = 0
    ) -> Admission:
        """Return the admission, once one of the network's keys signed it and it is in force.

        `kept_s`: it may be over for so long, by who still needs the views of that time. Raises
        AdmissionOverError, BadAdmissionError.
        """
        admission = self.admission
        lasts = admission.not_after - admission.not_before
        if not admission.not_before <= wall < admission.not_after + kept_s:
            raise AdmissionOverError("the admission is not in force")
        if lasts > ADMISSION_LIFE_MAX_S:
            raise BadAdmissionError("the admission is for over 30 days")
        for key in keys:
            try:
                self.signed.verify(key, label=ADMISSION, network_id=network_id)
            except BadDocumentSignatureError:
                continue
            return admission
        raise BadAdmissionError("no admission key of this network signed it")


def admitted_view(epoch: int, admissions: Iterable[Admission], *, epoch_s: int) -> RelayView:
    """Return the view of an epoch from verified admissions; its root is over all of its relays.

    Of several admissions of one relay the one that ends last counts, and the relay is as old as
    the oldest that is in force: one that is renewed in time does not become young again.
    """
    by_relay: dict[bytes, list[Admission]] = {}
    for admission in admissions:
        if _first_epoch(admission, epoch_s) <= epoch <= _last_epoch(admission, epoch_s):
            by_relay.setdefault(admission.relay_id, []).append(admission)
    entries = tuple(
        _entry(slot, by_relay[relay_id], epoch_s) for slot, relay_id in enumerate(sorted(by_relay))
    )
    start = epoch * epoch_s
    return RelayView(epoch, _root(entries), entries, start, start + epoch_s, grows=True)


@lru_cache(maxsize=4)  # most epochs have the relays of the one before; a root is 8 000 hashes
def _root(entries: tuple[RelayEntry, ...]) -> bytes:
    return registry_root(entries)


def _first_epoch(admission: Admission, epoch_s: int) -> int:
    return admission.not_before // epoch_s + ACTS_AFTER


def _last_epoch(admission: Admission, epoch_s: int) -> int:
    return admission.not_after // epoch_s - 1  # the last that it outlives


def last_first(admission: Admission) -> tuple[int, int, bytes]:
    """Sort key by which all readers agree on which of a relay's admissions is the last one."""
    return admission.not_after, admission.not_before, admission.body()


def _entry(slot: int, admissions: list[Admission], epoch_s: int) -> RelayEntry:
    last = max(admissions, key=last_first)
    return RelayEntry(
        slot=slot,
        relay_id=last.relay_id,
        operator=last.operator,
        family=last.family,
        weight=_WEIGHT,
        sign_key=NO_SIGN_KEY,
        from_epoch=min(admission.not_before for admission in admissions) // epoch_s,
        to_epoch=_last_epoch(last, epoch_s),
        possession=bytes(64),
    )
