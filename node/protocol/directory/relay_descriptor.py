"""A relay's own statement of its onion key for one epoch (SPEC 6.3).

There is exactly one per (relay_id, epoch). A relay that shows different keys to different clients
could tell them apart at the other end of their circuits, so two signed descriptors for one epoch
exclude the relay for it, and are the evidence that its bond is slashed by.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Final

from peerstream.identity import eip712
from peerstream.identity.errors import IdentityError
from peerstream.identity.labels import RELAY_DESCRIPTOR
from peerstream.identity.signer import Signer, TypedData
from peerstream.identity.wallet import recover
from peerstream.node.protocol.directory import document
from peerstream.node.protocol.directory.document import SignedBody, SigningKey
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    EquivocationError,
    MalformedDocumentError,
)
from peerstream.node.protocol.directory.relay_set import NO_SIGN_KEY, RelayEntry
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.wire.sizes import KEM_PUBLIC_SIZE

DESCRIPTOR_MAX: Final = 2_048
# The contract compares statements of equal (relayId, epoch, seq). With one seq for all, every
# pair of descriptors for one epoch can be slashed.
SEQUENCE: Final = 0
VERSIONS_MAX: Final = 8
BANDWIDTH_CLASSES: Final = 3  # the weight counts in full, half, a quarter
_BODY_FIELDS: Final = 7
_STATEMENT_SIZE: Final = 65
STATEMENT: Final = eip712.Struct(
    "RelayStatement",
    (("relayId", "bytes32"), ("epoch", "uint64"), ("seq", "uint64"), ("hash", "bytes32")),
)


class Role(IntFlag):
    """What a relay offers beyond forwarding and storing, which all relays do."""

    GUARD = 1  # clients may connect to it
    MEETING = 2  # introduction point, rendezvous point


@dataclass(frozen=True, slots=True)
class RelayDescriptor:
    """relay_id 32, key epoch, onion_key 1 216, protocol versions ascending, roles, bandwidth class.

    bandwidth_class: 0..2, by how many bits the relay lowers its own weight.
    """

    relay_id: bytes
    epoch: int
    onion_key: bytes
    versions: tuple[int, ...]
    roles: Role
    bandwidth_class: int

    def body(self) -> bytes:
        """Return the deterministic bytes that are signed."""
        return document.encode(
            {
                1: self.relay_id,
                2: self.epoch,
                3: SEQUENCE,
                4: self.onion_key,
                5: list(self.versions),
                6: int(self.roles),
                7: self.bandwidth_class,
            }
        )

    @classmethod
    def from_body(cls, body: bytes) -> "RelayDescriptor":
        """Read a body. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(body, limit=DESCRIPTOR_MAX), required=_BODY_FIELDS)
        read.number(3, SEQUENCE)
        return cls(
            relay_id=read.octets(1, 32),
            epoch=read.number(2),
            onion_key=read.octets(4, KEM_PUBLIC_SIZE),
            versions=_versions(read.items(5, VERSIONS_MAX, minimum=1)),
            roles=Role(read.number(6, int(Role.GUARD | Role.MEETING))),
            bandwidth_class=read.number(7, BANDWIDTH_CLASSES - 1),
        )


def _versions(items: list[Any]) -> tuple[int, ...]:
    if any(type(item) is not int or not 0 < item < 256 for item in items):
        raise MalformedDocumentError("a version is no number in 1..255")
    if items != sorted(set(items)):
        raise MalformedDocumentError("the versions are not in order")
    return tuple(items)


@dataclass(frozen=True, slots=True)
class SignedRelayDescriptor:
    """A descriptor with its signatures, read but unchecked: `verify` gives the descriptor.

    statement: the 65-byte EIP-712 signature by the entry's sign_key, or empty.
    """

    signed: SignedBody
    statement: bytes
    descriptor: RelayDescriptor

    @property
    def hash(self) -> bytes:
        """SHA-256 of the body: what the statement and the directory hash name."""
        return document.document_hash(self.signed.body)

    @classmethod
    def sign(
        cls,
        descriptor: RelayDescriptor,
        key: SigningKey,
        *,
        network_id: bytes,
        statement_signer: Signer | None,
    ) -> "SignedRelayDescriptor":
        """Sign as the relay, and by its statement key when the registry names one."""
        signed = SignedBody.sign(
            descriptor.body(), key, label=RELAY_DESCRIPTOR, network_id=network_id
        )
        statement = b""
        if statement_signer is not None:
            digest = document.document_hash(signed.body)
            typed = statement_typed_data(network_id, descriptor.relay_id, descriptor.epoch, digest)
            statement = statement_signer.sign_typed_data(typed)
        return cls(signed, statement, descriptor)

    def encode(self) -> bytes:
        """Wire form, at most 2 KiB: CBOR {1 body, 2 signature, 3 statement}."""
        data = document.encode({1: self.signed.body, 2: self.signed.signature, 3: self.statement})
        if len(data) > DESCRIPTOR_MAX:
            raise LocalProtocolError(f"a relay descriptor of {len(data)} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> "SignedRelayDescriptor":
        """Read the wire form. Raises MalformedDocumentError."""
        read = document.Fields(document.decode(data, limit=DESCRIPTOR_MAX), required=3)
        body = read.blob(1, DESCRIPTOR_MAX)
        statement = read.blob(3, _STATEMENT_SIZE)
        if len(statement) not in {0, _STATEMENT_SIZE}:
            raise MalformedDocumentError("field 3 is neither empty nor a signature")
        signed = SignedBody(body, read.octets(2, document.SIGNATURE_SIZE))
        return cls(signed, statement, RelayDescriptor.from_body(body))

    def verify(self, entry: RelayEntry, network_id: bytes) -> RelayDescriptor:
        """Return the descriptor, once `entry` is its relay and both keys of the entry signed it.

        Raises BadDocumentSignatureError.
        """
        if entry.relay_id != self.descriptor.relay_id:
            raise BadDocumentSignatureError("a descriptor of another relay")
        self.signed.verify(entry.relay_id, label=RELAY_DESCRIPTOR, network_id=network_id)
        if entry.sign_key != NO_SIGN_KEY:
            self._verify_statement(entry.sign_key, network_id)
        elif self.statement:
            # A statement that nobody checks would be a place to hide a mark in.
            raise BadDocumentSignatureError("a statement by a relay without a statement key")
        return self.descriptor

    def _verify_statement(self, sign_key: bytes, network_id: bytes) -> None:
        digest = statement_digest(
            network_id, self.descriptor.relay_id, self.descriptor.epoch, self.hash
        )
        try:
            signer = recover(digest, self.statement)
        except IdentityError as error:
            raise BadDocumentSignatureError("the relay's statement is no signature") from error
        if signer.raw != sign_key:
            raise BadDocumentSignatureError("the statement is not by the relay's statement key")


def require_consistent(known: SignedRelayDescriptor, other: SignedRelayDescriptor) -> None:
    """Compare two verified descriptors of one relay.

    Raises EquivocationError, with both as evidence, when they are for one epoch and differ.
    """
    same_epoch = known.descriptor.epoch == other.descriptor.epoch
    if same_epoch and known.signed.body != other.signed.body:
        raise EquivocationError(
            f"relay {known.descriptor.relay_id.hex()[:16]} in epoch {known.descriptor.epoch}",
            evidence=(known.encode(), other.encode()),
        )


def _statement(relay_id: bytes, epoch: int, digest: bytes) -> dict[str, eip712.Atom]:
    return {"relayId": relay_id, "epoch": epoch, "seq": SEQUENCE, "hash": digest}


def statement_typed_data(
    network_id: bytes, relay_id: bytes, epoch: int, digest: bytes
) -> TypedData:
    """Return RelayStatement(relayId, epoch, seq, hash) in EIP-712 form, as a wallet takes it."""
    return eip712.typed_data(STATEMENT, network_id, _statement(relay_id, epoch, digest))


def statement_digest(network_id: bytes, relay_id: bytes, epoch: int, digest: bytes) -> bytes:
    """Return the 32 bytes that the statement key signs (EIP-712), as the contract does."""
    return eip712.digest(STATEMENT, network_id, _statement(relay_id, epoch, digest))
