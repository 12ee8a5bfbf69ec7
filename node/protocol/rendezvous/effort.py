"""How hard a puzzle a callee asks of strangers, and what their solutions are worth (SPEC 12.7).

Nothing in peace. When calls of strangers were given up because too many came, four times as much
every half minute; when none were for five minutes, a quarter, down to nothing.
"""

import math
from collections.abc import Callable
from typing import Final

from peerstream.identity.descriptor.contents import PUZZLE_SEED_SIZE, PuzzleOffer
from peerstream.node.protocol.rendezvous.puzzle import EFFORT_MAX, SEED_NAME_SIZE, Solution
from peerstream.node.protocol.session.errors import MalformedMessageError

FIRST_EFFORT: Final = 64  # 6 ms: nobody notices, and a flood of calls costs a flood of cores
STEP: Final = 4
RAISE_S: Final = 30.0
CALM_S: Final = 300.0
SEED_LIFE_S: Final = 1_800.0
USED_MAX: Final = 32_768  # solutions of one seed, 3 MB; then another seed


class Effort:
    """What is asked now; solutions for this seed and the one before count, each once."""

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._changed_at = -math.inf
        self._lost_at = -math.inf
        self._seeded_at = -math.inf
        self._level = 0
        self._seeds: dict[bytes, bytes] = {}  # by name, the newest last
        self._used: dict[bytes, set[bytes]] = {}  # nonces, by the name of their seed

    @property
    def puzzle(self) -> PuzzleOffer | None:
        """What the descriptor asks of strangers; None in peace."""
        return (
            PuzzleOffer(self._level, next(reversed(self._seeds.values()))) if self._level else None
        )

    def update(self, lost: int, now: float) -> None:
        """Think again; `lost`: how many strangers' calls were given up since the last time."""
        if lost:
            self._lost_at = now
            if self._level < EFFORT_MAX and now - self._changed_at >= RAISE_S:
                self._set(min(EFFORT_MAX, max(FIRST_EFFORT, self._level * STEP)), now)
        elif self._level and now - max(self._changed_at, self._lost_at) >= CALM_S:
            lower = self._level // STEP
            self._set(lower if lower >= FIRST_EFFORT else 0, now)
        if self._level and (self._worn or now - self._seeded_at >= SEED_LIFE_S):
            self._draw_seed(now)

    def _set(self, level: int, now: float) -> None:
        if not self._level:
            self._seeds.clear()
            self._used.clear()
            self._draw_seed(now)
        self._level, self._changed_at = level, now

    def _draw_seed(self, now: float) -> None:
        seed = self._entropy(PUZZLE_SEED_SIZE)
        self._seeds[seed[:SEED_NAME_SIZE]] = seed
        self._used[seed[:SEED_NAME_SIZE]] = set()
        for name in list(self._seeds)[:-2]:
            del self._seeds[name], self._used[name]
        self._seeded_at = now

    def worth(self, puzzle: bytes) -> int:
        """Return the effort of a solution as it came, 0 for none, a wrong, an old or a used one.

        It is used from then on: one that counted in two calls would fill the queue with copies.
        """
        if not puzzle or not self._seeds:
            return 0
        try:
            solution = Solution.decode(puzzle)
        except MalformedMessageError:
            return 0  # whoever solves by rules of its own is a stranger who solved nothing
        seed = self._seeds.get(solution.seed_name)
        if seed is None or self._worn or solution.effort < FIRST_EFFORT:
            return 0
        if solution.nonce in self._used[solution.seed_name] or not solution.holds(seed):
            return 0
        self._used[solution.seed_name].add(solution.nonce)
        return solution.effort

    @property
    def _worn(self) -> bool:
        return bool(self._used) and len(next(reversed(self._used.values()))) >= USED_MAX
