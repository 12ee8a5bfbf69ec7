"""Hashes, the identity key and the device keys (SPEC 1.2).

Secrets never show in ``repr``; ``secret()`` hands them to the keystore alone.
"""

import hashlib
from collections.abc import Callable
from typing import Final, Self, final

import coincurve
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from eth_hash.auto import keccak

from peerstream.identity.errors import BadSignatureError, KeyMaterialError
from peerstream.identity.secret import Secret

Entropy = Callable[[int], bytes]

KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
CURVE_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
_FIELD: Final = (1 << 255) - 19
_Y_BITS: Final = (1 << 255) - 1
# y of the eight points of order 1, 2, 4 and 8 on edwards25519; tests/identity computes them.
_ORDER_EIGHT: Final = 0x7A03AC92_77FDC74E_C6CC392C_FA53202A_0F67100D_760B3CBA_4FD84D3D_706A17C7
_LOW_ORDER: Final = frozenset({0, 1, _FIELD - 1, _ORDER_EIGHT, _FIELD - _ORDER_EIGHT})
_EVEN: Final = b"\x02"
_ODD: Final = b"\x03"


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not SHA3-256): 32 bytes."""
    return keccak(data)


def tagged_hash(tag: bytes, data: bytes) -> bytes:
    """Return ``SHA256(SHA256(tag) || SHA256(tag) || data)``, BIP-340's tagged hash: 32 bytes."""
    prefix = hashlib.sha256(tag).digest()
    return hashlib.sha256(prefix + prefix + data).digest()


def check_public_key(public: bytes) -> None:
    """Raise KeyMaterialError unless the 32 bytes are the x of a secp256k1 point."""
    _load_point(public)


def even_and_odd_points(public: bytes) -> tuple[bytes, bytes]:
    """Return both points of an x-only key as 64 bytes, x then y; raises KeyMaterialError."""
    _load_point(public)
    even, odd = (coincurve.PublicKey(prefix + bytes(public)) for prefix in (_EVEN, _ODD))
    return even.format(compressed=False)[1:], odd.format(compressed=False)[1:]


def verify_schnorr(public: bytes, message: bytes, signature: bytes) -> None:
    """Verify a BIP-340 signature of 64 bytes under an x-only key of 32.

    Raises KeyMaterialError for a key that is no point, BadSignatureError otherwise.
    """
    point = _load_point(public)
    if len(signature) != SIGNATURE_SIZE or not point.verify(bytes(signature), bytes(message)):
        raise BadSignatureError("the BIP-340 signature does not verify")


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> None:
    """Verify an Ed25519 signature of 64 bytes; raises KeyMaterialError or BadSignatureError.

    A key of low order is refused: OpenSSL takes it, and signatures for it fit any message.
    """
    if len(public) != KEY_SIZE:
        raise KeyMaterialError("an Ed25519 key is 32 bytes")
    if (int.from_bytes(public, "little") & _Y_BITS) % _FIELD in _LOW_ORDER:
        raise KeyMaterialError("the Ed25519 key is of low order")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignatureError("the Ed25519 signature does not verify") from error


@final
class IdentityKey:
    """The secp256k1 key that the wallet delegates to; signs by BIP-340 and is known by its x."""

    __slots__ = ("_key", "public")

    def __init__(self, key: coincurve.PrivateKey) -> None:
        self._key = key
        self.public: Final[bytes] = coincurve.PublicKeyXOnly.from_valid_secret(key.secret).format()

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Load 32 secret bytes; raises KeyMaterialError when 0 or not below the group order."""
        if len(secret) != KEY_SIZE or not 0 < int.from_bytes(secret) < CURVE_ORDER:
            raise KeyMaterialError("the identity key is not a number from 1 to the group order")
        return cls(coincurve.PrivateKey(bytes(secret)))

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """Make a key from 32 bytes of entropy; raises KeyMaterialError once in 2^127."""
        return cls.from_bytes(entropy(KEY_SIZE))

    def sign(self, message: bytes) -> bytes:
        """BIP-340 signature, 64 bytes, over a message of 32; the same message gives the same bytes.

        Without auxiliary randomness, which BIP-340 allows; the library checks each signature
        before it leaves, so that a fault in the arithmetic does not betray the key.
        """
        if len(message) != KEY_SIZE:
            raise KeyMaterialError("an identity key signs messages of 32 bytes")
        return bytes(self._key.sign_schnorr(bytes(message), None))

    def shared_x(self, peer: bytes) -> bytes:
        """Return the x of this secret times the peer's x-only key: 32 bytes, free of parity."""
        if len(peer) != KEY_SIZE:
            raise KeyMaterialError("an x-only key is 32 bytes")
        try:
            point = coincurve.PublicKey(_EVEN + peer)
        except ValueError as error:
            raise KeyMaterialError("the key is no point of secp256k1") from error
        return bytes(point.multiply(self._key.secret).format()[1:])

    def even_scalar(self) -> int:
        """Return the secret whose point has an even y: what BIP-340 signs with."""
        scalar = int.from_bytes(self._key.secret)
        odd = self._key.public_key.format()[:1] != _EVEN
        return CURVE_ORDER - scalar if odd else scalar

    def secret(self) -> Secret:
        """Return the 32 bytes for the keystore."""
        return Secret(self._key.secret)

    def __repr__(self) -> str:
        return f"<identity key {self.public.hex()[:8]}>"


@final
class DeviceKeys:
    """What one device holds: an Ed25519 key to sign with and an X25519 key to agree with."""

    __slots__ = ("_agreement", "_sign", "agreement_public", "signing_public")

    def __init__(self, sign: Ed25519PrivateKey, agreement: X25519PrivateKey) -> None:
        self._sign = sign
        self._agreement = agreement
        self.signing_public: Final[bytes] = sign.public_key().public_bytes_raw()
        self.agreement_public: Final[bytes] = agreement.public_key().public_bytes_raw()

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Load 64 secret bytes, Ed25519 then X25519; raises KeyMaterialError for another length."""
        if len(secret) != 2 * KEY_SIZE:
            raise KeyMaterialError("device keys are 64 bytes")
        return cls(
            Ed25519PrivateKey.from_private_bytes(secret[:KEY_SIZE]),
            X25519PrivateKey.from_private_bytes(secret[KEY_SIZE:]),
        )

    @classmethod
    def generate(cls, entropy: Entropy) -> Self:
        """Make both keys from 64 bytes of entropy."""
        return cls.from_bytes(entropy(2 * KEY_SIZE))

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._sign.sign(message)

    def agree(self, peer_public: bytes) -> bytes:
        """X25519 with the peer's key: 32 bytes; KeyMaterialError for a point of low order."""
        if len(peer_public) != KEY_SIZE:
            raise KeyMaterialError("an X25519 key is 32 bytes")
        try:
            return self._agreement.exchange(X25519PublicKey.from_public_bytes(peer_public))
        except ValueError as error:
            raise KeyMaterialError("the peer's X25519 key is of low order") from error

    def secret(self) -> Secret:
        """Return the 64 bytes for the keystore, Ed25519 then X25519."""
        return Secret(self._sign.private_bytes_raw() + self._agreement.private_bytes_raw())

    def __repr__(self) -> str:
        return f"<device keys {self.signing_public.hex()[:8]}>"


def _load_point(public: bytes) -> coincurve.PublicKeyXOnly:
    if len(public) != KEY_SIZE:
        raise KeyMaterialError("an x-only key is 32 bytes")
    try:
        return coincurve.PublicKeyXOnly(bytes(public))
    except ValueError as error:
        raise KeyMaterialError("the key is no point of secp256k1") from error
