"""Contacts: cards by alias, encrypted at rest, found again by their address."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.keys import IdentityKey
from peerstream.node.store import contacts as module
from peerstream.node.store.contacts import Contacts, check_alias
from peerstream.node.store.errors import (
    AliasError,
    AliasTakenError,
    ContactsFullError,
    CorruptedFileError,
    UnknownContactError,
)
from peerstream.node.store.keystore import KeyFile, Keystore
from tests.identity.samples import fixed

SECRET = fixed("contact secret")


def card(number, secret=SECRET):
    key = IdentityKey.from_bytes(fixed(f"identity {number}"))
    return ContactCard(Address(number.to_bytes(20, "big")), key.public, secret)


@pytest.fixture
def keystore(tmp_path):
    unlock = KeyFile(tmp_path / "key")
    unlock.make(os.urandom)
    return Keystore.create(tmp_path / "keystore", unlock, os.urandom)


def again(keystore, tmp_path):
    opened = Keystore.open(tmp_path / "keystore", KeyFile(tmp_path / "key"), os.urandom)
    return Contacts(opened)


def test_contacts_survive_a_restart(keystore, tmp_path):
    contacts = Contacts(keystore)
    contacts.add("bob", card(2))
    contacts.add("alice", card(1))
    found = again(keystore, tmp_path)
    assert list(found) == ["alice", "bob"]
    assert found.card("bob") == card(2)
    assert found.alias_of(card(1).account) == "alice"
    assert found.is_contact(card(2).account)
    assert not found.is_contact(card(3).account)
    found.remove("bob")
    assert list(again(keystore, tmp_path)) == ["alice"]
    with pytest.raises(UnknownContactError):
        found.card("bob")


def test_nothing_of_a_contact_can_be_read_from_the_disk(keystore, tmp_path):
    contacts = Contacts(keystore)
    contacts.add("somebody-i-know", card(1))
    data = (tmp_path / "keystore").read_bytes()
    for secret in (b"somebody", SECRET, SECRET.hex().encode(), str(card(1).account).encode()):
        assert secret not in data
    assert "somebody" not in repr(contacts)


def test_a_new_card_of_an_address_replaces_the_old_one(keystore, tmp_path):
    contacts = Contacts(keystore)
    contacts.add("alice", card(1))
    contacts.add("alice", card(1, fixed("another secret")))
    contacts.add("alice-work", card(1))
    for found in (contacts, again(keystore, tmp_path)):
        assert dict(found) == {"alice-work": card(1)}
    with pytest.raises(AliasTakenError):
        contacts.add("alice-work", card(2))


def test_there_is_an_end_to_them(keystore, monkeypatch):
    monkeypatch.setattr(module, "CONTACTS_MAX", 2)
    contacts = Contacts(keystore)
    contacts.add("a", card(1))
    contacts.add("b", card(2))
    with pytest.raises(ContactsFullError):
        contacts.add("c", card(3))
    contacts.add("a2", card(1))


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "-a",
        "a-",
        "A",
        "a.b",
        "a/b",
        "a b",
        "ä",
        "x" * 64,
        "0x" + "ab" * 20,
        "0xabc",
        "0x",
        "a\n",
    ],
)
def test_what_is_no_alias(alias, keystore):
    with pytest.raises(AliasError):
        Contacts(keystore).add(alias, card(1))


@given(st.text(max_size=70))
def test_any_text_is_an_alias_or_refused(text):
    try:
        alias = check_alias(text)
    except AliasError:
        return
    assert alias.isascii()
    assert alias.replace("-", "").isalnum()


def test_a_contact_that_is_no_card_is_damage(keystore):
    keystore.put("contact/alice", b"psp:nobody")
    with pytest.raises(CorruptedFileError):
        Contacts(keystore)
