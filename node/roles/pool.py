"""Circuits that already listen for a rendezvous, so that a dial need not wait for one (SPEC 10.6).

One of them is replaced at exponential intervals, used or not, so that a guard sees upkeep. One that
was taken is replaced at once: that hides when it was opened, and not that there is a dial, whose
other circuits the guard sees begin.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.circuit.bodies import Listening
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import COOKIE_SIZE
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import NO_CARE, Care, CircuitPlan, Circuits
from peerstream.node.roles.errors import RoleError

SIZE: Final = 2
MEAN_S: Final = 600.0  # between replacements
LISTEN_S: Final = 3_600
RETRY_S: Final = 5.0
ANONYMOUS: Final = 2


@dataclass(frozen=True, slots=True)
class Listener:
    """A circuit that waits at a rendezvous point for a cookie of 32 bytes."""

    circuit: OwnedCircuit
    cookie: bytes = field(repr=False)


class ListenerPool:
    """Keeps a few listeners of one cell class ready."""

    def __init__(self, environment: Environment, circuits: Circuits, cell_class: int) -> None:
        self._environment = environment
        self._circuits = circuits
        self._cell_class = cell_class
        self._ready: deque[Listener] = deque()
        self._taken = trio.Event()

    @property
    def ready(self) -> int:
        """How many listen now."""
        return sum(not listener.circuit.ended for listener in self._ready)

    async def take(self, cell_class: int, care: Care = NO_CARE) -> Listener:
        """Return a listener, one of the pool where it fits. Raises as `Circuits.open`.

        Whoever is in a hurry gets a new one: that a relay of an old one stands still, nobody knows.
        """
        while self._ready and cell_class == self._cell_class and not care.hurried:
            listener = self._ready.popleft()
            self._taken.set()
            if not listener.circuit.ended:
                return listener
        return await self.listen(cell_class, care)

    async def listen(self, cell_class: int, care: Care = NO_CARE) -> Listener:
        """Open a circuit to a rendezvous point of our choice. Raises as `Circuits.open`."""
        cookie = self._environment.entropy(COOKIE_SIZE)
        plan = CircuitPlan(
            purpose=Purpose.CLIENT_RENDEZVOUS,
            level=ANONYMOUS,
            command=Command.RDV_LISTEN,
            body=Listening(cookie, LISTEN_S).encode(),
            cell_class=cell_class,
            care=care,
        )
        return Listener(await self._circuits.open(plan), cookie)

    async def run(self) -> None:
        """Keep the pool full, until cancelled."""
        while True:
            self._taken = trio.Event()
            await self._fill()
            with trio.move_on_after(self._pause()):
                await self._taken.wait()
                continue
            if self._ready:
                self._ready.popleft().circuit.close()

    async def _fill(self) -> None:
        self._ready = deque(x for x in self._ready if not x.circuit.ended)
        while len(self._ready) < SIZE:
            try:
                self._ready.append(await self.listen(self._cell_class))
            except (RoleError, ProtocolError, PortError):
                # A dial would fail for the same reason and tell its caller; here is nobody to tell.
                await trio.sleep(RETRY_S)

    def _pause(self) -> float:
        drawn = (int.from_bytes(self._environment.entropy(4), "big") + 1) / (1 << 32)
        return -MEAN_S * math.log(drawn)
