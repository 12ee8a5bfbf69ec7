"""The paths of a session: their numbers, their keys, how they join and leave (SPEC 5.4, 5.8).

The caller's paths have even numbers, those that the callee joins by itself, after its half of a
splice died, odd ones: so the two can never seal two blobs with one key and nonce.
"""

from collections.abc import Callable
from enum import Enum

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from peerstream.node.protocol.circuit.port import CellPort
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.cell import CellOpener, CellSealer
from peerstream.node.protocol.session.errors import (
    ExcessError,
    JoinBlobError,
    PathLevelError,
    PathNumberError,
    PathsPausedError,
)
from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.schedule import (
    PATH_GAP_MAX,
    Direction,
    PathChain,
    SessionSecrets,
)

PATHS_MAX = 8
OFFERS_MAX = 64  # not yet joined or refused
TRIALS = 4  # numbers that the peer may have used up on joins we never saw


class Role(Enum):
    """Which end of the session this is."""

    CALLER = "caller"
    CALLEE = "callee"


def join_shape(entropy: Callable[[int], bytes]) -> bytes:
    """1 120 bytes as message 2 begins: an X25519 public key and an ML-KEM-768 ciphertext.

    Both real, for keys that nobody keeps: random bytes are no curve point half of the time.
    """
    point = X25519PrivateKey.from_private_bytes(entropy(32)).public_key().public_bytes_raw()
    lattice = MLKEM768PrivateKey.from_seed_bytes(entropy(64)).public_key()
    return point + lattice.encapsulate()[1]


class PathTable:
    """All paths of one side, living and about to live."""

    def __init__(self, role: Role, secrets: SessionSecrets, level: int) -> None:
        self.role = role
        self.level = level
        self.alive: dict[int, Path] = {}
        self._own_parity = 0 if role is Role.CALLER else 1
        self.restart(secrets)

    def restart(self, secrets: SessionSecrets) -> None:
        """Take the chains of a first or a resuming handshake; its path has keys at once."""
        first = secrets.first_path
        outward = Direction.TO_CALLEE if self.role is Role.CALLER else Direction.TO_CALLER
        inward = Direction(1 - outward)
        self.outgoing = PathChain(secrets.chains[outward], outward, first)
        self.incoming = PathChain(secrets.chains[inward], inward, first)
        self.first = first
        self._next = first + 2 if self.role is Role.CALLER else first + 1
        self._peer_next = first + 1 if self.role is Role.CALLER else first + 2
        self._floor = first
        self.paused = False  # between REKEY1 and REKEY2 the keys of new paths are not known
        self._offers: set[int] = set()
        self._ready: dict[int, tuple[CellSealer, CellOpener]] = {}
        self._prepare(first)

    def _prepare(self, number: int) -> tuple[CellSealer, CellOpener]:
        sealer = CellSealer(self.outgoing.take(number), number, self.outgoing.direction)
        opener = CellOpener(self.incoming.take(number), number, self.incoming.direction)
        self._ready[number] = (sealer, opener)
        return sealer, opener

    def allocate(self) -> int:
        """Return a number for a new path of ours."""
        number = self._next
        self._next += 2
        return number

    @property
    def next_number(self) -> int:
        """The next number of ours."""
        return self._next

    def pass_over(self, number: int) -> None:
        """Never allocate this number of ours, nor one below it."""
        self._next = max(self._next, number + 2)

    def is_ready(self, number: int) -> bool:
        """Whether the keys of a path are there that was not added yet, and a place for it."""
        return number in self._ready and len(self.alive) < PATHS_MAX

    def void_below(self, first: int) -> None:
        """Let no path below ``first``, an even number, join any more."""
        self._floor = first
        self._next = max(self._next, first + self._own_parity)
        self._peer_next = max(self._peer_next, first + 1 - self._own_parity)
        self._offers = {n for n in self._offers if n >= first}
        self._ready = {n: keys for n, keys in self._ready.items() if n >= first}

    def offered(self, offer: AddPath) -> bool:
        """Check an offer; False when it came before. Raises PathNumberError, PathLevelError."""
        if self.role is Role.CALLER or offer.path % 2 or not offer.path:
            raise PathNumberError(f"the peer cannot offer path {offer.path}")
        if offer.level < self.level:
            raise PathLevelError(f"path {offer.path} at level {offer.level} below {self.level}")
        if offer.path in self._offers or self.incoming.used(offer.path):
            return False
        if len(self._offers) >= OFFERS_MAX:
            raise ExcessError("too many paths were offered")
        if offer.path >= self.incoming.next_number + PATH_GAP_MAX:
            raise PathNumberError(f"path {offer.path} is too far ahead")
        self._offers.add(offer.path)
        return True

    def refused(self, number: int) -> None:
        """Forget an offer that we do not take, or could not join."""
        self._offers.discard(number)
        self._ready.pop(number, None)

    def join_blob(self, number: int, entropy: Callable[[int], bytes]) -> bytes:
        """2 048 bytes with which we join path ``number`` at its rendezvous relay."""
        if number not in self._offers and number % 2 != self._own_parity:
            raise LocalProtocolError(f"path {number} was not offered to us")
        self._check_open(number)
        self._offers.discard(number)
        sealer, _ = self._prepare(number)
        return sealer.seal_join(join_shape(entropy))

    def open_join_blob(self, blob: bytes, expected: int | None) -> int:
        """Return the number of the path that the peer joins; raises JoinBlobError.

        ``expected`` is the path that we offered; None for a peer that joins again by itself.
        """
        self._check_open(None)
        for number in self._candidates(expected):
            if number < self._floor:
                continue
            try:
                key = self.incoming.peek(number)
                opener = CellOpener(key, number, self.incoming.direction)
                opener.open_join(blob)
                sealer, _ = self._prepare(number)
            except (JoinBlobError, PathNumberError):
                continue
            self._ready[number] = (sealer, opener)
            if number % 2 != self._own_parity:
                self._peer_next = number + 2
            return number
        raise JoinBlobError("it opens under no path that we expect")

    def _check_open(self, number: int | None) -> None:
        if self.paused:
            raise PathsPausedError("the answer to our rekey is not there yet")
        if number is not None and number < self._floor:
            raise PathsPausedError(f"path {number} was overtaken by a rekey")

    def _candidates(self, expected: int | None) -> list[int]:
        if expected is not None:
            return [expected]
        return list(range(self._peer_next, self._peer_next + 2 * TRIALS, 2))

    def add(self, number: int, port: CellPort, level: int, now: float) -> Path:
        """Return the path is spliced: give it its port."""
        keys = self._ready.pop(number, None)
        if keys is None:
            raise LocalProtocolError(f"path {number} was never joined, or twice")
        if level < self.level:
            raise LocalProtocolError(f"a path of level {level} in a session of level {self.level}")
        if len(self.alive) >= PATHS_MAX:
            raise LocalProtocolError("too many paths in one session")
        path = self.alive[number] = Path(number, port, keys, level, now)
        path.confirmed = number == self.first or keys[1].sequence > 0
        path.wants_ping = number != self.first
        return path
