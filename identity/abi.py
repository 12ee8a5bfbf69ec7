"""The little of Ethereum's contract ABI that wallet signatures need (SPEC 1.6)."""

from typing import Final

from peerstream.identity.address import ADDRESS_SIZE, Address
from peerstream.identity.errors import SignatureFormatError

_WORD: Final = 32


def encode_word_and_bytes(word: bytes, data: bytes) -> bytes:
    """Encode the arguments ``(bytes32, bytes)``."""
    padding = bytes(-len(data) % _WORD)
    return word + (2 * _WORD).to_bytes(_WORD) + len(data).to_bytes(_WORD) + data + padding


def read_address(body: bytes, index: int) -> Address:
    """Read argument ``index`` as an address; raises SignatureFormatError."""
    word = _slice(body, index * _WORD, _WORD)
    if any(word[:-ADDRESS_SIZE]):
        raise SignatureFormatError("an ABI address has bytes above its 20")
    return Address(word[-ADDRESS_SIZE:])


def read_bytes(body: bytes, index: int) -> bytes:
    """Read argument ``index`` as dynamic bytes; raises SignatureFormatError."""
    offset = _number(body, index * _WORD)
    return _slice(body, offset + _WORD, _number(body, offset))


def _number(body: bytes, offset: int) -> int:
    return int.from_bytes(_slice(body, offset, _WORD))


def _slice(body: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(body):
        raise SignatureFormatError("the ERC-6492 wrapper is cut or points outside itself")
    return body[offset : offset + size]
