"""Who may call an exposed service (SPEC 19.3)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity.address import Address
from peerstream.identity.errors import AddressError
from peerstream.node.gateway.errors import BadAllowError

ANYONE: Final = "anyone"
CONTACTS: Final = "contacts"
ACCOUNTS_MAX: Final = 4_096

IsContact = Callable[[Address], bool]


@dataclass(frozen=True, slots=True)
class AllowList:
    """Which callers are let in; an empty one means every verified one.

    anyone: those without an address too. contacts: whoever is a contact when the call comes.
    """

    anyone: bool = False
    contacts: bool = False
    accounts: frozenset[Address] = frozenset()

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """Read addresses, `contacts` and `anyone`. Raises BadAllowError."""
        found = list(words)
        if ANYONE in found and len(found) > 1:
            raise BadAllowError(f"{ANYONE} stands alone: it lets in all others")
        named = [word for word in found if word not in {ANYONE, CONTACTS}]
        if len(named) > ACCOUNTS_MAX:
            raise BadAllowError(f"at most {ACCOUNTS_MAX} addresses")
        try:
            accounts = frozenset(map(Address.parse, named))
        except AddressError as error:
            raise BadAllowError(str(error)) from error
        return cls(ANYONE in found, CONTACTS in found, accounts)

    def words(self) -> list[str]:
        """Return what `of` reads, in a fixed order."""
        kinds = [(ANYONE, self.anyone), (CONTACTS, self.contacts)]
        return [*(word for word, said in kinds if said), *sorted(map(str, self.accounts))]

    def admits(self, caller: Address | None, is_contact: IsContact) -> bool:
        """Whether this verified caller, or None for an anonymous one, is let in."""
        if caller is None or self.anyone:
            return self.anyone
        if not self.contacts and not self.accounts:
            return True
        return caller in self.accounts or (self.contacts and is_contact(caller))
