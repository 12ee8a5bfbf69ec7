"""Whom a destination means, for one node (SPEC 16.2)."""

import os

import pytest
import trio

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.keys import IdentityKey
from peerstream.node.gateway.dialling import DialOptions
from peerstream.node.gateway.errors import EnsUnavailableError, UnknownAliasError
from peerstream.node.gateway.names import Alias, Destination, EnsName
from peerstream.node.library.destinations import KEPT_S, Destinations
from peerstream.node.roles.errors import AddressUnknownError
from peerstream.node.roles.identity import Target
from peerstream.node.store.contacts import Contacts
from peerstream.node.store.keystore import KeyFile, Keystore

LISTED = Address(bytes(range(20)))
CONTACT = Address(bytes(range(20, 40)))
NOBODY = Address(bytes(range(40, 60)))
KEY = IdentityKey.from_bytes(b"\x07" * 32).public
CARD = ContactCard(CONTACT, KEY, b"\x09" * 32)


class PlayedNode:
    """What dials: it knows one listed account, and remembers what it was asked."""

    def __init__(self):
        self.identity = object()
        self.asked = []
        self.dialled = []

    async def resolve(self, account):
        self.asked.append(account)
        await trio.lowlevel.checkpoint()
        if account != LISTED:
            raise AddressUnknownError(f"{account}")
        return Target(account, KEY)

    async def connect(self, target, service, **options):
        self.dialled.append((target, service, options))
        return "stream"


@pytest.fixture
def contacts(tmp_path):
    unlock = KeyFile(tmp_path / "key")
    unlock.make(os.urandom)
    found = Contacts(Keystore.create(tmp_path / "keystore", unlock, os.urandom))
    found.add("alice", CARD)
    return found


async def test_a_contact_is_dialled_by_its_card_by_alias_and_by_address(contacts):
    node = PlayedNode()
    destinations = Destinations(node, contacts=contacts)
    for target in (Alias("alice"), CONTACT):
        assert await destinations.dial(Destination(target, "web"), DialOptions()) == "stream"
    assert node.asked == []
    assert [(target, service) for target, service, _ in node.dialled] == [
        (Target.of_card(CARD), "web")
    ] * 2


async def test_a_listed_account_is_asked_for_once_and_again_later(autojump_clock):
    node = PlayedNode()
    destinations = Destinations(node)
    for _ in range(3):
        await destinations.find(Destination(LISTED))
    assert node.asked == [LISTED]
    await destinations.find(Destination(LISTED), b"another")
    assert node.asked == [LISTED] * 2  # programs that are kept apart share no answer either
    await trio.sleep(KEPT_S + 1)
    await destinations.find(Destination(LISTED))
    assert node.asked == [LISTED] * 3


async def test_two_hundred_at_once_ask_once():
    node = PlayedNode()
    destinations = Destinations(node)
    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(destinations.find, Destination(LISTED))
    assert node.asked == [LISTED]


async def test_who_is_unknown_is_named_so(contacts):
    destinations = Destinations(PlayedNode(), contacts=contacts)
    for target, error in (
        (Alias("bob"), UnknownAliasError),
        (NOBODY, AddressUnknownError),
        (EnsName("alice.eth"), EnsUnavailableError),
    ):
        with pytest.raises(error):
            await destinations.dial(Destination(target, "web"), DialOptions())
    with pytest.raises(UnknownAliasError):
        await Destinations(PlayedNode()).find(Destination(Alias("alice")))


async def test_a_name_is_looked_up_and_then_an_address():
    async def find_name(name):
        assert name == EnsName("alice.eth")
        return LISTED

    destinations = Destinations(PlayedNode(), find_name=find_name)
    assert await destinations.find(Destination(EnsName("alice.eth"))) == Target(LISTED, KEY)


@pytest.mark.parametrize(
    ("identity", "asked", "wanted"),
    [
        (True, DialOptions(), (1, False, b"")),
        (True, DialOptions(b"token", 2, anonymous=True), (2, True, b"token")),
        (None, DialOptions(), (1, True, b"")),
    ],
)
async def test_how_it_is_dialled(identity, asked, wanted):
    node = PlayedNode()
    node.identity = identity
    await Destinations(node, level=1).dial(Destination(LISTED, "web"), asked)
    [(_, _, options)] = node.dialled
    assert (options["level"], options["anonymous"], options["isolation"]) == wanted
