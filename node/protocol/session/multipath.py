"""Which path carries what (SPEC 5.8)."""

from enum import Enum

from peerstream.node.protocol.session.path import Path


class Scheduling(Enum):
    """How the endpoints use several paths; the relays see nothing of it."""

    LOWEST_ROUND_TRIP = "lowest"  # one path carries everything, the others stand by
    AGGREGATE = "aggregate"  # fill the window of the quickest path, then of the next
    REDUNDANT = "redundant"  # each cell on two paths: for calls


def in_order(paths: dict[int, Path]) -> list[Path]:
    """Return the paths that may carry data, quickest first; suspect ones only if all are."""
    confirmed = [path for path in paths.values() if path.confirmed]
    sound = [path for path in confirmed if not path.suspect]
    return sorted(sound or confirmed, key=_round_trip)


def _round_trip(path: Path) -> tuple[float, int]:
    return path.congestion.round_trip, path.number
