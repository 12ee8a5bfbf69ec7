"""The puzzle that strangers solve before they call somebody who is flooded (SPEC 12.7).

    value = Argon2id("psp/puzzle/1" || nonce 16 || effort u32, salt = seed 16), 8 bytes
    solved when value * effort < 2^64

with 256 KiB, one pass and one lane (RFC 9106).

An effort of e takes e evaluations in the mean to solve and one to check.
"""

from struct import Struct
from typing import Final, NamedTuple, Self

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from peerstream.identity import labels
from peerstream.identity.descriptor.contents import PuzzleOffer
from peerstream.node.protocol.session.errors import MalformedMessageError

EFFORT_MAX: Final = 32_768  # three seconds of one core: what a caller's machine may be asked
MEMORY_KIB: Final = 256  # 0.1 ms; more costs its checker too much, less fits too often on a GPU
NONCE_SIZE: Final = 16
SEED_NAME_SIZE: Final = 4
_SOLUTION = Struct(f">{NONCE_SIZE}sI{SEED_NAME_SIZE}s")
_NONCES: Final = 1 << 8 * NONCE_SIZE


class Solution(NamedTuple):
    """A nonce that is worth `effort` under the seed that begins with `seed_name`."""

    nonce: bytes
    effort: int
    seed_name: bytes

    def encode(self) -> bytes:
        """Return the 24 bytes of POW."""
        return _SOLUTION.pack(*self)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """MalformedMessageError for another size or no effort."""
        if len(data) != _SOLUTION.size:
            raise MalformedMessageError(f"a solution of {len(data)} bytes")
        solution = cls(*_SOLUTION.unpack(data))
        if not solution.effort:
            raise MalformedMessageError("a solution of no effort")
        return solution

    def holds(self, seed: bytes) -> bool:
        """Whether it is one, for this seed of 16 bytes; costs one evaluation."""
        return _evaluate(seed, self.nonce, self.effort) * self.effort < 1 << 64


class Solver:
    """Looks for a solution of one puzzle, a little at a time. `start`: a random nonce."""

    def __init__(self, puzzle: PuzzleOffer, start: bytes) -> None:
        self._seed = puzzle.seed
        self._effort = min(puzzle.effort, EFFORT_MAX)
        self._next = int.from_bytes(start, "big")

    def work(self, evaluations: int) -> Solution | None:
        """Try so many nonces more, 0.1 ms each; None when none of them was it."""
        for _ in range(evaluations):
            nonce = self._next.to_bytes(NONCE_SIZE, "big")
            self._next = (self._next + 1) % _NONCES
            solution = Solution(nonce, self._effort, self._seed[:SEED_NAME_SIZE])
            if solution.holds(self._seed):
                return solution
        return None


def _evaluate(seed: bytes, nonce: bytes, effort: int) -> int:
    function = Argon2id(salt=seed, length=8, iterations=1, lanes=1, memory_cost=MEMORY_KIB)
    return int.from_bytes(function.derive(labels.PUZZLE + nonce + effort.to_bytes(4, "big")), "big")
