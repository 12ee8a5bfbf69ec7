"""The caller's two proofs: AUTH0 in message 1, AUTH in the first cell (SPEC 5.3).

Both are MACs under keys that only the holders of the two Diffie-Hellman halves can derive, so each
convinces the callee and nobody else: a session leaves no signature behind.
"""

import hmac
from hashlib import sha256

from peerstream.identity import labels
from peerstream.node.protocol.session.schedule import derive


def early_proof(chaining_key: bytes, agreed: bytes, transcript: bytes, chain: bytes) -> bytes:
    """AUTH0's MAC: ``agreed`` = X25519(device, handshake key), ``transcript`` after the header."""
    return _proof(chaining_key, agreed, labels.CALLER_EARLY_PROOF, transcript, chain)


def caller_proof(chaining_key: bytes, agreed: bytes, transcript: bytes, chain: bytes) -> bytes:
    """AUTH's MAC: ``agreed`` = X25519(device, y), ``transcript`` of the whole handshake."""
    return _proof(chaining_key, agreed, labels.CALLER_PROOF, transcript, chain)


def _proof(salt: bytes, agreed: bytes, label: bytes, transcript: bytes, chain: bytes) -> bytes:
    key = derive(salt, agreed, label)
    return hmac.digest(key, transcript + sha256(chain).digest(), "sha256")


def equal_proofs(one: bytes, other: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one, other)
