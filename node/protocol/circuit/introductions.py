"""Who can be introduced here (SPEC 4.10)."""

from collections import deque
from typing import TYPE_CHECKING, Final

from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import INTRODUCTION_BLOB_SIZE
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.bodies import Introduction, Registration
    from peerstream.node.protocol.circuit.relay_circuit import RelayCircuit

HELD_MAX: Final = 16  # 144 KiB for one service that is building its circuit anew
HELD_TOTAL_MAX: Final = 1_024  # 9 MiB: whoever lets keys die on purpose gets no more memory
HELD_SECONDS: Final = 20.0


class _Desk:
    """One introduction key: the circuit it is delivered to, or what waits for the next one."""

    __slots__ = ("bucket", "circuit", "held", "lost_at")

    def __init__(self, circuit: "RelayCircuit", bucket: TokenBucket) -> None:
        self.circuit: RelayCircuit | None = circuit
        self.bucket = bucket
        self.held: deque[bytes] = deque()
        self.lost_at = 0.0


class Introductions:
    """The introduction keys registered at this relay; each belongs to one circuit."""

    def __init__(self) -> None:
        self._desks: dict[bytes, _Desk] = {}
        self._keys: dict[RelayCircuit, bytes] = {}

    def __len__(self) -> int:
        return len(self._desks)

    def register(self, circuit: "RelayCircuit", registration: "Registration", now: float) -> None:
        """Deliver to `circuit` from now on; a circuit that had the same key before is closed."""
        key = registration.auth_key
        bucket = TokenBucket(registration.rate / 60, max(1, registration.burst), now)
        before = self._desks.get(key)
        self._leave(circuit)
        desk = _Desk(circuit, bucket)
        self._desks[key] = desk
        self._keys[circuit] = key
        if before is None:
            return
        desk.held = before.held
        if before.circuit is not None and before.circuit is not circuit:
            del self._keys[before.circuit]
            before.circuit.close()

    def deliver_held(self, circuit: "RelayCircuit") -> None:
        """Send what came while the key had no circuit; after the registration was answered."""
        held = self._desks[self._keys[circuit]].held
        while held and circuit.own_room_for(INTRODUCTION_BLOB_SIZE):
            circuit.send_control(Command.INTRODUCTION, held.popleft())
        held.clear()

    def introduce(self, introduction: "Introduction", now: float) -> Status:
        """Deliver or hold one blob: OK, NOT_FOUND, or LIMIT when the service asked for fewer."""
        desk = self._desks.get(introduction.auth_key)
        if desk is None:
            return Status.NOT_FOUND
        if not desk.bucket.take(now):
            return Status.LIMIT
        circuit = desk.circuit
        if circuit is None:
            if len(desk.held) >= HELD_MAX or self._held() >= HELD_TOTAL_MAX:
                return Status.LIMIT
            desk.held.append(introduction.blob)
        elif circuit.own_room_for(len(introduction.blob)):
            circuit.send_control(Command.INTRODUCTION, introduction.blob)
        else:
            return Status.LIMIT
        return Status.OK

    def circuit_closed(self, circuit: "RelayCircuit", now: float) -> None:
        """Keep the key for a while: its owner builds another circuit."""
        key = self._keys.pop(circuit, None)
        if key is not None:
            desk = self._desks[key]
            desk.circuit = None
            desk.lost_at = now

    def sweep(self, now: float) -> None:
        """Forget keys whose owner did not come back."""
        gone = [
            key
            for key, desk in self._desks.items()
            if desk.circuit is None and now - desk.lost_at >= HELD_SECONDS
        ]
        for key in gone:
            del self._desks[key]

    def _held(self) -> int:
        return sum(len(desk.held) for desk in self._desks.values() if desk.circuit is None)

    def _leave(self, circuit: "RelayCircuit") -> None:
        key = self._keys.pop(circuit, None)
        if key is not None:
            del self._desks[key]
