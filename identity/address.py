"""Ethereum addresses with the ERC-55 checksum (SPEC 1.1)."""

import string
from dataclasses import dataclass
from typing import Final, Self

from peerstream.identity.errors import AddressError
from peerstream.identity.keys import keccak256

ADDRESS_SIZE: Final = 20
_TEXT_SIZE: Final = 2 + 2 * ADDRESS_SIZE
_HEXADECIMAL: Final = frozenset(string.hexdigits)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Address:
    """An Ethereum address: 20 bytes; ``str`` gives the ERC-55 form."""

    raw: bytes

    def __post_init__(self) -> None:
        if type(self.raw) is not bytes or len(self.raw) != ADDRESS_SIZE:
            raise AddressError("an address is 20 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``0x`` and 40 hexadecimal digits.

        One case throughout carries no checksum and is accepted; mixed case must be ERC-55.
        Raises AddressError.
        """
        if len(text) != _TEXT_SIZE or text[:2] != "0x" or not _HEXADECIMAL.issuperset(text[2:]):
            raise AddressError("an address is 0x and 40 hexadecimal digits")
        address = cls(bytes.fromhex(text[2:]))
        digits = text[2:]
        if digits not in (digits.lower(), digits.upper()) and text != str(address):
            raise AddressError("the checksum of the address fails: a digit or its case is wrong")
        return address

    @classmethod
    def of_public_key(cls, point: bytes) -> Self:
        """Return the address of an uncompressed secp256k1 point: 64 bytes, x then y."""
        return cls(keccak256(point)[-ADDRESS_SIZE:])

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        digits = self.raw.hex()
        checksum = keccak256(digits.encode()).hex()
        pairs = zip(digits, checksum, strict=False)
        return "0x" + "".join(d.upper() if int(c, 16) >= 8 else d for d, c in pairs)
