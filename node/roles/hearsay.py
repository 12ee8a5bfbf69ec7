"""Relays that the hop before them could not reach, gone round for a while (SPEC 10.6).

What a hop says of others may be a lie, told to have our paths lead through its friends. So each is
believed of a few relays at a time, and only where there are others.
"""

from typing import Final

BELIEVED_S: Final = 60.0
CLAIMS_MAX: Final = 8  # of one relay at a time: a guard may have to tell of seven vanguards


class Hearsay:
    """Who is said to be out of reach. Times are of a clock that never goes back."""

    def __init__(self) -> None:
        self._claims: dict[bytes, dict[bytes, float]] = {}  # reporter -> relay -> until

    def note(self, reporter: bytes, relay_id: bytes, now: float) -> None:
        """Believe a relay that another one is out of reach, and forget the oldest of its claims."""
        claims = self._claims.setdefault(reporter, {})
        claims.pop(relay_id, None)
        claims[relay_id] = now + BELIEVED_S
        if len(claims) > CLAIMS_MAX:
            del claims[next(iter(claims))]

    def refute(self, relay_ids: tuple[bytes, ...]) -> None:
        """Know better: a circuit stands over these relays."""
        for claims in self._claims.values():
            for relay_id in relay_ids:
                claims.pop(relay_id, None)

    def relays(self, now: float) -> frozenset[bytes]:
        """Return all that are said to be out of reach."""
        self._claims = {
            reporter: live
            for reporter, claims in self._claims.items()
            if (live := {key: until for key, until in claims.items() if until > now})
        }
        return frozenset().union(*self._claims.values())
