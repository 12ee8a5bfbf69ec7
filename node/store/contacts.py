"""Contacts: cards by alias, as secrets of the keystore (SPEC 17.3)."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.contact import ContactCard
from peerstream.identity.errors import IdentityError
from peerstream.node.store.errors import (
    AliasError,
    AliasTakenError,
    ContactsFullError,
    CorruptedFileError,
    UnknownContactError,
)
from peerstream.node.store.keystore import Keystore

CONTACTS_MAX: Final = 512
ALIAS_MAX: Final = 63
CONTACT_PREFIX: Final = "contact/"
_ALIAS: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_NUMBER: Final = "0x"  # what begins so is read as an address wherever a name is (SPEC 16.1)


def check_alias(alias: str) -> str:
    """Return the alias. Raises AliasError for what is none, or would be read as an address."""
    if not _is_alias(alias) or alias.startswith(_NUMBER):
        raise AliasError("an alias is 1 to 63 of a-z, 0-9 and -, and does not begin with 0x")
    return alias


def _is_alias(text: str) -> bool:
    return len(text) <= ALIAS_MAX and _ALIAS.fullmatch(text) is not None


class Contacts(Mapping[str, ContactCard]):
    """The contacts of one node, sorted by alias; every change is on disk when it returns."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._cards = dict(_read(keystore))
        self._aliases = {card.account: alias for alias, card in self._cards.items()}

    def __repr__(self) -> str:
        return f"<Contacts: {len(self._cards)}>"

    def __getitem__(self, alias: str) -> ContactCard:
        return self._cards[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._cards))

    def __len__(self) -> int:
        return len(self._cards)

    def card(self, alias: str) -> ContactCard:
        """Return the card of an alias that there must be. Raises UnknownContactError."""
        found = self._cards.get(alias)
        if found is None:
            raise UnknownContactError("there is no contact of that alias")
        return found

    def alias_of(self, account: Address) -> str | None:
        """Return the alias of an address, None when it is no contact."""
        return self._aliases.get(account)

    def is_contact(self, account: Address) -> bool:
        """Whether the address is one of a contact."""
        return account in self._aliases

    def add(self, alias: str, card: ContactCard) -> None:
        """Keep a card under an alias, in place of an older card of the same address.

        Raises AliasError, AliasTakenError for the alias of another address, ContactsFullError, and
        StoreError when it cannot be written.
        """
        check_alias(alias)
        taken, before = self._cards.get(alias), self._aliases.get(card.account)
        if taken is not None and taken.account != card.account:
            raise AliasTakenError("another address has that alias")
        if before is None and len(self._cards) >= CONTACTS_MAX:
            raise ContactsFullError(f"{CONTACTS_MAX} contacts")
        self._keystore.put(CONTACT_PREFIX + alias, str(card).encode())
        if before is not None and before != alias:
            self.remove(before)
        self._cards[alias] = card
        self._aliases[card.account] = alias

    def remove(self, alias: str) -> None:
        """Forget a contact. Raises UnknownContactError."""
        card = self.card(alias)
        self._keystore.delete(CONTACT_PREFIX + alias)
        del self._cards[alias]
        del self._aliases[card.account]


def read_contact(name: str, secret: bytes) -> tuple[str, ContactCard]:
    """Return alias and card of one secret. Raises AliasError, CorruptedFileError."""
    alias = name.removeprefix(CONTACT_PREFIX)
    if not _is_alias(alias):  # one that begins with 0x may be here from before that was refused
        raise AliasError("the name of a contact is no alias")
    try:
        return alias, ContactCard.parse(secret.decode())
    except (IdentityError, UnicodeDecodeError) as error:
        raise CorruptedFileError(f"the contact {alias!r} is no card") from error


def _read(keystore: Keystore) -> Iterator[tuple[str, ContactCard]]:
    for name in keystore.names():
        if name.startswith(CONTACT_PREFIX):
            yield read_contact(name, keystore.get(name))
