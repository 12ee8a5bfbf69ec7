"""X-Wing: X25519 and ML-KEM-768 as one KEM (SPEC 3; draft-connolly-cfrg-xwing-kem).

Built from its two parts because a circuit uses the X25519 ephemeral of a ciphertext a second time,
against the hop's own ephemeral. OpenSSL draws the randomness of `encapsulate` (decision 0020).
"""

from functools import cached_property
from hashlib import sha3_256, sha256, shake_256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.wire.sizes import (
    KEM_CIPHERTEXT_SIZE,
    KEM_PUBLIC_SIZE,
    KEY_ID_SIZE,
)

SEED_SIZE: Final = 32
X25519_SIZE: Final = 32
_COMBINER_LABEL: Final = b"\\.//^\\"  # the draft's XWingLabel, drawn as \.//^\


class Encapsulation(NamedTuple):
    """A fresh secret for a key's owner. `ephemeral` is secret; `ciphertext` ends in its point."""

    ciphertext: bytes  # 1 120
    shared: bytes  # 32
    ephemeral: X25519PrivateKey

    def __repr__(self) -> str:
        return "<Encapsulation>"


def agree(private: X25519PrivateKey, peer: bytes) -> bytes:
    """X25519 with 32 bytes from a stranger; KemError for a wrong size or an all-zero result."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise KemError("no usable X25519 public key") from error


class KemPublicKey:
    """A public key of 1 216 bytes = ML-KEM-768 1 184 || X25519 32, parsed at its first use."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEM_PUBLIC_SIZE:
            raise KemError(f"a public key of {len(raw)} bytes")
        self.raw = bytes(raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KemPublicKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<KemPublicKey {self.key_id.hex()}>"

    @cached_property
    def key_id(self) -> bytes:
        """The 4 bytes by which a frame names this key: H(public key)[0:4]."""
        return sha256(self.raw).digest()[:KEY_ID_SIZE]

    @property
    def x25519(self) -> bytes:
        """The X25519 half, 32 bytes."""
        return self.raw[-X25519_SIZE:]

    @cached_property
    def _lattice(self) -> MLKEM768PublicKey:
        try:
            return MLKEM768PublicKey.from_public_bytes(self.raw[:-X25519_SIZE])
        except ValueError as error:
            raise KemError("the ML-KEM half is not reduced") from error

    def check(self) -> None:
        """KemError now rather than at the first use, for a key that is about to be kept."""
        _ = self._lattice

    def encapsulate(self) -> Encapsulation:
        """Draw a secret for this key; KemError when the key is none."""
        ephemeral = X25519PrivateKey.generate()
        point = ephemeral.public_key().public_bytes_raw()
        lattice_secret, lattice_ciphertext = self._lattice.encapsulate()
        shared = _combine(lattice_secret, agree(ephemeral, self.x25519), point, self.x25519)
        return Encapsulation(lattice_ciphertext + point, shared, ephemeral)


class KemPrivateKey:
    """The private key of 32 bytes of seed, expanded as the draft says: SHAKE-256 to 96 bytes."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise KemError(f"a seed of {len(seed)} bytes")
        expanded = shake_256(seed).digest(96)
        self._seed = bytes(seed)
        self._lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.public = KemPublicKey(
            self._lattice.public_key().public_bytes_raw()
            + self._x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def from_seed(cls, seed: bytes) -> "KemPrivateKey":
        """Make the key of a seed of 32 bytes; KemError for another size."""
        return cls(seed)

    def __repr__(self) -> str:
        return f"<KemPrivateKey {self.public.key_id.hex()}>"

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes that make this key again, for a keystore."""
        return self._seed

    def agree(self, peer: bytes) -> bytes:
        """X25519 of this key's classical half with a stranger's 32 bytes; KemError as `agree`."""
        return agree(self._x25519, peer)

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Return the 32-byte secret of a ciphertext.

        A ciphertext for another key gives another secret, not an error (FIPS 203, implicit
        rejection). KemError for another size than 1 120 or a low-order point.
        """
        if len(ciphertext) != KEM_CIPHERTEXT_SIZE:
            raise KemError(f"a ciphertext of {len(ciphertext)} bytes")
        point = ciphertext[-X25519_SIZE:]
        lattice_secret = self._lattice.decapsulate(ciphertext[:-X25519_SIZE])
        return _combine(lattice_secret, self.agree(point), point, self.public.x25519)


def _combine(lattice_secret: bytes, exchanged: bytes, point: bytes, public: bytes) -> bytes:
    return sha3_256(lattice_secret + exchanged + point + public + _COMBINER_LABEL).digest()
