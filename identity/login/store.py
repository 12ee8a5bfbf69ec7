"""What a login service remembers, and what keeps it (SPEC 21.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol


class Use(IntEnum):
    """What a token is for."""

    SESSION = 0
    REFRESH = 1


class Rotation(Enum):
    """What became of a refresh token that was shown."""

    DONE = "done"
    UNKNOWN = "unknown"
    REUSED = "reused"


@dataclass(frozen=True, slots=True)
class Session:
    """One login and all that was refreshed from it; times are unix seconds.

    id: names it to its owner, and is no secret. account: ERC-55. kind: how the signature was
    checked (SignatureKind). proof: the digest (32 bytes) and the signature, where a contract speaks
    for the account; else empty. checked_at: when the contract was last asked. expires_at: when it
    is over, however often it was refreshed.
    """

    id: str
    account: str
    chain_id: int
    kind: int
    proof: bytes
    created_at: int
    checked_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Token:
    """The hash of a token, 32 bytes, and what it is good for."""

    digest: bytes
    session_id: str
    use: Use
    expires_at: int


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A key that signs tokens: its number (each has its own), public part, and sealed secret."""

    number: int
    public: str
    sealed: bytes
    signs_from: int
    signs_until: int
    expires_at: int


class Store(Protocol):
    """Keeps sessions; every method is one transaction, and any thread may call it.

    It is given hashes, never a token or a nonce, and never an address of a network.
    """

    def spend_nonce(self, digest: bytes, expires_at: int) -> bool:
        """Note that a nonce was used; False when it was before. Exactly one caller gets True."""

    def open_session(self, session: Session, tokens: Sequence[Token]) -> None:
        """Keep a new session and its tokens."""

    def find(self, digest: bytes, use: Use, now: int) -> Session | None:
        """Return the session of a token that counts."""

    def session(self, session_id: str, now: int) -> Session | None:
        """Return a session by its id."""

    def rotate(self, digest: bytes, tokens: Sequence[Token], now: int) -> Rotation:
        """Spend a refresh token and keep what follows from it; exactly one caller gets DONE.

        A token that was spent before ends its whole session. The session's other session tokens
        are forgotten.
        """

    def mark_checked(self, session_id: str, now: int) -> None:
        """Note that the contract still stands by the session."""

    def end(self, session_id: str) -> None:
        """Forget a session and its tokens."""

    def sessions_of(self, account: str, now: int) -> list[Session]:
        """Return the sessions of an account, newest first."""

    def forget(self, account: str) -> None:
        """Forget all sessions of an account."""

    def keys(self, now: int) -> list[SealedKey]:
        """Return the signing keys that are not over, oldest first."""

    def add_key(self, key: SealedKey) -> bool:
        """Keep a signing key; False when one with its number is there."""

    def sweep(self, now: int, limit: int) -> int:
        """Delete up to so many expired things of each kind; return how many they were."""
