"""Who may be a relay where no chain says so: an admission key's signature (SPEC 6.12).

A DHT carries the admissions and decides nothing: without this, the relay set would be whoever
shows up, in any number.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from peerstream.identity.labels import ADMISSION
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SignedBody, SigningKey
from peerstream.node.protocol.directory.errors import (
    BadAdmissionError,
    BadDocumentSignatureError,
)
from peerstream.node.protocol.directory.relay_set import (
    NO_SIGN_KEY,
    ZERO_ROOT,
    RelayEntry,
    RelayView,
)

ADMISSION_MAX: Final = 512
ADMISSION_LIFE_MAX_S: Final = 30 * 86_400
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
        return cls(
            read.octets(1, 32),
            read.octets(2, 20),
            read.octets(3, 32),
            read.number(4),
            read.number(5),
        )


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
        """Wire form, at most 512 bytes."""
        return self.signed.encode()

    @classmethod
    def decode(cls, data: bytes) -> "SignedAdmission":
        """Read the wire form. Raises MalformedDocumentError."""
        signed = SignedBody.decode(data, limit=ADMISSION_MAX)
        return cls(signed, Admission.from_body(signed.body))

    def verify(self, keys: Iterable[bytes], network_id: bytes, *, wall: int) -> Admission:
        """Return the admission, once one of the network's keys signed it and it is in force.

        Raises BadAdmissionError.
        """
        admission = self.admission
        lasts = admission.not_after - admission.not_before
        if not admission.not_before <= wall < admission.not_after or lasts > ADMISSION_LIFE_MAX_S:
            raise BadAdmissionError("the admission is not in force, or is for over 30 days")
        for key in keys:
            try:
                self.signed.verify(key, label=ADMISSION, network_id=network_id)
            except BadDocumentSignatureError:
                continue
            return admission
        raise BadAdmissionError("no admission key of this network signed it")


def admitted_view(epoch: int, admissions: Iterable[Admission], *, epoch_s: int) -> RelayView:
    """Return the view of an epoch from verified admissions; its root is zero, never compared.

    Of several admissions of one relay the one that ends last counts. A relay's age starts with
    its admission.
    """
    latest: dict[bytes, Admission] = {}
    for admission in sorted(admissions, key=lambda admission: admission.not_after):
        latest[admission.relay_id] = admission
    start = epoch * epoch_s
    entries = tuple(
        RelayEntry(
            slot=slot,
            relay_id=relay_id,
            operator=latest[relay_id].operator,
            family=latest[relay_id].family,
            weight=_WEIGHT,
            sign_key=NO_SIGN_KEY,
            from_epoch=latest[relay_id].not_before // epoch_s,
            to_epoch=latest[relay_id].not_after // epoch_s,
            possession=bytes(64),
        )
        for slot, relay_id in enumerate(sorted(latest))
    )
    return RelayView(epoch, ZERO_ROOT, entries, start, start + epoch_s)
