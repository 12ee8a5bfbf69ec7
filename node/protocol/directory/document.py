"""Signed documents: a canonical CBOR map with integer keys and an Ed25519 signature (SPEC 6.1).

A signature covers ``label || network_id || H(body)``: a document of one network or kind is never
one of another. Maps hold exactly the keys of their kind; a new field is a new label, because two
readers that ignore different keys of one document do not agree on what was signed.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from peerstream.identity import canonical
from peerstream.identity.errors import BadSignatureError, EncodingError, KeyMaterialError
from peerstream.identity.keys import verify_ed25519 as verify_signature
from peerstream.node.protocol.directory.errors import (
    BadDocumentSignatureError,
    MalformedDocumentError,
)

U64_MAX: Final = 2**64 - 1
SIGNATURE_SIZE: Final = 64
_KEY_BODY: Final = 1
_KEY_SIGNATURE: Final = 2


class SigningKey(Protocol):
    """What signs documents: the Ed25519 private key of `cryptography`, or whatever guards one."""

    def sign(self, data: bytes, /) -> bytes:
        """64-byte Ed25519 signature."""
        ...


def document_hash(body: bytes) -> bytes:
    """SHA-256 of a body: what is signed, compared and put under a Merkle root; 32 bytes."""
    return hashlib.sha256(body).digest()


def signed_message(label: bytes, network_id: bytes, body: bytes) -> bytes:
    """Return the bytes that the signature of a document covers."""
    return label + network_id + document_hash(body)


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise BadDocumentSignatureError unless `public` (32 B) signed `message`."""
    try:
        verify_signature(public, message, signature)
    except (BadSignatureError, KeyMaterialError) as error:
        raise BadDocumentSignatureError("not signed by the key it names") from error


def encode(fields: Mapping[int, Any] | list[Any]) -> bytes:
    """Deterministic CBOR (RFC 8949 4.2.1)."""
    return canonical.encode(fields)  # type: ignore[arg-type]  # nested values are not spelled out


def decode(data: bytes, *, limit: int) -> Any:
    """One plain CBOR value in its one encoding, of at most `limit` bytes.

    Raises MalformedDocumentError.
    """
    try:
        return canonical.decode(data, max_size=limit)
    except EncodingError as error:
        raise MalformedDocumentError(str(error)) from error


class Fields:
    """Typed reading of a decoded map with exactly the given integer keys.

    Every method raises MalformedDocumentError, which names the field's number.
    """

    def __init__(
        self, value: object, *, required: int, optional: frozenset[int] = frozenset()
    ) -> None:
        """Return `required`: keys 1..required must be there; `optional`: these may be."""
        if not isinstance(value, dict):
            raise MalformedDocumentError("no map")
        needed = set(range(1, required + 1))
        if not needed <= value.keys() <= needed | optional:
            raise MalformedDocumentError(f"fields {list(value)} where 1..{required} belong")
        self._map: dict[int, object] = value

    def has(self, key: int) -> bool:
        """Whether the optional field is there."""
        return key in self._map

    def number(self, key: int, maximum: int = U64_MAX, *, minimum: int = 0) -> int:
        """Return an integer within the bounds."""
        value = self._map[key]
        if type(value) is not int or not minimum <= value <= maximum:
            raise MalformedDocumentError(f"field {key} is no number in {minimum}..{maximum}")
        return value

    def octets(self, key: int, size: int) -> bytes:
        """Exactly `size` bytes."""
        return as_octets(self._map[key], size, key)

    def blob(self, key: int, maximum: int) -> bytes:
        """At most `maximum` bytes."""
        value = self._map[key]
        if not isinstance(value, bytes) or len(value) > maximum:
            raise MalformedDocumentError(f"field {key} is no byte string of up to {maximum}")
        return value

    def text(self, key: int, maximum: int) -> str:
        """At most `maximum` characters."""
        value = self._map[key]
        if not isinstance(value, str) or len(value) > maximum:
            raise MalformedDocumentError(f"field {key} is no text of up to {maximum} characters")
        return value

    def items(self, key: int, maximum: int, *, minimum: int = 0) -> list[Any]:
        """Return a list of `minimum`..`maximum` items, not yet checked themselves."""
        value = self._map[key]
        if not isinstance(value, list) or not minimum <= len(value) <= maximum:
            raise MalformedDocumentError(f"field {key} is no list of {minimum}..{maximum}")
        return value


def as_octets(value: object, size: int, key: int) -> bytes:
    """Return the value itself when it is `size` bytes; raises MalformedDocumentError."""
    if not isinstance(value, bytes) or len(value) != size:
        raise MalformedDocumentError(f"field {key} is not {size} bytes")
    return value


class SignedBody(NamedTuple):
    """A document and its signature, unchecked: only `verified` says that they belong together."""

    body: bytes
    signature: bytes

    @classmethod
    def sign(cls, body: bytes, key: SigningKey, *, label: bytes, network_id: bytes) -> "SignedBody":
        """Sign as the owner of `key`."""
        return cls(body, key.sign(signed_message(label, network_id, body)))

    @classmethod
    def decode(cls, data: bytes, *, limit: int) -> "SignedBody":
        """Read what `encode` wrote. Raises MalformedDocumentError."""
        fields = Fields(decode(data, limit=limit), required=2)
        return cls(fields.blob(_KEY_BODY, limit), fields.octets(_KEY_SIGNATURE, SIGNATURE_SIZE))

    def encode(self) -> bytes:
        """Wire form: CBOR {1 body, 2 signature}."""
        return encode({_KEY_BODY: self.body, _KEY_SIGNATURE: self.signature})

    def verify(self, public: bytes, *, label: bytes, network_id: bytes) -> None:
        """Raise BadDocumentSignatureError unless `public` signed it for this network."""
        verify_ed25519(public, signed_message(label, network_id, self.body), self.signature)
