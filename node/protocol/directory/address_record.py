"""Where a relay listens: signed by it, expiring, apart from its keys (SPEC 6.4)."""

from dataclasses import dataclass
from typing import Final

from peerstream.identity.labels import RELAY_ADDRESSES
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SignedBody, SigningKey
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    ExpiredDocumentError,
    MalformedDocumentError,
)
from peerstream.node.protocol.directory.subnets import ENDPOINT_TEXT_MAX, Endpoint

ADDRESS_RECORD_MAX: Final = 512
ENDPOINTS_MAX: Final = 4
CLOCK_SLACK_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """relay_id 32; seq grows with each change; 1 to 4 endpoints; expiry in unix seconds."""

    relay_id: bytes
    seq: int
    endpoints: tuple[Endpoint, ...]
    expiry: int

    def body(self) -> bytes:
        """Return the deterministic bytes that are signed."""
        texts = [str(endpoint) for endpoint in self.endpoints]
        return document.encode({1: self.relay_id, 2: self.seq, 3: texts, 4: self.expiry})

    @classmethod
    def from_body(cls, body: bytes) -> "AddressRecord":
        """Read a body. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(body, limit=ADDRESS_RECORD_MAX), required=4)
        texts = read.items(3, ENDPOINTS_MAX, minimum=1)
        if any(not isinstance(text, str) or len(text) > ENDPOINT_TEXT_MAX for text in texts):
            raise MalformedDocumentError("an endpoint is no text")
        endpoints = tuple(Endpoint.parse(text) for text in texts)
        if len(set(endpoints)) != len(endpoints):
            raise MalformedDocumentError("an endpoint stands twice")
        return cls(read.octets(1, 32), read.number(2), endpoints, read.number(4))


@dataclass(frozen=True, slots=True)
class SignedAddressRecord:
    """An address record with its signature, read but unchecked: `verify` gives the record."""

    signed: SignedBody
    record: AddressRecord

    @classmethod
    def sign(
        cls, record: AddressRecord, key: SigningKey, *, network_id: bytes
    ) -> "SignedAddressRecord":
        """Sign as the relay."""
        signed = SignedBody.sign(record.body(), key, label=RELAY_ADDRESSES, network_id=network_id)
        return cls(signed, record)

    def encode(self) -> bytes:
        """Wire form, at most 512 bytes."""
        return self.signed.encode()

    @classmethod
    def decode(cls, data: bytes) -> "SignedAddressRecord":
        """Read the wire form. Raises MalformedDocumentError."""
        signed = SignedBody.decode(data, limit=ADDRESS_RECORD_MAX)
        return cls(signed, AddressRecord.from_body(signed.body))

    def verify(
        self, relay_id: bytes, network_id: bytes, *, wall: int, life_s: int, private: bool
    ) -> AddressRecord:
        """Return the record, once it is the relay's, in time and of routable addresses.

        `life_s`: how far ahead the expiry may lie. `private`: loopback and private ranges are
        fine here. Raises BadDocumentSignatureError, ExpiredDocumentError, MalformedDocumentError.
        """
        if relay_id != self.record.relay_id:
            raise BadDocumentSignatureError("an address record of another relay")
        if not wall < self.record.expiry <= wall + life_s + CLOCK_SLACK_S:
            raise ExpiredDocumentError(f"addresses of {relay_id.hex()[:16]}")
        for endpoint in self.record.endpoints:
            endpoint.require_routable(private=private)
        self.signed.verify(relay_id, label=RELAY_ADDRESSES, network_id=network_id)
        return self.record
