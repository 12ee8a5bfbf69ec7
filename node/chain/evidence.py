"""Two descriptors of a relay for one epoch, as a file that anybody may report it by (SPEC 8.6)."""

import json
from dataclasses import dataclass
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.errors import IdentityError
from peerstream.identity.json_text import read_json
from peerstream.identity.wallet import recover
from peerstream.node.chain.errors import EvidenceFileError, MalformedAnswerError
from peerstream.node.chain.quantities import read_octets
from peerstream.node.chain.registration import Equivocation
from peerstream.node.protocol.directory.errors import DirectoryError
from peerstream.node.protocol.directory.relay_descriptor import (
    SEQUENCE,
    SignedRelayDescriptor,
    statement_digest,
)

SCHEMA: Final = "psp.evidence/1"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two different descriptors that one relay signed for one epoch, and by which key."""

    first: SignedRelayDescriptor
    second: SignedRelayDescriptor
    sign_key: Address

    @classmethod
    def of(
        cls, first: SignedRelayDescriptor, second: SignedRelayDescriptor, network_id: bytes
    ) -> "Evidence":
        """Compare two descriptors. Raises EvidenceFileError when they prove nothing."""
        named = [
            (signed.descriptor.relay_id, signed.descriptor.epoch) for signed in (first, second)
        ]
        if named[0] != named[1] or first.hash == second.hash:
            raise EvidenceFileError("they are not two statements of one relay for one epoch")
        signers = {_signer(signed, network_id) for signed in (first, second)}
        if len(signers) != 1:
            raise EvidenceFileError("two keys signed them")
        return cls(first, second, signers.pop())

    @property
    def relay_id(self) -> bytes:
        """The relay, 32 bytes."""
        return self.first.descriptor.relay_id

    @property
    def equivocation(self) -> Equivocation:
        """The two statements, as the registry takes them."""
        return Equivocation(
            self.first.descriptor.epoch,
            SEQUENCE,
            self.first.hash,
            self.first.statement,
            self.second.hash,
            self.second.statement,
        )

    def encode(self) -> bytes:
        """Return it as a file."""
        pair = {"first": self.first.encode(), "second": self.second.encode()}
        found = {"schema": SCHEMA, **{name: "0x" + data.hex() for name, data in pair.items()}}
        return (json.dumps(found, indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, network_id: bytes) -> "Evidence":
        """Read a file. Raises EvidenceFileError."""
        try:
            found = read_json(data)
            first, second = (read_octets(found[name]) for name in ("first", "second"))
            pair = SignedRelayDescriptor.decode(first), SignedRelayDescriptor.decode(second)
        except (ValueError, TypeError, KeyError, MalformedAnswerError, DirectoryError) as error:
            raise EvidenceFileError(f"no {SCHEMA}: {type(error).__name__}") from error
        if found.get("schema") != SCHEMA:
            raise EvidenceFileError(f"the file is no {SCHEMA}")
        return cls.of(*pair, network_id)


def _signer(signed: SignedRelayDescriptor, network_id: bytes) -> Address:
    descriptor = signed.descriptor
    digest = statement_digest(network_id, descriptor.relay_id, descriptor.epoch, signed.hash)
    try:
        return recover(digest, signed.statement)
    except IdentityError as error:
        raise EvidenceFileError(
            "a descriptor without a statement, or of another network"
        ) from error
