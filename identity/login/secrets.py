"""Tokens, their hashes, and the keys that one secret of the service gives (SPEC 21.2)."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peerstream.identity import labels
from peerstream.identity.login.errors import LoginSettingsError, NonceRefusedError
from peerstream.identity.login.settings import SECRET_SIZE
from peerstream.identity.secret import Secret

Entropy = Callable[[int], bytes]

_TOKEN_SIZE: Final = 32
_RANDOM_SIZE: Final = 16
_MAC_SIZE: Final = 16
_TIME_SIZE: Final = 5
_NONCE_SIZE: Final = _TIME_SIZE + _RANDOM_SIZE + _MAC_SIZE
_NONCE_TEXT: Final = (8 * _NONCE_SIZE + 4) // 5
_SEAL_NONCE: Final = 12


def new_token(entropy: Entropy) -> str:
    """Return a token of 256 bits: 43 characters of base64url."""
    return base64.urlsafe_b64encode(entropy(_TOKEN_SIZE)).decode().rstrip("=")


def hash_of(token: str) -> bytes:
    """Return what a store keeps of a token or a nonce.

    A plain hash: there is nothing to guess in 128 bits or more of chance.
    """
    return hashlib.sha256(token.encode()).digest()


class LoginKeys:
    """What is derived from the secret of a service; all its replicas have the same."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_SIZE:
            raise LoginSettingsError("the secret of a login service is 32 random bytes")
        self._nonces = Secret(_derive(secret, labels.LOGIN_NONCE))
        self._seal = AESGCM(_derive(secret, labels.LOGIN_SEAL))

    def issue_nonce(self, binding: str, expires: int, entropy: Entropy) -> str:
        """Return a nonce that only the browser with this binding can use, until ``expires``.

        60 letters and digits. It proves by itself that it came from here: whoever asks for
        millions of them fills nothing.
        """
        return self._nonce(expires.to_bytes(_TIME_SIZE) + entropy(_RANDOM_SIZE), binding)

    def check_nonce(self, nonce: str, binding: str, now: float) -> int:
        """Return until when a nonce counts; raises NonceRefusedError."""
        if len(nonce) != _NONCE_TEXT:
            raise NonceRefusedError("the nonce is not from here")
        try:
            body = base64.b32decode(nonce.upper() + "=" * (-len(nonce) % 8))
        except ValueError as error:
            raise NonceRefusedError("the nonce is not from here") from error
        expected = self._nonce(body[: _TIME_SIZE + _RANDOM_SIZE], binding)
        if not hmac.compare_digest(expected, nonce):
            raise NonceRefusedError("the nonce is not from here, or was given to another browser")
        expires = int.from_bytes(body[:_TIME_SIZE])
        if now >= expires:
            raise NonceRefusedError("the nonce is too old")
        return expires

    def seal(self, data: bytes, entropy: Entropy) -> bytes:
        """Encrypt what the database shall not be able to read."""
        nonce = entropy(_SEAL_NONCE)
        return nonce + self._seal.encrypt(nonce, data, None)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt it; raises LoginSettingsError when it was sealed with another secret."""
        try:
            return self._seal.decrypt(sealed[:_SEAL_NONCE], sealed[_SEAL_NONCE:], None)
        except (InvalidTag, ValueError) as error:
            raise LoginSettingsError("the database belongs to a service with another secret") from (
                error
            )

    def _nonce(self, body: bytes, binding: str) -> str:
        tag = hmac.digest(self._nonces.reveal(), body + hash_of(binding), "sha256")[:_MAC_SIZE]
        return base64.b32encode(body + tag).decode().rstrip("=").lower()


def _derive(secret: bytes, label: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_SIZE, None, label).derive(secret)
