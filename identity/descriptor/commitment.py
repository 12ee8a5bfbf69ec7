"""What a blinded key says of its newest record, where nobody can roll it back (SPEC 2.5)."""

from dataclasses import dataclass
from typing import Self

from peerstream.identity import labels
from peerstream.identity.blinding import BlindedKey
from peerstream.identity.descriptor.record import VerifiedRecord
from peerstream.identity.errors import (
    OtherIdentityError,
    OtherRecordError,
    RolledBackError,
)
from peerstream.identity.keys import tagged_hash, verify_schnorr


@dataclass(frozen=True, slots=True)
class Commitment:
    """blinded: the key, 32 bytes; digest: SHA-256 of the whole record, 32 bytes."""

    blinded: bytes
    period: int
    revision: int
    digest: bytes

    @classmethod
    def of(cls, record: VerifiedRecord) -> Self:
        """Return what its key would say of a record."""
        header = record.header
        return cls(header.blinded, header.period, header.revision, record.digest)

    def message(self, network_id: bytes) -> bytes:
        """Return the 32 bytes that the blinded key signs."""
        times = self.period.to_bytes(8) + self.revision.to_bytes(8)
        return tagged_hash(labels.COMMITMENT, network_id + self.blinded + times + self.digest)

    def sign(self, key: BlindedKey, network_id: bytes) -> bytes:
        """Return the BIP-340 signature, 64 bytes. Raises OtherIdentityError for another key."""
        if (key.public, key.period) != (self.blinded, self.period):
            raise OtherIdentityError("a commitment is signed by its own blinded key")
        return key.sign(self.message(network_id))

    def verify(self, network_id: bytes, signature: bytes) -> None:
        """Raise BadSignatureError or KeyMaterialError unless the blinded key signed this."""
        verify_schnorr(self.blinded, self.message(network_id), signature)

    def require(self, record: VerifiedRecord) -> None:
        """Refuse a record that this rules out; a newer one than was committed is fine.

        Raises RolledBackError, OtherRecordError, OtherIdentityError.
        """
        header = record.header
        if (header.blinded, header.period) != (self.blinded, self.period):
            raise OtherIdentityError("a commitment speaks of its own key and period")
        if header.revision < self.revision:
            raise RolledBackError(f"revision {header.revision} where {self.revision} is committed")
        if header.revision == self.revision and record.digest != self.digest:
            raise OtherRecordError("another record than the one committed at this revision")
