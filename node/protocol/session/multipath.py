"""Which path carries what (SPEC 5.8)."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from peerstream.node.protocol.session.path import Path

STAY: Final = 2.0  # so much quicker another path must be


class Scheduling(Enum):
    """How the endpoints use several paths; the relays see nothing of it."""

    LOWEST_ROUND_TRIP = "lowest"  # one path carries everything, the others stand by
    AGGREGATE = "aggregate"  # fill the window of the quickest path, then of the next
    REDUNDANT = "redundant"  # each cell on two paths: for calls


class Need(Enum):
    """What the paths of a session want of whoever drives the caller's end."""

    NOTHING = "nothing"
    PATH = "path"  # offer another one: there is no standby
    RESUME = "resume"  # call again: there is no path, or none that answers


def sound(paths: Iterable[Path]) -> list[Path]:
    """Return the paths that may carry data and answer."""
    return [path for path in paths if path.confirmed and not path.suspect]


def in_order(paths: dict[int, Path], carrying: int | None = None) -> list[Path]:
    """Return the paths that may carry data, quickest first; suspect ones only if all are.

    `carrying`: the one that carries now. It goes on until another is twice as quick: its own round
    trip has the queue of what it carries in it, and one that stands by is measured now and then.
    """

    def quickest_first(path: Path) -> tuple[float, int]:
        round_trip = path.congestion.round_trip
        return round_trip / STAY if path.number == carrying else round_trip, path.number

    confirmed = [path for path in paths.values() if path.confirmed]
    return sorted(sound(confirmed) or confirmed, key=quickest_first)
