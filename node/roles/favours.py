"""What makes a callee hear us before others: an old call's ticket, else a puzzle (SPEC 12.7)."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.identity.descriptor import PuzzleOffer
from peerstream.node.ports import Environment
from peerstream.node.protocol.rendezvous.puzzle import EFFORT_MAX, NONCE_SIZE, Solution, Solver
from peerstream.node.roles.identity import Target

TICKETS_KEPT: Final = 8  # of one callee
CALLEES_KEPT: Final = 1_024
SLICE: Final = 256  # evaluations, 25 ms, after which a call that was given up is noticed


@dataclass(frozen=True, slots=True)
class Favour:
    """What one call shows: a solution of 24 B, or a ticket of 48 B, or nothing."""

    puzzle: bytes = b""
    ticket: bytes = field(default=b"", repr=False)


NO_FAVOUR: Final = Favour()


class Favours:
    """The tickets of one caller, and its patience with puzzles."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._tickets: dict[Target, deque[bytes]] = {}

    def keep(self, target: Target, tickets: tuple[bytes, ...]) -> None:
        """Keep what an answer brought; the oldest go, and the callee that was called least lately.

        They are for calls under our name only: in another call they would say who it is from.
        """
        if not tickets:
            return
        kept = self._tickets.pop(target, deque(maxlen=TICKETS_KEPT))
        kept.extend(tickets)
        self._tickets[target] = kept
        if len(self._tickets) > CALLEES_KEPT:
            del self._tickets[next(iter(self._tickets))]

    def ticket(self, target: Target) -> bytes:
        """Take a ticket of a callee, the newest; b"" when there is none."""
        kept = self._tickets.get(target)
        return kept.pop() if kept else b""

    async def solve(self, puzzle: PuzzleOffer, tries: int) -> bytes:
        """Return a solution as it is sent; each try is worth twice what the one before was.

        Takes as many tenths of a millisecond in the mean as the effort, in a thread beside us.
        """
        effort = min(EFFORT_MAX, puzzle.effort << min(tries, EFFORT_MAX.bit_length()))
        harder = PuzzleOffer(effort, puzzle.seed)
        solver = Solver(harder, self._environment.entropy(NONCE_SIZE))
        solution: Solution | None = None
        while solution is None:
            solution = await trio.to_thread.run_sync(solver.work, SLICE)
        return solution.encode()
