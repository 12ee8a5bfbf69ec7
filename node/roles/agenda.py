"""What has to be looked at before the node sends, and when next (SPEC 10.2)."""

from collections.abc import Callable
from typing import Protocol

import trio

_NEVER = float("inf")


class Machine(Protocol):
    """A state machine with output: a session, mostly. Hashed by identity."""

    def turn(self) -> float:
        """Send what may go out, tell what happened; return when to be called again at the latest.

        In seconds of the node's clock, infinity for not at all.
        """
        ...


class Agenda:
    """Machines that were touched get a turn at the end of the wake-up, each once."""

    def __init__(self, now: Callable[[], float], wake: Callable[[], None]) -> None:
        """`wake`: see `Links.wake`."""
        self._now = now
        self._wake = wake
        self._marked: dict[Machine, None] = {}
        self._deadlines: dict[Machine, float] = {}
        self._next = _NEVER
        self._nearer = trio.Event()

    def mark(self, machine: Machine) -> None:
        """Give the machine a turn soon."""
        if not self._marked:
            self._wake()
        self._marked[machine] = None

    def forget(self, machine: Machine) -> None:
        """Give it no turn any more."""
        self._marked.pop(machine, None)
        self._deadlines.pop(machine, None)

    def turn(self) -> None:
        """Give every marked machine its turn; what is marked meanwhile has one too."""
        while self._marked:
            machine = next(iter(self._marked))
            del self._marked[machine]
            self._schedule(machine, machine.turn())

    def _schedule(self, machine: Machine, deadline: float) -> None:
        if deadline == _NEVER:
            self._deadlines.pop(machine, None)
            return
        self._deadlines[machine] = deadline
        if deadline < self._next:
            self._next = deadline
            self._nearer.set()

    async def run(self) -> None:
        """Mark machines when their time has come, until cancelled."""
        while True:
            self._nearer = trio.Event()
            self._next = min(self._deadlines.values(), default=_NEVER)
            with trio.move_on_after(max(0.0, self._next - self._now())):
                await self._nearer.wait()
                continue
            now = self._now()
            for machine in [m for m, deadline in self._deadlines.items() if deadline <= now]:
                del self._deadlines[machine]
                self.mark(machine)
