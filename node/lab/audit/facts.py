"""What nobody else should know, and the bytes by which it is recognised (SPEC 15.3)."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

PARTIES: Final = ("caller", "callee")
_BITS: Final = (8, 6)  # of a byte, and of a letter of base64


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    """One thing to know. kind: ip, address, key or content; of: whose, or of what.

    A key names its party as the address does: whoever knows the one can find the other.
    """

    kind: str
    of: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.of}"

    @property
    def party(self) -> str | None:
        """Whom it is about: caller, callee, or None for content."""
        return None if self.kind == "content" else self.of.partition(".")[0]

    @property
    def is_place(self) -> bool:
        """Whether it says where its party is."""
        return self.kind == "ip"

    @property
    def is_name(self) -> bool:
        """Whether it says who its party is."""
        return self.kind in {"address", "key"}


def is_forbidden(first: Fact, second: Fact) -> bool:
    """Whether two facts together say what no relay may know.

    Where somebody is and who, where both are, who both are, who calls where. Two names of one party
    are one thing.
    """
    if first.is_place and second.is_place:
        return first.party != second.party
    if first.is_name and second.is_name:
        return first.party != second.party
    return (first.is_place and second.is_name) or (first.is_name and second.is_place)


@dataclass(frozen=True, slots=True)
class Form:
    """A spelling of a fact. folded: letters of either case count."""

    fact: Fact
    data: bytes
    folded: bool = False


def forms_of(fact: Fact, value: bytes) -> Iterator[Form]:
    """Return the spellings of an address, key or content: raw, hexadecimal, both base64."""
    yield Form(fact, value)
    yield Form(fact, value.hex().encode(), folded=True)
    for shift in range(3):
        first, last = (
            -(-shift * _BITS[0] // _BITS[1]),
            (shift + len(value)) * _BITS[0] // _BITS[1],
        )
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            yield Form(fact, encode(bytes(shift) + value)[first:last])


def forms_of_ip(fact: Fact, address: str) -> Iterator[Form]:
    """Return the spellings of an IPv4 address.

    Four bytes occur by chance in what is encrypted, so they count where they are marked as an
    address: in a multiaddr, as a byte string of CBOR, mapped into IPv6.
    """
    packed = IPv4Address(address).packed
    yield Form(fact, address.encode())
    yield Form(fact, packed.hex().encode(), folded=True)
    yield Form(fact, b"\x04" + packed + b"\x06")
    yield Form(fact, b"\x44" + packed)
    yield Form(fact, bytes(10) + b"\xff\xff" + packed)


@dataclass(frozen=True, slots=True)
class Known:
    """All that is looked for."""

    forms: tuple[Form, ...]

    @classmethod
    def of(cls, places: Mapping[str, str], values: Iterable[tuple[Fact, bytes]]) -> "Known":
        """Return it for the IP addresses of parties, by party, and the bytes of other facts."""
        forms = [
            form
            for party, address in places.items()
            for form in forms_of_ip(Fact("ip", party), address)
        ]
        forms += [form for fact, value in values for form in forms_of(fact, value)]
        return cls(tuple(dict.fromkeys(forms)))

    def find(self, data: bytes) -> list[tuple[int, Fact]]:
        """Return where each fact occurs: the first place of each of its spellings."""
        folded = data.lower()
        found = []
        for form in self.forms:
            position = (folded if form.folded else data).find(form.data)
            if position >= 0:
                found.append((position, form.fact))
        return found

    def held(self, pieces: Iterable[bytes]) -> set[Fact]:
        """Return which facts occur anywhere."""
        found: set[Fact] = set()
        for data in pieces:
            folded = data.lower()
            found |= {
                form.fact
                for form in self.forms
                if form.fact not in found and form.data in (folded if form.folded else data)
            }
        return found
