"""The key schedule of a session: chains, path keys, generations, rekeys (SPEC 5.4).

Nothing here can be run backwards: a path key is taken off its chain once and the chain goes on, a
generation replaces the one before. What is held at any moment opens no cell of the past.
"""

from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from peerstream.identity import labels
from peerstream.node.protocol.session.errors import PathNumberError

KEY_SIZE = 32
SESSION_ID_SIZE = 16
GENERATION_CELLS = 256
PATH_GAP_MAX = 256  # numbers skipped ahead at once; each keeps one unused key
PATH_NUMBER_MAX = 0xFFFF_FFFF


class Direction(IntEnum):
    """Who sends what a key seals; one byte in every derivation."""

    TO_CALLEE = 0
    TO_CALLER = 1


def expand(key: bytes, info: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869)."""
    return HKDFExpand(SHA256(), length, info).derive(key)


def derive(salt: bytes, material: bytes, info: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF with SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), length, salt, info).derive(material)


@dataclass(frozen=True, slots=True, repr=False)
class SessionSecrets:
    """What a handshake leaves to a session; shown nowhere.

    ``caller_proof`` is the MAC that the caller sends and the callee expects in the first cell;
    None with an anonymous caller. ``first_path`` is 0 except in a resumed session.
    """

    chains: tuple[bytes, bytes]
    session_id: bytes
    resume_key: bytes
    caller_proof: bytes | None = None
    first_path: int = 0


def session_secrets(key: bytes, transcript: bytes, caller_proof: bytes | None) -> SessionSecrets:
    """Return the secrets of a new session from the handshake's chaining key and transcript hash."""
    chains = [expand(key, labels.SESSION_CHAIN + bytes((d,)) + transcript) for d in Direction]
    resume = expand(key, labels.SESSION_RESUME + transcript, SESSION_ID_SIZE + KEY_SIZE)
    return SessionSecrets(
        chains=(chains[0], chains[1]),
        session_id=resume[:SESSION_ID_SIZE],
        resume_key=resume[SESSION_ID_SIZE:],
        caller_proof=caller_proof,
    )


def resumed_secrets(
    fresh: SessionSecrets, chaining_key: bytes, resume_key: bytes, first_path: int
) -> SessionSecrets:
    """Return the secrets with which a session goes on after a new handshake that named it."""
    chains = [
        derive(chaining_key, resume_key, labels.SESSION_RESUME + bytes((direction,)))
        for direction in Direction
    ]
    return SessionSecrets(
        chains=(chains[0], chains[1]),
        session_id=fresh.session_id,
        resume_key=fresh.resume_key,
        caller_proof=fresh.caller_proof,
        first_path=first_path,
    )


def next_generation(key: bytes) -> bytes:
    """Return the key after 256 cells."""
    return expand(key, labels.SESSION_RATCHET)


def switched_key(key: bytes, shared: bytes, rekey: int, path: int, direction: Direction) -> bytes:
    """Return the key of the cell after SWITCH: the current one mixed with the fresh secret."""
    where = rekey.to_bytes(4, "big") + path.to_bytes(4, "big") + bytes((direction,))
    return derive(shared, key, labels.SESSION_REKEY + where)


class PathChain:
    """One direction's chain: gives out the first key of every path, once, and forgets it."""

    __slots__ = ("_chain", "_next", "_skipped", "direction")

    def __init__(self, chain: bytes, direction: Direction, first_path: int = 0) -> None:
        self._chain = chain
        self.direction = direction
        self._next = first_path
        self._skipped: dict[int, bytes] = {}

    @property
    def next_number(self) -> int:
        """The lowest number that was not reached yet."""
        return self._next

    def used(self, number: int) -> bool:
        """Whether the key of that path was given out, or forgotten."""
        return number < self._next and number not in self._skipped

    def peek(self, number: int) -> bytes:
        """Return the first key of a path, kept for ``take``; raises PathNumberError."""
        if number in self._skipped:
            return self._skipped[number]
        if not self._next <= number < self._next + PATH_GAP_MAX:
            raise PathNumberError(f"path {number} is used up or too far ahead")
        self._step(number + 1)
        return self._skipped[number]

    def take(self, number: int) -> bytes:
        """Return the first key of a path; a second call for it raises PathNumberError."""
        key = self.peek(number)
        del self._skipped[number]
        return key

    def rekey(self, shared: bytes, first_path: int) -> None:
        """Mix in a fresh secret: paths from ``first_path`` on come from the new chain."""
        if not self._next <= first_path <= self._next + PATH_GAP_MAX:
            raise PathNumberError(f"a rekey cannot begin at path {first_path}")
        self._step(first_path)
        info = labels.SESSION_REKEY + bytes((self.direction,))
        self._chain = derive(shared, self._chain, info)

    def _step(self, until: int) -> None:
        while self._next < until:
            number = self._next.to_bytes(4, "big")
            self._skipped[self._next] = expand(self._chain, labels.SESSION_PATH + number)
            self._chain = expand(self._chain, labels.SESSION_NEXT_CHAIN)
            self._next += 1
        while len(self._skipped) > PATH_GAP_MAX:
            del self._skipped[next(iter(self._skipped))]
