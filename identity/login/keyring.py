"""Short tokens for other services, and the keys that sign them, which rotate (SPEC 21.2).

A key is published a while before it signs and stays published until its last token is over, so that
whoever caches the set never meets a token whose key it does not have.
"""

import json
import threading
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from peerstream.identity.login.errors import LoginSettingsError, TokenRefusedError
from peerstream.identity.login.secrets import Entropy, LoginKeys
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.login.store import SealedKey, Store

_ALGORITHM: Final = "ES256"  # what every JOSE library verifies; Ed25519 has two names by now
_TYPE: Final = "at+jwt"  # RFC 9068: no other kind of token passes for one of these
_TOKEN_MAXIMUM: Final = 2_048
_CACHE_S: Final = 60
_SKEW_S: Final = 60
_AHEAD: Final = 10  # a key is published for a tenth of its life before it signs


@dataclass(frozen=True, slots=True)
class _Loaded:
    sealed: SealedKey
    key: ECKey
    kid: str


class KeyRing:
    """Signs and verifies the tokens of one service; its replicas share the keys in the store."""

    def __init__(
        self, settings: LoginSettings, store: Store, secrets: LoginKeys, entropy: Entropy
    ) -> None:
        self._settings = settings
        self._store = store
        self._secrets = secrets
        self._entropy = entropy
        self._lock = threading.Lock()
        self._loaded: list[_Loaded] = []
        self._looked_at = -1.0

    def sign(self, subject: str, session_id: str, now: int) -> str:
        """Return a token: who (CAIP-10), which session, for a quarter of an hour."""
        signing = [key for key in self._keys(now) if key.sealed.signs_from <= now]
        key = signing[-1]
        claims = {
            "iss": self._settings.token_issuer,
            "aud": self._settings.token_audience,
            "sub": subject,
            "sid": session_id,
            "iat": now,
            "exp": now + self._settings.token_seconds,
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key.kid}
        return jwt.encode(header, claims, key.key, algorithms=[_ALGORITHM])

    def verify(self, token: str, now: int) -> dict[str, Any]:
        """Return the claims of a token of ours that counts; raises TokenRefusedError.

        The algorithm and the key are ours to choose: a header that says another is refused.
        """
        if len(token) > _TOKEN_MAXIMUM or not token.isascii():
            raise TokenRefusedError("the token is too long")
        for key in self._keys(now):
            try:
                decoded = jwt.decode(token, key.key, algorithms=[_ALGORITHM])
            except (JoseError, ValueError):
                continue
            if decoded.header == {"alg": _ALGORITHM, "typ": _TYPE, "kid": key.kid}:
                return self._checked(decoded.claims, now)
        raise TokenRefusedError("the token is not signed by us")

    def public_set(self, now: int) -> dict[str, Any]:
        """Return the JSON Web Key Set: what verifies, the next key included."""
        return {"keys": [json.loads(key.sealed.public) for key in self._keys(now)]}

    def _checked(self, claims: dict[str, Any], now: int) -> dict[str, Any]:
        settings = self._settings
        ours = (settings.token_issuer, settings.token_audience)
        if (claims.get("iss"), claims.get("aud")) != ours:
            raise TokenRefusedError("the token is for somebody else")
        begin, end = claims.get("iat"), claims.get("exp")
        if type(begin) is not int or type(end) is not int:
            raise TokenRefusedError("the token has no times")
        if not begin - _SKEW_S <= now < end:
            raise TokenRefusedError("the token is over")
        return claims

    def _keys(self, now: int) -> list[_Loaded]:
        with self._lock:
            if not 0 <= now - self._looked_at < _CACHE_S or not self._loaded:
                self._loaded = self._load(now)
                self._looked_at = now
            return self._loaded

    def _load(self, now: int) -> list[_Loaded]:
        kept = self._store.keys(now)
        while not kept or kept[-1].signs_until - now <= self._settings.key_seconds // _AHEAD:
            last = kept[-1] if kept else None
            # Another replica may be faster: then its key is there when we look again.
            self._store.add_key(self._next(last, now))
            kept = self._store.keys(now)
            if not kept:
                raise LoginSettingsError("the store does not keep signing keys")
        return [self._open(sealed) for sealed in kept]

    def _next(self, last: SealedKey | None, now: int) -> SealedKey:
        key = ECKey.generate_key("P-256", private=True)
        kid = key.thumbprint()
        public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": _ALGORITHM}
        secret = json.dumps(key.as_dict(private=True)).encode()
        begin = now if last is None else max(now, last.signs_until)
        end = begin + self._settings.key_seconds
        return SealedKey(
            number=1 if last is None else last.number + 1,
            public=json.dumps(public),
            sealed=self._secrets.seal(secret, self._entropy),
            signs_from=begin,
            signs_until=end,
            expires_at=end + self._settings.token_seconds + _SKEW_S,
        )

    def _open(self, sealed: SealedKey) -> _Loaded:
        key = ECKey.import_key(json.loads(self._secrets.open(sealed.sealed)))
        return _Loaded(sealed, key, json.loads(sealed.public)["kid"])
