"""Whom a command means: an address or a contact card, for some a name and a service (SPEC 13.3)."""

from dataclasses import dataclass, field

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.errors import AddressError, EncodingError, KeyMaterialError
from peerstream.node.cli.errors import BadAddressError, ServiceMissingError
from peerstream.node.gateway.names import (
    SUFFIX,
    Alias,
    Destination,
    EnsName,
    parse_destination,
    service_of_port,
)


def parse_target(text: str) -> Address | ContactCard:
    """Read an address 0x… or a card psp:0x…?k=…. Raises BadAddressError.

    The text may hold a contact secret, so errors do not repeat it.
    """
    try:
        if text.startswith("psp:"):
            return ContactCard.parse(text)
        return Address.parse(text)
    except (AddressError, EncodingError, KeyMaterialError) as error:
        raise BadAddressError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Place:
    """One service of one address, as a command names it."""

    whom: Destination | ContactCard = field(repr=False)  # a card holds a secret
    service: str

    @property
    def name(self) -> str:
        """Whom it is, as it may be shown: an address or a name."""
        return str(self.whom.account) if isinstance(self.whom, ContactCard) else self.target

    @property
    def target(self) -> str:
        """Whom it is, as a daemon is asked; with a card's secret."""
        if isinstance(self.whom, ContactCard):
            return str(self.whom)
        match self.whom.target:
            case Alias(text):
                return text + SUFFIX
            case EnsName(text):
                return text
            case address:
                return str(address)


def parse_place(text: str, service: str = "") -> Place:
    """Read TARGET[:SERVICE]: an address, a card or a name of the network.

    service: for a target that names none. A number stands for the service of that port. Raises
    BadAddressError, DestinationError, ServiceMissingError.
    """
    scheme = "psp:" if text.startswith("psp:") else ""
    whom, _, behind = text.removeprefix(scheme).partition(":")
    found: Destination | ContactCard
    if scheme or (whom[:2] == "0x" and "." not in whom):
        target = parse_target(scheme + whom)
        found = target if isinstance(target, ContactCard) else Destination(target)
    else:
        found = parse_destination(whom)
    named = "" if isinstance(found, ContactCard) else found.service
    wanted = behind or named or service
    if not wanted:
        raise ServiceMissingError("no service named")
    is_port = wanted.isascii() and wanted.isdigit() and len(wanted) <= 5
    return Place(found, service_of_port(int(wanted)) if is_port else wanted)
