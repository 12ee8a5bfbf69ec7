"""What is done to a relay of a private network: it dies, or it stands still (SPEC 14.6)."""

import os
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["kill", "freeze"]
KINDS: Final[tuple[Kind, ...]] = ("kill", "freeze")
_PATHS: Final = {
    1: ("caller's guard", "meeting point", "callee's guard"),
    2: (
        "caller's guard",
        "caller's vanguard",
        "rendezvous point",
        "callee's middle",
        "callee's vanguard",
        "callee's guard",
    ),
}
_SERVICE: Final = ("introduction point", "descriptor's store")
_FRACTIONS: Final = (0.1, 0.6)  # of the file, between which the fault happens


def roles_of(level: int) -> tuple[str, ...]:
    """Return every position at which a relay may serve two addresses."""
    return (*_PATHS[level], *_SERVICE)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to be done. fraction: of the file that is through when it happens."""

    kind: Kind
    role: str
    fraction: float


def plan_faults(runs: int, level: int, kinds: Sequence[Kind], seed: int) -> list[Fault]:
    """Draw faults: each position in turn with each kind, at moments that the seed decides."""
    chance = random.Random(seed)  # noqa: S311 - it has to come out the same again
    roles = roles_of(level)
    pairs = [(kind, role) for role in roles for kind in kinds]
    return [Fault(*pairs[n % len(pairs)], chance.uniform(*_FRACTIONS)) for n in range(runs)]


@dataclass(frozen=True, slots=True)
class Places:
    """Which relays (in hexadecimal) serve the two parties at one moment.

    caller, callee: their half of the path that carries data, guard first and, at both, the relay
    where the halves meet last.
    """

    caller: Sequence[str]
    callee: Sequence[str]
    points: Sequence[str]
    stores: Sequence[str]

    @classmethod
    def of(
        cls,
        caller: Mapping[str, Sequence[Sequence[str]]],
        callee: Mapping[str, Sequence[Sequence[str]]],
    ) -> "Places":
        """Read what the parties said. The path is the one whose ends meet."""
        for way in caller["ways"]:
            for other in callee["ways"]:
                if way[-1] == other[-1]:
                    return cls(way, other, callee["points"][0], callee["stores"][0])
        return cls((), (), callee["points"][0], callee["stores"][0])

    def relay_at(self, role: str) -> str | None:
        """Return who serves in a role, None when nobody does just now."""
        carriers = (*self.caller, *reversed(self.callee[:-1]))
        for names in _PATHS.values():
            if len(names) == len(carriers) and role in names:
                return carriers[names.index(role)]
        others = {*(self.points if role == _SERVICE[0] else self.stores)} - {*carriers}
        return min(others, default=None) if role in _SERVICE else None


_SIGNALS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def inflict(kind: Kind, pid: int) -> None:
    """Kill or freeze a process."""
    os.kill(pid, _SIGNALS[kind])


def thaw(pid: int) -> None:
    """Let a frozen process go on."""
    os.kill(pid, signal.SIGCONT)
