"""What a user sees while something is started: each step, and how long it took (SPEC 14.1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol


class Steps(Protocol):
    """Shows steps. An implementation draws; the lab only tells."""

    def begin(self, text: str) -> None:
        """Show what is being done now."""

    def done(self, text: str, seconds: float) -> None:
        """Show what was done and how long it took."""

    def transferred(self, done: int, total: int) -> None:
        """Show so many bytes of a file as through."""


@dataclass(slots=True)
class SilentSteps:
    """Shows nothing and remembers the steps: name, seconds."""

    taken: list[tuple[str, float]] = field(default_factory=list)

    def begin(self, text: str) -> None:
        """Show nothing."""

    def done(self, text: str, seconds: float) -> None:
        """Remember the step."""
        self.taken.append((text, seconds))

    def transferred(self, done: int, total: int) -> None:
        """Show nothing."""


@contextmanager
def step(steps: Steps, text: str, clock: Callable[[], float] = monotonic) -> Iterator["Step"]:
    """Show a step while the block runs; `Step.result` is what it shows at the end."""
    current = Step(text)
    started = clock()
    steps.begin(text)
    yield current
    steps.done(current.result, clock() - started)


@dataclass(slots=True)
class Step:
    """A step under way. result: what to show once it is done."""

    result: str
