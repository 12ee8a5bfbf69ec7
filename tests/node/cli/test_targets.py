"""Whom and which service a command means (SPEC 13.15)."""

import pytest

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.keys import IdentityKey
from peerstream.node.cli.errors import BadAddressError, ServiceMissingError
from peerstream.node.cli.targets import Place, parse_place
from peerstream.node.gateway.errors import BadPortError, DestinationError, ForeignNameError
from peerstream.node.gateway.names import Alias, Destination, EnsName

TEXT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ADDRESS = Address.parse(TEXT)
CARD = ContactCard(ADDRESS, IdentityKey.from_bytes(b"\x07" * 32).public, b"\x09" * 32)


@pytest.mark.parametrize(
    ("text", "fallback", "whom", "service"),
    [
        (f"{TEXT}:web", "", Destination(ADDRESS), "web"),
        (f"{TEXT}:80", "", Destination(ADDRESS), "web"),
        (f"{TEXT}:5432", "", Destination(ADDRESS), "5432"),
        (TEXT, "ssh", Destination(ADDRESS), "ssh"),
        (TEXT, "22", Destination(ADDRESS), "ssh"),
        (f"{CARD}:chat", "", CARD, "chat"),
        (f"{CARD}", "22", CARD, "ssh"),
        (f"{TEXT}.psp.alt", "22", Destination(ADDRESS), "ssh"),
        (f"db.{TEXT}.psp.alt", "22", Destination(ADDRESS, "db"), "db"),
        ("alice.psp.alt:web", "", Destination(Alias("alice")), "web"),
        ("alice.eth", "80", Destination(EnsName("alice.eth")), "web"),
    ],
)
def test_places(text, fallback, whom, service):
    assert parse_place(text, fallback) == Place(whom, service)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (TEXT, ServiceMissingError),
        (f"{TEXT}:", ServiceMissingError),
        (str(CARD), ServiceMissingError),
        (f"{TEXT[:-1]}:web", BadAddressError),
        (f"{str(CARD)[:-1]}:web", BadAddressError),
        (f"{TEXT}:0", BadPortError),
        (f"{TEXT}:65536", BadPortError),
        ("example.com:80", ForeignNameError),
        ("127.0.0.1:80", DestinationError),
        ("localhost:22", ForeignNameError),
    ],
)
def test_what_is_no_place(text, error):
    with pytest.raises(error) as refusal:
        parse_place(text)
    assert CARD.contact_secret.hex()[:-1] not in str(refusal.value)


def test_a_place_is_shown_without_its_secret():
    place = parse_place(f"{CARD}:web")
    assert place.name == TEXT
    assert CARD.contact_secret.hex() not in repr(place)
    assert place.target == str(CARD)
    for name in ("alice.psp.alt", "alice.eth", TEXT):
        assert parse_place(f"{name}:1").name == parse_place(f"{name}:1").target == name
