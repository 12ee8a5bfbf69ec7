"""Who this node is: an account's delegation, the identity key and one device (SPEC 10.3)."""

from dataclasses import dataclass, field

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.delegation import SignedDelegation
from peerstream.identity.device import CredentialChain
from peerstream.identity.keys import DeviceKeys, IdentityKey


@dataclass(frozen=True, slots=True)
class LocalIdentity:
    """An account that this node speaks for.

    contact_secret: 32 bytes of an unlisted identity, empty for a listed one. The wallet's key is
    not here and nowhere on the machine: its signature is in `delegation`.
    """

    delegation: SignedDelegation
    identity_key: IdentityKey = field(repr=False)
    device: DeviceKeys = field(repr=False)
    chain: CredentialChain = field(repr=False)
    contact_secret: bytes = field(default=b"", repr=False)

    @property
    def account(self) -> Address:
        """The account."""
        return self.delegation.delegation.account

    @property
    def card(self) -> ContactCard:
        """What to give to others; with the contact secret in it when the identity is unlisted."""
        return ContactCard(self.account, self.identity_key.public, self.contact_secret)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to dial: what a card says, or a registry or grant for a listed account."""

    account: Address
    identity_key: bytes
    contact_secret: bytes = field(default=b"", repr=False)

    @classmethod
    def of_card(cls, card: ContactCard) -> "Target":
        """Return the one a card names."""
        return cls(card.account, card.identity_key, card.contact_secret)
