"""Client authorisation: a descriptor body that only named contacts open (SPEC 2.4).

The body is encrypted under a random key k; each contact has an entry with k under its own client
key. Entries are tied to the record's random salt: who is removed learns nothing from later records,
and entries of one contact cannot be recognised from record to record.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peerstream.identity import labels
from peerstream.identity.errors import EncodingError, NotAuthorisedError
from peerstream.identity.keys import KEY_SIZE, Entropy

ENTRY_ID_SIZE: Final = 8
TAG_SIZE: Final = 16
ENTRY_SIZE: Final = ENTRY_ID_SIZE + KEY_SIZE + TAG_SIZE
ENTRIES_STEP: Final = 16  # the number of contacts shows only in steps
ENTRIES_MAXIMUM: Final = 64
SINGLE_USE_NONCE: Final = bytes(12)


def derive_key(salt: bytes, secret: bytes, label: bytes) -> bytes:
    """Derive 32 bytes by HKDF-SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), KEY_SIZE, salt, label).derive(secret)


def seal_for(
    client_keys: Sequence[bytes], body: bytes, salt: bytes, entropy: Entropy
) -> tuple[bytes, bytes]:
    """Encrypt a body for the holders of client keys of 32 bytes: (entries, sealed body).

    Entries are filled with random ones to a multiple of 16 and sorted, so that neither number nor
    order tells who is meant. Raises EncodingError for more than 64 keys or two equal ones.
    """
    if not 1 <= len(client_keys) <= ENTRIES_MAXIMUM or len(set(client_keys)) != len(client_keys):
        raise EncodingError("client authorisation takes 1 to 64 different keys")
    body_key = entropy(KEY_SIZE)
    entries = [_entry(client_key, body_key, salt) for client_key in client_keys]
    entries += [entropy(ENTRY_SIZE) for _ in range(-len(entries) % ENTRIES_STEP)]
    key = derive_key(salt, body_key, labels.CLIENT_AUTHORISATION_BODY)
    return b"".join(sorted(entries)), AESGCM(key).encrypt(SINGLE_USE_NONCE, body, None)


def open_with(client_key: bytes | None, entries: bytes, sealed: bytes, salt: bytes) -> bytes:
    """Open a body with our client key.

    Raises NotAuthorisedError when no entry is ours, EncodingError for a list of another shape.
    """
    count, rest = divmod(len(entries), ENTRY_SIZE)
    if rest or not 0 < count <= ENTRIES_MAXIMUM or count % ENTRIES_STEP:
        raise EncodingError("the list of authorised clients has a wrong size")
    if client_key is None:
        raise NotAuthorisedError("this descriptor is for named contacts only")
    own_id = _entry_id(client_key, salt)
    key = AESGCM(derive_key(salt, client_key, labels.CLIENT_AUTHORISATION))
    for start in range(0, len(entries), ENTRY_SIZE):
        entry = entries[start : start + ENTRY_SIZE]
        if not hmac.compare_digest(entry[:ENTRY_ID_SIZE], own_id):
            continue
        try:
            body_key = key.decrypt(SINGLE_USE_NONCE, entry[ENTRY_ID_SIZE:], None)
            body_cipher = AESGCM(derive_key(salt, body_key, labels.CLIENT_AUTHORISATION_BODY))
            return body_cipher.decrypt(SINGLE_USE_NONCE, sealed, None)
        except InvalidTag as error:
            raise NotAuthorisedError("our entry or the body behind it does not open") from error
    raise NotAuthorisedError("none of the entries is for us")


def _entry(client_key: bytes, body_key: bytes, salt: bytes) -> bytes:
    if len(client_key) != KEY_SIZE:
        raise EncodingError("a client key is 32 bytes")
    key = derive_key(salt, client_key, labels.CLIENT_AUTHORISATION)
    return _entry_id(client_key, salt) + AESGCM(key).encrypt(SINGLE_USE_NONCE, body_key, None)


def _entry_id(client_key: bytes, salt: bytes) -> bytes:
    mac = hmac.digest(client_key, labels.CLIENT_AUTHORISATION_ID + salt, "sha256")
    return mac[:ENTRY_ID_SIZE]
