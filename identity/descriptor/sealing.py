"""Seal contents into a record and open a record for its contents (SPEC 2.3, 2.4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.identity import canonical, labels
from peerstream.identity.address import Address
from peerstream.identity.blinding import blind_public
from peerstream.identity.canonical import Fields, Value
from peerstream.identity.delegation import DelegationChecks, SignedDelegation
from peerstream.identity.descriptor.authorisation import (
    ENTRIES_MAXIMUM,
    ENTRY_SIZE,
    SINGLE_USE_NONCE,
    TAG_SIZE,
    derive_key,
    open_with,
    seal_for,
)
from peerstream.identity.descriptor.contents import BODY_KNOWN, DescriptorContents
from peerstream.identity.descriptor.record import (
    EXPIRY_STEP,
    MAGIC,
    SIZE_CLASSES,
    DescriptorKey,
    RecordHeader,
    VerifiedRecord,
)
from peerstream.identity.errors import EncodingError, OtherIdentityError
from peerstream.identity.keys import KEY_SIZE, Entropy

SALT_SIZE: Final = 32
_LENGTH_SIZE: Final = 4
_PLAIN_MAXIMUM: Final = SIZE_CLASSES[-1] - TAG_SIZE - _LENGTH_SIZE
_OPEN_BODY, _ENTRIES, _SEALED_BODY = 2, 3, 4
_OUTER_KNOWN: Final = range(1, 5)
_DELEGATION_KNOWN: Final = range(1, 4)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may read a descriptor.

    ``contact_secret`` empty: whoever knows address and identity key (listed). 32 bytes: whoever
    has them from a card or a session. ``client_keys``: of these only the named contacts.
    """

    contact_secret: bytes = field(default=b"", repr=False)
    client_keys: Sequence[bytes] = field(default=(), repr=False)


def round_expiry(expiry: int) -> int:
    """Round a time up to the step that records use, 600 seconds."""
    return -(-expiry // EXPIRY_STEP) * EXPIRY_STEP


def seal_descriptor(
    contents: DescriptorContents,
    key: DescriptorKey,
    *,
    revision: int,
    expiry: int,
    audience: Audience,
    entropy: Entropy,
) -> bytes:
    """Make the record of one revision: 4 348, 8 444 or 12 540 bytes.

    ``revision`` is directory time in seconds and above every one published before; ``expiry`` is
    rounded up to 600 s. Raises EncodingError when a value does not fit its field,
    OtherIdentityError when the key was blinded from another identity or secret, or is for another
    network.
    """
    identity_key = contents.identity_key
    if key.blinded != blind_public(identity_key, key.period, audience.contact_secret):
        raise OtherIdentityError("the descriptor key belongs to another identity or secret")
    if key.network_id != contents.delegation.network_id:
        raise OtherIdentityError("the delegation is for another network")
    if not (0 <= revision < 1 << 64 and 0 <= round_expiry(expiry) < 1 << 32):
        raise EncodingError("a revision is an u64, an expiry an u32")
    salt = entropy(SALT_SIZE)
    plain = _pad(_encode(contents, audience, salt, entropy))
    header = RecordHeader(
        magic=MAGIC,
        blinded=key.blinded,
        descriptor_key=key.public,
        certificate=key.certificate,
        period=key.period,
        revision=revision,
        expiry=round_expiry(expiry),
        salt=salt,
        ciphertext_size=len(plain) + TAG_SIZE,
    )
    cipher = _cipher(header, identity_key, contents.account, audience.contact_secret)
    head = header.encode()
    signed = head + cipher.encrypt(SINGLE_USE_NONCE, plain, head)
    return signed + key.sign(signed)


def open_descriptor(
    record: VerifiedRecord,
    identity_key: bytes,
    account: Address,
    contact_secret: bytes,
    *,
    client_key: bytes | None = None,
    checks: DelegationChecks,
) -> DescriptorContents:
    """Open a verified record and check that the account's wallet stands behind it.

    Raises OtherIdentityError when it is not this identity's or not this account's, EncodingError
    for contents that break the rules, NotAuthorisedError without an entry for ``client_key``, and
    what ``SignedDelegation.verify`` raises.
    """
    if record.header.blinded != blind_public(identity_key, record.header.period, contact_secret):
        raise OtherIdentityError("the record is under another identity's blinded key")
    cipher = _cipher(record.header, identity_key, account, contact_secret)
    try:
        plain = cipher.decrypt(SINGLE_USE_NONCE, record.ciphertext, record.header.encode())
    except InvalidTag as error:
        raise OtherIdentityError("the record does not open for this account") from error
    outer = canonical.decode_fields(_unpad(plain), known=_OUTER_KNOWN, max_size=_PLAIN_MAXIMUM)
    delegation = SignedDelegation.from_fields(outer.fields(1, _DELEGATION_KNOWN))
    granted = delegation.delegation
    if granted.account != account or granted.identity_key != identity_key:
        raise OtherIdentityError("the delegation inside names another account or identity key")
    delegation.verify(checks)
    body = _open_body(outer, client_key, record.header.salt)
    return DescriptorContents.from_fields(delegation, body)


def _encode(
    contents: DescriptorContents, audience: Audience, salt: bytes, entropy: Entropy
) -> bytes:
    body = canonical.encode(contents.body_fields())
    outer: dict[int, Value] = {1: contents.delegation.to_fields()}
    if audience.client_keys:
        outer[_ENTRIES], outer[_SEALED_BODY] = seal_for(audience.client_keys, body, salt, entropy)
    else:
        outer[_OPEN_BODY] = body
    return canonical.encode(outer)


def _open_body(outer: Fields, client_key: bytes | None, salt: bytes) -> Fields:
    if (_OPEN_BODY in outer) == (_SEALED_BODY in outer):
        raise EncodingError("a descriptor has an open body or a sealed one")
    if _OPEN_BODY in outer:
        body = outer.octets_up_to(_OPEN_BODY, _PLAIN_MAXIMUM)
    else:
        entries = outer.octets_up_to(_ENTRIES, ENTRIES_MAXIMUM * ENTRY_SIZE)
        sealed = outer.octets_up_to(_SEALED_BODY, _PLAIN_MAXIMUM)
        body = open_with(client_key, entries, sealed, salt)
    return canonical.decode_fields(body, known=BODY_KNOWN, max_size=_PLAIN_MAXIMUM)


def _pad(document: bytes) -> bytes:
    """Put the length before a document and zeros behind it, up to the next size class."""
    for size in SIZE_CLASSES:
        room = size - TAG_SIZE - _LENGTH_SIZE
        if len(document) <= room:
            return len(document).to_bytes(_LENGTH_SIZE) + document.ljust(room, b"\0")
    raise EncodingError("the contents do not fit the largest size class")


def _unpad(plain: bytes) -> bytes:
    end = _LENGTH_SIZE + int.from_bytes(plain[:_LENGTH_SIZE])
    document = plain[_LENGTH_SIZE:end]
    if _pad(document) != plain:
        raise EncodingError("the padding of a descriptor is dirty or its size class too large")
    return document


def _cipher(
    header: RecordHeader, identity_key: bytes, account: Address, contact_secret: bytes
) -> AESGCM:
    """Derive the record's key; the random salt makes it single-use even for a repeated revision."""
    if len(identity_key) != KEY_SIZE:
        raise EncodingError("an identity key is 32 bytes")
    times = header.period.to_bytes(8) + header.revision.to_bytes(8)
    salt = header.salt + header.blinded + times
    secret = identity_key + account.raw + contact_secret
    return AESGCM(derive_key(salt, secret, labels.DESCRIPTOR_KEY))
