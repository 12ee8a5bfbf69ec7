"""Counts of what happened at the edge, each cause logged once and without names (SPEC 9.8)."""

from collections import Counter
from traceback import walk_tb

import structlog

_log = structlog.get_logger("peerstream.network")


class Counters:
    """How often each cause occurred. Neither addresses nor keys enter a count or a log line."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __getitem__(self, cause: str) -> int:
        return self._counts[cause]

    def count(self, cause: str) -> None:
        """Add one; the first of a cause is logged, so that a flood cannot fill the disk."""
        self._counts[cause] += 1
        if self._counts[cause] == 1:
            _log.warning("network.first_of_kind", cause=cause)

    def add(self, what: str, amount: int) -> None:
        """Add an amount that is no cause of anything, such as bytes."""
        self._counts[what] += amount

    def count_error(self, error: BaseException) -> None:
        """Count under the error's class name: the text may hold what a stranger sent."""
        self.count(type(error).__name__)

    def count_bug(self, error: BaseException) -> None:
        """Log an error that no peer should be able to cause, each time and with its place.

        Not by `exc_info`: structlog's console prints the local variables of every frame, and the
        error's own text may be a stranger's.
        """
        self._counts["bug"] += 1
        _log.error("network.bug", error=type(error).__name__, where=places_of(error))

    def snapshot(self) -> dict[str, int]:
        """All counts at this moment."""
        return dict(self._counts)


def places_of(error: BaseException) -> list[str]:
    """Return module, function and line of each frame, the outermost first."""
    return [
        f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
    ]
