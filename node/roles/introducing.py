"""The introduction circuits of a callee: as many as wanted, replaced when they end (SPEC 10.7)."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from peerstream.node.ports import PortError
from peerstream.node.protocol.circuit.bodies import Registration
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.directory.paths import Purpose
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.protocol.rendezvous.publication import Point
from peerstream.node.protocol.rendezvous.tickets import pass_name
from peerstream.node.protocol.wire.command import Command
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.circuits import ATTEMPTS, NO_CARE, Care, CircuitPlan
from peerstream.node.roles.errors import CircuitClosedError, RoleError
from peerstream.node.roles.parts import NodeParts

POINTS: Final = 3
POINTS_SMALL: Final = 5  # where three are soon all among those that a caller keeps away from
SMALL: Final = 100  # relays
RATE: Final = 6_000  # introductions a minute: at three points what a tenth of a core opens
BURST: Final = 200
RETRY_S: Final = 3.0
RETURN_S: Final = 2.5  # less than the relay holds what came: whoever calls waits for another point
RETURN_PATIENCE_S: Final = 1.0  # for each path there
RETURN_RATE: Final = 1 / 600
RETURN_BURST: Final = 3
FLOODERS_KEPT: Final = 4  # relays not gone to again; more could leave a small network none
ANONYMOUS: Final = 2


@dataclass(slots=True)
class _Place:
    """One introduction point to be held at a level: its key, and its circuit while it stands.

    `returns`: how often we go back to the same relay, which may cut us off to see us come again.
    `wanting`: whether no relay took it when we tried last.
    """

    level: int
    private: Ed25519PrivateKey = field(repr=False)
    returns: TokenBucket
    circuit: OwnedCircuit | None = None
    wanting: bool = False
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def points_wanted(relays: int) -> int:
    """Return how many introduction points a level has in a network of so many relays."""
    return POINTS_SMALL if relays < SMALL else POINTS


class Introducing:
    """Holds introduction points. `on_introduction` gets the point's key (32 B) and the blob.

    `on_change` is called whenever the set of standing points changed. `contact_pass`: 32 B, what
    our contacts hold and strangers do not.
    """

    def __init__(
        self,
        parts: NodeParts,
        on_introduction: Callable[[bytes, bytes], None],
        on_change: Callable[[], None],
        contact_pass: bytes,
    ) -> None:
        self._parts = parts
        self._contact_pass = contact_pass
        self._entropy = parts.environment.entropy
        self._on_introduction = on_introduction
        self._on_change = on_change
        self._places: list[_Place] = []
        self._nursery: trio.Nursery | None = None
        self._flooders: deque[bytes] = deque(maxlen=FLOODERS_KEPT)
        self._choosing = trio.Lock()  # one after the other, so that operators stay apart

    def hold(self, levels: tuple[int, ...]) -> None:
        """Hold points of these levels from now on, and of no others."""
        for place in [place for place in self._places if place.level not in levels]:
            self._places.remove(place)
            place.scope.cancel()
        held = {place.level for place in self._places}
        wanted = points_wanted(self._parts.keeper.relays)
        for level in levels:
            for _ in range(0 if level in held else wanted):
                place = self._new_place(level)
                self._places.append(place)
                if self._nursery is not None:
                    self._nursery.start_soon(self._hold, place)
        self._on_change()

    def _new_place(self, level: int) -> _Place:
        returns = TokenBucket(RETURN_RATE, RETURN_BURST, self._parts.environment.clock.now())
        return _Place(level, self._new_key(), returns)

    def _new_key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._entropy(32))

    @property
    def complete(self) -> bool:
        """Whether every point stands; beyond three of a level, each for which there was a relay."""
        standing = Counter(place.level for place in self._places if place.circuit is not None)
        return all(
            place.circuit is not None or (place.wanting and standing[place.level] >= POINTS)
            for place in self._places
        )

    def points(self) -> tuple[Point, ...]:
        """Return those that stand."""
        return tuple(
            Point(place.circuit.path[-1], place.public, place.level)
            for place in self._places
            if place.circuit is not None
        )

    async def run(self) -> None:
        """Hold the points, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for place in self._places:
                nursery.start_soon(self._hold, place)
            await trio.sleep_forever()

    async def _hold(self, place: _Place) -> None:
        try:
            with place.scope:
                await self._keep(place)
        finally:
            if place.circuit is not None:
                place.circuit.close()

    async def _keep(self, place: _Place) -> None:
        while True:
            try:
                async with self._choosing:
                    place.circuit = await self._register(place)
            except (RoleError, ProtocolError, PortError):
                # The relay set or our guards; whoever needs this point waits until `complete`.
                if not place.wanting:
                    place.wanting = True
                    self._on_change()
                await trio.sleep(RETRY_S)
                continue
            place.wanting = False
            self._on_change()
            circuit: OwnedCircuit | None = place.circuit
            while circuit is not None:
                place.circuit = circuit
                kept_to_it = await self._serve(place, circuit)
                circuit = await self._return(place, circuit.path) if kept_to_it else None
            place.circuit = None
            place.private = self._new_key()
            self._on_change()

    async def _return(self, place: _Place, path: tuple[bytes, ...]) -> OwnedCircuit | None:
        """Go back to the relay at the end of a path that broke, around the others; None if not.

        It holds what came meanwhile. Whoever calls just now waits, so no path is waited for long.
        """
        care = Care(frozenset(path[1:-1]), RETURN_PATIENCE_S)
        if not place.returns.take(self._parts.environment.clock.now()):
            return None
        with trio.move_on_after(RETURN_S):
            try:
                return await self._register(place, path[-1], care)
            except (RoleError, ProtocolError, PortError):
                return None  # the relay itself is gone, or no path to it is safe: take another
        return None

    async def _serve(self, place: _Place, circuit: OwnedCircuit) -> bool:
        """Hand introductions on until the circuit ends; False when the relay sent too many."""
        now = self._parts.environment.clock.now
        pace = TokenBucket(2 * RATE / 60, 4 * BURST, now())  # two doors, and what was under way
        while True:
            try:
                blob = await circuit.expect(Command.INTRODUCTION)
            except CircuitClosedError:
                return True
            if not pace.take(now()):
                self._flooders.append(circuit.path[-1])
                circuit.close()
                return False
            self._on_introduction(place.public, blob)

    async def _register(
        self, place: _Place, point: bytes | None = None, care: Care = NO_CARE
    ) -> OwnedCircuit:
        """Register at a relay of our choice whose operator holds none of the others, or at `point`.

        Level 1 is met over three relays but introduced over four: the point stands for hours.
        """
        private = place.private
        name = pass_name(self._contact_pass, place.public)
        registration = Registration(place.public, name, RATE, BURST)
        others = [
            other.circuit.path[-1]
            for other in self._places
            if other is not place and other.circuit is not None and other.level == place.level
        ]
        plan = CircuitPlan(
            purpose=Purpose.SERVICE_INTRODUCTION,
            level=ANONYMOUS,
            command=Command.INTRO_REGISTER,
            body=lambda _point, binding: registration.encode(private, binding),
            named=() if point is None else (point,),
            apart=[*others, *self._flooders],
            attempts=ATTEMPTS if point is None else 1,
            care=care,
        )
        return await self._parts.circuits.open(plan)
