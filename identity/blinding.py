"""Key blinding: another public key each period, tied to the identity key (SPEC 1.8).

``t = TH(label, P || period || contact_secret)`` and ``B = x(P + t*G)``, P lifted to its even y.
Whoever knows P and the contact secret computes B; nobody else can link B to P. With P known, the
blinded secret gives the identity secret: it is as precious, and certifies one descriptor key only.
"""

from typing import Final, final

import coincurve

from peerstream.identity import labels
from peerstream.identity.errors import KeyMaterialError, TweakRangeError
from peerstream.identity.keys import CURVE_ORDER, KEY_SIZE, IdentityKey, tagged_hash

CONTACT_SECRET_SIZE: Final = 32
_PERIOD_BOUND: Final = 1 << 64


def blind_public(identity_key: bytes, period: int, contact_secret: bytes = b"") -> bytes:
    """Compute the blinded key B, 32 bytes, of an x-only identity key for a period.

    Raises KeyMaterialError for a key that is no point or a secret that is neither empty nor 32
    bytes, TweakRangeError for the one tweak in 2^128 that is out of range.
    """
    tweak = _tweak(identity_key, period, contact_secret)
    try:
        point = coincurve.PublicKeyXOnly(bytes(identity_key))
    except ValueError as error:
        raise KeyMaterialError("the identity key is no point of secp256k1") from error
    try:
        point.tweak_add(tweak)
    except ValueError as error:
        raise TweakRangeError("the blinded key is the point at infinity") from error
    return bytes(point.format())


def blind_secret(
    identity_key: IdentityKey, period: int, contact_secret: bytes = b""
) -> "BlindedKey":
    """Compute the secret side of ``blind_public``; the same errors."""
    tweak = int.from_bytes(_tweak(identity_key.public, period, contact_secret))
    scalar = (identity_key.even_scalar() + tweak) % CURVE_ORDER
    if scalar == 0:
        raise TweakRangeError("the blinded key is the point at infinity")
    return BlindedKey(IdentityKey.from_bytes(scalar.to_bytes(KEY_SIZE)), period)


@final
class BlindedKey:
    """The blinded secret of one period; it signs and cannot be exported."""

    __slots__ = ("_key", "period", "public")

    def __init__(self, key: IdentityKey, period: int) -> None:
        self._key = key
        self.period: Final = period
        self.public: Final = key.public

    def sign(self, message: bytes) -> bytes:
        """BIP-340 signature, 64 bytes, over a message of 32."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"<blinded key of period {self.period}>"


def _tweak(identity_key: bytes, period: int, contact_secret: bytes) -> bytes:
    if len(identity_key) != KEY_SIZE or len(contact_secret) not in (0, CONTACT_SECRET_SIZE):
        raise KeyMaterialError("an identity key is 32 bytes, a contact secret none or 32")
    if not 0 <= period < _PERIOD_BOUND:
        raise KeyMaterialError("a period is an u64")
    tweak = tagged_hash(labels.BLIND, identity_key + period.to_bytes(8) + contact_secret)
    return check_tweak(tweak)


def check_tweak(tweak: bytes) -> bytes:
    """Return the tweak, or raise TweakRangeError when it is 0 or not below the group order.

    0 would publish the identity key itself; reducing a larger one would let two hashes agree.
    """
    if not 0 < int.from_bytes(tweak) < CURVE_ORDER:
        raise TweakRangeError("the blinding tweak is out of range")
    return tweak
