"""Answers that cost something, remembered for a moment: asking often makes us work once."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

ENTRIES_MAX: Final = 64

T = TypeVar("T")


class Remembered(Generic[T]):
    """Answers by question. `now`: the node's clock; `life_s`: how old an answer may be, seconds."""

    def __init__(self, now: Callable[[], float], life_s: float) -> None:
        self._now = now
        self._life_s = life_s
        self._entries: dict[Hashable, tuple[float, T]] = {}

    def get(self, question: Hashable, make: Callable[[], T]) -> T:
        """Return what was made lately for this question, or make it."""
        now = self._now()
        known = self._entries.get(question)
        if known is not None and now - known[0] < self._life_s:
            return known[1]
        answer = make()
        if len(self._entries) >= ENTRIES_MAX:
            self._entries.clear()
        self._entries[question] = now, answer
        return answer
