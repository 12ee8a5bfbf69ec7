"""What a login service does, without HTTP (SPEC 21.2).

Every public method may be called from any thread.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.login.errors import (
    ChainUnreachableError,
    LoginSettingsError,
    NonceRefusedError,
    NonceSpentError,
    NotSignedInError,
    RefreshReusedError,
    TokenRefusedError,
    WalletChangedError,
)
from peerstream.identity.login.keyring import KeyRing
from peerstream.identity.login.memory import MemoryStore
from peerstream.identity.login.secrets import Entropy, LoginKeys, hash_of, new_token
from peerstream.identity.login.settings import SECRET_SIZE, LoginSettings
from peerstream.identity.login.store import Rotation, Session, Store, Token, Use
from peerstream.identity.siwe import SiweError, SiweMessage, parse, read_recap, read_signature
from peerstream.identity.siwe.errors import ChainIdMismatchError, DomainMismatchError
from peerstream.identity.siwe.verification import check_binding, check_times, verify_signature
from peerstream.identity.wallet import ChainReader, SignatureKind
from peerstream.identity.web.origins import Origins

_SWEEP_S: Final = 60
_SWEEP_ROWS: Final = 1_000
_DIGEST_SIZE: Final = 32
_ID_SIZE: Final = 16


def os_entropy(size: int) -> bytes:
    """Draw so many random bytes from the operating system."""
    return os.urandom(size)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a browser gets for a login or a refresh: secrets, to be put into cookies at once."""

    session: Session
    session_token: str
    refresh_token: str
    access_token: str

    def __repr__(self) -> str:
        return f"<grant for session {self.session.id}>"


def subject_of(session: Session) -> str:
    """Return the CAIP-10 name of a session's account."""
    return f"eip155:{session.chain_id}:{session.account}"


class LoginService:
    """One login service over a store.

    secret: 32 random bytes, the same for all replicas; without it one is drawn, which only a store
    in memory can live with. clock: unix seconds. Raises LoginSettingsError or OriginListError.
    """

    def __init__(
        self,
        settings: LoginSettings,
        store: Store | None = None,
        *,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Entropy = os_entropy,
    ) -> None:
        if secret is None and store is not None and not isinstance(store, MemoryStore):
            raise LoginSettingsError("a store that outlives the process needs a secret: 32 bytes")
        self.settings: Final = settings
        self.origins: Final = Origins(settings.origins)
        self._store: Store = MemoryStore() if store is None else store
        self._secrets = LoginKeys(entropy(SECRET_SIZE) if secret is None else secret)
        self._clock = clock
        self._entropy = entropy
        self._keys = KeyRing(settings, self._store, self._secrets, entropy)
        self._sweeping = threading.Lock()
        self._swept_at = clock()

    def new_binding(self) -> str:
        """Return what ties nonces to one browser: a token for a cookie of its own."""
        return new_token(self._entropy)

    def issue_nonce(self, binding: str) -> str:
        """Return a nonce for the browser with this binding; nothing is stored."""
        expires = int(self._clock()) + self.settings.nonce_seconds
        return self._secrets.issue_nonce(binding, expires, self._entropy)

    def sign_in(self, message: str, signature: str, binding: str | None) -> Grant:
        """Open a session for a signed message; its nonce is spent before the signature is checked.

        Raises a SiweError, NonceRefusedError, NonceSpentError or ChainUnreachableError.
        """
        self._sweep()
        now = self._clock()
        signed = parse(message)
        reader = self._check_claims(signed, now)
        proof = read_signature(signature)
        if binding is None:
            raise NonceRefusedError("the cookie that came with the nonce is missing")
        expires = self._secrets.check_nonce(signed.nonce, binding, now)
        if not self._store.spend_nonce(hash_of(signed.nonce), expires):
            raise NonceSpentError("the nonce was used already")
        digest = signed.digest()
        kind = _judge(signed.account, digest, proof, reader)
        return self._open(signed, kind, b"" if kind is SignatureKind.PLAIN else digest + proof)

    def session(self, token: str | None) -> Session:
        """Return the session of a session token; raises NotSignedInError or WalletChangedError."""
        self._sweep()
        if token is None:
            raise NotSignedInError("there is no session")
        found = self._store.find(hash_of(token), Use.SESSION, int(self._clock()))
        return self._standing(found)

    def bearer(self, token: str) -> Session:
        """Return the session of an access token, which must still be there.

        Raises TokenRefusedError, NotSignedInError or WalletChangedError.
        """
        now = int(self._clock())
        claims = self._keys.verify(token, now)
        session_id = claims.get("sid")
        if not isinstance(session_id, str):
            raise TokenRefusedError("the token names no session")
        return self._standing(self._store.session(session_id, now))

    def refresh(self, token: str | None) -> Grant:
        """Exchange a refresh token for new tokens; one that was used before ends its session.

        Raises NotSignedInError, RefreshReusedError or WalletChangedError.
        """
        if token is None:
            raise NotSignedInError("there is no refresh token")
        now = int(self._clock())
        digest = hash_of(token)
        session = self._store.find(digest, Use.REFRESH, now)
        grant: Grant | None = None
        kept: tuple[Token, ...] = ()
        if session is not None:
            grant, kept = self._grant(self._standing(session), now)
        outcome = self._store.rotate(digest, kept, now)
        if outcome is Rotation.REUSED:
            raise RefreshReusedError("the refresh token was used before; its session is over")
        if grant is None or outcome is not Rotation.DONE:
            raise NotSignedInError("the refresh token is unknown or over")
        return grant

    def end(self, session: Session) -> None:
        """End a session at once."""
        self._store.end(session.id)

    def end_all(self, account: str) -> None:
        """End all sessions of an account, and with them forget all that is stored about it."""
        self._store.forget(account)

    def sessions_of(self, account: str) -> list[Session]:
        """Return all that is stored about an account."""
        return self._store.sessions_of(account, int(self._clock()))

    def public_keys(self) -> dict[str, object]:
        """Return the JSON Web Key Set of the access tokens."""
        return self._keys.public_set(int(self._clock()))

    def _check_claims(self, signed: SiweMessage, now: float) -> ChainReader | None:
        origin = self.origins.of_domain(signed.domain)
        if origin is None:
            raise DomainMismatchError("the message was signed for another domain")
        if signed.chain_id not in self.settings.chains:
            raise ChainIdMismatchError("the message was signed for another chain")
        check_binding(signed, domain=signed.domain, uri=origin, chain_id=signed.chain_id)
        check_times(signed, now)
        if self.settings.recaps:
            read_recap(signed)
        return self.settings.chains[signed.chain_id]

    def _open(self, signed: SiweMessage, kind: SignatureKind, proof: bytes) -> Grant:
        now = int(self._clock())
        session = Session(
            id=self._entropy(_ID_SIZE).hex(),
            account=str(signed.account),
            chain_id=signed.chain_id,
            kind=int(kind),
            proof=proof,
            created_at=now,
            checked_at=now,
            expires_at=now + self.settings.family_seconds,
        )
        grant, kept = self._grant(session, now)
        self._store.open_session(session, kept)
        return grant

    def _grant(self, session: Session, now: int) -> tuple[Grant, tuple[Token, ...]]:
        settings = self.settings
        grant = Grant(
            session,
            new_token(self._entropy),
            new_token(self._entropy),
            self._keys.sign(subject_of(session), session.id, now),
        )
        lives = (
            (grant.session_token, Use.SESSION, settings.session_seconds),
            (grant.refresh_token, Use.REFRESH, settings.refresh_seconds),
        )
        return grant, tuple(
            Token(hash_of(token), session.id, use, min(now + seconds, session.expires_at))
            for token, use, seconds in lives
        )

    def _standing(self, session: Session | None) -> Session:
        """Ask the contract again when its word is old; a session it no longer backs is over."""
        if session is None:
            raise NotSignedInError("there is no such session, or it is over")
        now = int(self._clock())
        if not session.proof or now - session.checked_at < self.settings.contract_check:
            return session
        digest, proof = session.proof[:_DIGEST_SIZE], session.proof[_DIGEST_SIZE:]
        reader = self.settings.chains.get(session.chain_id)
        try:
            _judge(Address.parse(session.account), digest, proof, reader)
        except SiweError as error:
            self._store.end(session.id)
            raise WalletChangedError("the contract no longer accepts the signature") from error
        self._store.mark_checked(session.id, now)
        return session

    def _sweep(self) -> None:
        """Delete what is over, at most once a minute, in whatever thread comes by."""
        now = self._clock()
        if now - self._swept_at < _SWEEP_S or not self._sweeping.acquire(blocking=False):
            return
        try:
            self._swept_at = now
            self._store.sweep(int(now), _SWEEP_ROWS)
        finally:
            self._sweeping.release()


def _judge(
    account: Address, digest: bytes, signature: bytes, reader: ChainReader | None
) -> SignatureKind:
    try:
        return verify_signature(account, digest, signature, reader)
    except OSError as error:
        raise ChainUnreachableError("the chain does not answer") from error
