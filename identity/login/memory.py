"""A store in memory: for tests and for one process that may forget (SPEC 21.3)."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from peerstream.identity.login.store import Rotation, SealedKey, Session, Token, Use


class MemoryStore:
    """Keeps sessions until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nonces: dict[bytes, int] = {}
        self._sessions: dict[str, Session] = {}
        self._tokens: dict[bytes, Token] = {}
        self._spent: set[bytes] = set()
        self._keys: dict[int, SealedKey] = {}

    def spend_nonce(self, digest: bytes, expires_at: int) -> bool:
        """Note that a nonce was used; False when it was before."""
        with self._lock:
            if digest in self._nonces:
                return False
            self._nonces[digest] = expires_at
            return True

    def open_session(self, session: Session, tokens: Sequence[Token]) -> None:
        """Keep a new session and its tokens."""
        with self._lock:
            self._sessions[session.id] = session
            self._tokens.update((token.digest, token) for token in tokens)

    def find(self, digest: bytes, use: Use, now: int) -> Session | None:
        """Return the session of a token that counts."""
        with self._lock:
            token = self._tokens.get(digest)
            counts = (
                token is not None
                and token.use is use
                and now < token.expires_at
                and digest not in self._spent
            )
            return self._alive(token.session_id, now) if token and counts else None

    def session(self, session_id: str, now: int) -> Session | None:
        """Return a session by its id."""
        with self._lock:
            return self._alive(session_id, now)

    def rotate(self, digest: bytes, tokens: Sequence[Token], now: int) -> Rotation:
        """Spend a refresh token; one that was spent before ends its session."""
        with self._lock:
            token = self._tokens.get(digest)
            if token is None or token.use is not Use.REFRESH:
                return Rotation.UNKNOWN
            if digest in self._spent:
                self._drop({token.session_id})
                return Rotation.REUSED
            if now >= token.expires_at or self._alive(token.session_id, now) is None:
                return Rotation.UNKNOWN
            self._spent.add(digest)
            for other in self._tokens_of({token.session_id}):
                if other.use is Use.SESSION:
                    del self._tokens[other.digest]
            self._tokens.update((new.digest, new) for new in tokens)
            return Rotation.DONE

    def mark_checked(self, session_id: str, now: int) -> None:
        """Note that the contract still stands by the session."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is not None:
                self._sessions[session_id] = replace(session, checked_at=now)

    def end(self, session_id: str) -> None:
        """Forget a session and its tokens."""
        with self._lock:
            self._drop({session_id})

    def sessions_of(self, account: str, now: int) -> list[Session]:
        """Return the sessions of an account, newest first."""
        with self._lock:
            mine = [
                session
                for session in self._sessions.values()
                if session.account == account and now < session.expires_at
            ]
        return sorted(mine, key=lambda session: (-session.created_at, session.id))

    def forget(self, account: str) -> None:
        """Forget all sessions of an account."""
        with self._lock:
            self._drop({s.id for s in self._sessions.values() if s.account == account})

    def keys(self, now: int) -> list[SealedKey]:
        """Return the signing keys that are not over, oldest first."""
        with self._lock:
            kept = [key for key in self._keys.values() if now < key.expires_at]
        return sorted(kept, key=lambda key: key.number)

    def add_key(self, key: SealedKey) -> bool:
        """Keep a signing key; False when one with its number is there."""
        with self._lock:
            return self._keys.setdefault(key.number, key) is key

    def sweep(self, now: int, limit: int) -> int:
        """Delete up to so many expired things of each kind; return how many they were."""
        with self._lock:
            nonces = [digest for digest, end in self._nonces.items() if end <= now][:limit]
            over = [s.id for s in self._sessions.values() if s.expires_at <= now][:limit]
            tokens = [t.digest for t in self._tokens.values() if t.expires_at <= now][:limit]
            keys = [key.number for key in self._keys.values() if key.expires_at <= now][:limit]
            for digest in nonces:
                del self._nonces[digest]
            for digest in tokens:
                del self._tokens[digest]
                self._spent.discard(digest)
            for number in keys:
                del self._keys[number]
            self._drop(set(over))
        return len(nonces) + len(over) + len(tokens) + len(keys)

    def _alive(self, session_id: str, now: int) -> Session | None:
        session = self._sessions.get(session_id)
        return session if session is not None and now < session.expires_at else None

    def _tokens_of(self, ids: set[str]) -> list[Token]:
        return [token for token in self._tokens.values() if token.session_id in ids]

    def _drop(self, ids: set[str]) -> None:
        for token in self._tokens_of(ids):
            del self._tokens[token.digest]
            self._spent.discard(token.digest)
        for session_id in ids:
            self._sessions.pop(session_id, None)
