"""The record: what stores hold, without learning whose it is (SPEC 2.2).

offset  size  field
     0     4  magic "PSD1"
     4    32  B, the blinded key of the period
    36    32  dk, the Ed25519 descriptor key of the period
    68    64  BIP-340 signature by B over (network, period, dk)
   132     8  period
   140     8  revision: directory time at creation, unix seconds, rising
   148     4  expiry, unix seconds, a multiple of 600
   152    32  salt, random
   184     4  n, the size of the ciphertext: 4 096, 8 192 or 12 288
   188     n  ciphertext
188 + n    64  Ed25519 signature by dk over all before it
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.identity import labels
from peerstream.identity.blinding import BlindedKey
from peerstream.identity.errors import (
    EncodingError,
    ExpiredError,
    FutureRevisionError,
    LifetimeError,
    OtherIdentityError,
    StaleRevisionError,
    WrongPeriodError,
)
from peerstream.identity.keys import (
    KEY_SIZE,
    SIGNATURE_SIZE,
    Entropy,
    tagged_hash,
    verify_ed25519,
    verify_schnorr,
)

MAGIC: Final = b"PSD1"
SIZE_CLASSES: Final = (4_096, 8_192, 12_288)
EXPIRY_STEP: Final = 600  # rounded, so that the expiry does not tell when it was made
REVISION_SKEW: Final = 3_600
_HEADER: Final = struct.Struct(">4s32s32s64sQQI32sI")
HEADER_SIZE: Final = _HEADER.size
RECORD_MAXIMUM: Final = HEADER_SIZE + SIZE_CLASSES[-1] + SIGNATURE_SIZE


class RecordHeader(NamedTuple):
    """The clear fields of a record, in the order of the wire."""

    magic: bytes
    blinded: bytes
    descriptor_key: bytes
    certificate: bytes
    period: int
    revision: int
    expiry: int
    salt: bytes
    ciphertext_size: int

    def encode(self) -> bytes:
        """Return the 188 bytes."""
        return _HEADER.pack(*self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRules:
    """Constants of a network that a record is judged by; times are seconds."""

    network_id: bytes
    period_seconds: int = 86_400
    lifetime_seconds: int = 3 * 3_600


@final
class DescriptorKey:
    """The Ed25519 key that signs the records of one period, certified by the blinded key.

    With it a machine can publish without holding the identity key.
    """

    __slots__ = ("_key", "blinded", "certificate", "network_id", "period", "public")

    def __init__(self, blinded: BlindedKey, network_id: bytes, entropy: Entropy) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(entropy(KEY_SIZE))
        self.public: Final = self._key.public_key().public_bytes_raw()
        self.period: Final = blinded.period
        self.blinded: Final = blinded.public
        self.network_id: Final = network_id
        message = certificate_message(network_id, self.period, self.public)
        self.certificate: Final = blinded.sign(message)

    def sign(self, signed_part: bytes) -> bytes:
        """Sign the header and ciphertext of a record: 64 bytes."""
        return self._key.sign(labels.DESCRIPTOR_SIGNATURE + signed_part)

    def __repr__(self) -> str:
        return f"<descriptor key of period {self.period}>"


@dataclass(frozen=True, slots=True)
class VerifiedRecord:
    """A record whose signatures, times and revision hold; its contents are still sealed."""

    header: RecordHeader
    ciphertext: bytes
    network_id: bytes
    encoded: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole record, 32 bytes: what a commitment names."""
        return hashlib.sha256(self.encoded).digest()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as received: shaped like one, and nothing else is known."""

    header: RecordHeader
    ciphertext: bytes
    encoded: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Take a record apart; raises EncodingError unless it has exactly one's shape."""
        if not HEADER_SIZE <= len(data) <= RECORD_MAXIMUM:
            raise EncodingError("a record has a header and one of three sizes")
        encoded = bytes(data)
        header = RecordHeader(*_HEADER.unpack_from(encoded))
        if header.magic != MAGIC or header.ciphertext_size not in SIZE_CLASSES:
            raise EncodingError("the magic or the size class of a record is wrong")
        if len(encoded) != HEADER_SIZE + header.ciphertext_size + SIGNATURE_SIZE:
            raise EncodingError("a record is longer or shorter than it says")
        if header.expiry % EXPIRY_STEP:
            raise EncodingError("the expiry of a record is a multiple of 600")
        return cls(header, encoded[HEADER_SIZE:-SIGNATURE_SIZE], encoded)

    def verify(
        self,
        *,
        now: int,
        rules: RecordRules,
        blinded: bytes | None = None,
        highest_revision: int = 0,
    ) -> VerifiedRecord:
        """Check all that a store or a client can check without opening it.

        ``blinded`` is the key that was asked for, None at a store; ``highest_revision`` the highest
        one seen for it. Raises OtherIdentityError, WrongPeriodError, ExpiredError, LifetimeError,
        FutureRevisionError, StaleRevisionError, KeyMaterialError or BadSignatureError.
        """
        header = self.header
        if blinded is not None and header.blinded != blinded:
            raise OtherIdentityError("the record is under another blinded key")
        _check_times(header, now, rules)
        if header.revision < highest_revision:
            raise StaleRevisionError("a newer revision of this record was seen")
        message = certificate_message(rules.network_id, header.period, header.descriptor_key)
        verify_schnorr(header.blinded, message, header.certificate)
        signed, signature = self.encoded[:-SIGNATURE_SIZE], self.encoded[-SIGNATURE_SIZE:]
        verify_ed25519(header.descriptor_key, labels.DESCRIPTOR_SIGNATURE + signed, signature)
        return VerifiedRecord(header, self.ciphertext, rules.network_id, self.encoded)


def certificate_message(network_id: bytes, period: int, descriptor_key: bytes) -> bytes:
    """Return the 32 bytes by which the blinded key certifies a descriptor key."""
    return tagged_hash(
        labels.DESCRIPTOR_CERTIFICATE, network_id + period.to_bytes(8) + descriptor_key
    )


def _check_times(header: RecordHeader, now: int, rules: RecordRules) -> None:
    if abs(header.period - now // rules.period_seconds) > 1:
        raise WrongPeriodError("the record is for neither this period nor a neighbour")
    if header.expiry <= now:
        raise ExpiredError("the record is over")
    if header.expiry > now + rules.lifetime_seconds + EXPIRY_STEP:
        raise LifetimeError("the record would live longer than the network allows")
    if header.revision > now + REVISION_SKEW:
        raise FutureRevisionError("the revision lies in the future")
