"""Contact cards and the secrets between contacts (SPEC 1.9)."""

import re
from dataclasses import dataclass, field
from typing import Final, Self

from peerstream.identity import labels
from peerstream.identity.address import Address
from peerstream.identity.blinding import CONTACT_SECRET_SIZE
from peerstream.identity.errors import EncodingError
from peerstream.identity.keys import (
    KEY_SIZE,
    Entropy,
    IdentityKey,
    check_public_key,
    tagged_hash,
)

_CARD_MAXIMUM: Final = 256
_CARD: Final = re.compile(r"psp:(0x[0-9A-Fa-f]{40})\?k=([0-9a-f]{64})(?:&s=([0-9a-f]{64}))?")


@dataclass(frozen=True, slots=True)
class ContactCard:
    """What one gives to a contact: address, identity key and, when unlisted, a contact secret.

    ``str`` gives ``psp:0x<address>?k=<hex>[&s=<hex>]`` with the secret in it; ``repr`` hides it.
    Raises KeyMaterialError or EncodingError for fields that no card has.
    """

    account: Address
    identity_key: bytes
    contact_secret: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        check_public_key(self.identity_key)
        if len(self.contact_secret) not in (0, CONTACT_SECRET_SIZE):
            raise EncodingError("a contact secret is 32 bytes")

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read a card in its one spelling; raises EncodingError, AddressError, KeyMaterialError."""
        match = _CARD.fullmatch(uri) if len(uri) <= _CARD_MAXIMUM else None
        if match is None:
            raise EncodingError("a card is psp:0x<address>?k=<64 digits>[&s=<64 digits>]")
        account, key, secret = match.groups()
        card = cls(Address.parse(account), bytes.fromhex(key), bytes.fromhex(secret or ""))
        if str(card) != uri:
            raise EncodingError("the address of a card is written with its checksum")
        return card

    def __str__(self) -> str:
        secret = f"&s={self.contact_secret.hex()}" if self.contact_secret else ""
        return f"psp:{self.account}?k={self.identity_key.hex()}{secret}"


def new_contact_secret(entropy: Entropy) -> bytes:
    """Make the 32 bytes that the publishing side gives to a contact or a group of contacts."""
    return entropy(CONTACT_SECRET_SIZE)


def new_client_key(entropy: Entropy) -> bytes:
    """Make the 32 bytes by which one contact opens records that authorise it."""
    return entropy(KEY_SIZE)


def pair_secret(own: IdentityKey, peer: bytes) -> bytes:
    """Compute the 32 bytes that two identities share before they have ever spoken.

    Both sides get the same; used until their first session replaces it by a random secret.
    Raises KeyMaterialError when the peer's x-only key is no point.
    """
    first, second = sorted((own.public, peer))
    return tagged_hash(labels.CONTACT_PAIR, own.shared_x(peer) + first + second)
