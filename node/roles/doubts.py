"""Relays that may be the reason why paths fail or stay silent, by how much says so (SPEC 10.6).

One silent path accuses all its relays alike. Where others lead over some of them and stand, these
are cleared, and where they fail as well, the one they share stands out.
"""

from collections.abc import Iterable
from typing import Final

DOUBT_S: Final = 10.0
PROOF_S: Final = 60.0  # longer than anybody asks for


class Doubts:
    """What own circuits showed lately. Times are of a clock that never goes back."""

    def __init__(self) -> None:
        self._doubted: dict[bytes, list[float]] = {}  # relay -> until, for each doubt
        self._proved: dict[bytes, float] = {}

    def note(self, relay_ids: Iterable[bytes], now: float) -> None:
        """Doubt relays: a path over them was waited for in vain."""
        for relay_id in relay_ids:
            self._doubted.setdefault(relay_id, []).append(now + DOUBT_S)

    def prove(self, relay_ids: Iterable[bytes], now: float) -> None:
        """Know better: a circuit over these relays was answered."""
        for relay_id in relay_ids:
            self._doubted.pop(relay_id, None)
            self._proved[relay_id] = now

    def counts(self, now: float) -> dict[bytes, int]:
        """Return how often each relay is doubted."""
        self._doubted = {
            relay_id: live
            for relay_id, doubts in self._doubted.items()
            if (live := [until for until in doubts if until > now])
        }
        self._proved = {key: at for key, at in self._proved.items() if at > now - PROOF_S}
        return {relay_id: len(doubts) for relay_id, doubts in self._doubted.items()}

    def proved_since(self, since: float) -> frozenset[bytes]:
        """Return the relays over which a circuit was answered after that."""
        return frozenset(relay_id for relay_id, at in self._proved.items() if at > since)


def ladder(counts: dict[bytes, int], scarce: frozenset[bytes]) -> list[frozenset[bytes]]:
    """Return sets of relays to keep away from, the first that leaves a path is the one to take.

    Each next set lets the least doubted ones back in, those of which there are few (`scarce`, our
    vanguards) before the rest.
    """
    rungs = []
    for least in sorted(set(counts.values())):
        away = frozenset(relay_id for relay_id, count in counts.items() if count >= least)
        returning = {relay_id for relay_id in away if counts[relay_id] == least}
        rungs += [away, away - (returning & scarce)]
    return [away for away in dict.fromkeys(rungs) if away]
