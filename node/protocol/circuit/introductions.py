"""Who can be introduced here (SPEC 4.10)."""

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.sizes import INTRODUCTION_BLOB_SIZE
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.bodies import Introduction, Registration
    from peerstream.node.protocol.circuit.relay_circuit import RelayCircuit

HELD_MAX: Final = 16  # 144 KiB for one service that is building its circuit anew
PASS_HELD: Final = 4  # more of them for whoever comes with a pass
PASS_MESSAGES: Final = 8  # introductions that strangers leave room for on the way to the service
HELD_TOTAL_MAX: Final = 1_024  # 9 MiB: whoever lets keys die on purpose gets no more memory
HELD_SECONDS: Final = 20.0
CALLER_RATE: Final = 0.1  # introductions a second over one circuit: a caller makes one
CALLER_BURST: Final = 4


class _Door(NamedTuple):
    """A name under which a desk is asked for: how often, and what it leaves free for others."""

    desk: "_Desk"
    bucket: TokenBucket
    held_max: int
    messages_free: int


class _Desk:
    """One introduction key: the circuit it is delivered to, or what waits for the next one."""

    __slots__ = ("circuit", "held", "lost_at", "names")

    def __init__(self, circuit: "RelayCircuit", names: tuple[bytes, bytes]) -> None:
        self.circuit: RelayCircuit | None = circuit
        self.names = names
        self.held: deque[bytes] = deque()
        self.lost_at = 0.0


class Introductions:
    """The introduction keys registered at this relay; each belongs to one circuit."""

    def __init__(self) -> None:
        self._desks: dict[bytes, _Desk] = {}
        self._doors: dict[bytes, _Door] = {}
        self._keys: dict[RelayCircuit, bytes] = {}
        self._paces: dict[RelayCircuit, TokenBucket] = {}  # of circuits that introduced

    def __len__(self) -> int:
        return len(self._desks)

    def register(self, circuit: "RelayCircuit", registration: "Registration", now: float) -> None:
        """Deliver to `circuit` from now on; a circuit that had the same key before is closed."""
        key = registration.auth_key
        before = self._desks.get(key)
        self._leave(circuit)
        if before is not None:
            self._close_doors(before)
        desk = _Desk(circuit, (key, registration.pass_name))
        self._open_doors(desk, registration, now)
        self._desks[key] = desk
        self._keys[circuit] = key
        if before is None:
            return
        desk.held = before.held
        if before.circuit is not None and before.circuit is not circuit:
            del self._keys[before.circuit]
            before.circuit.close()

    def _open_doors(self, desk: _Desk, registration: "Registration", now: float) -> None:
        """Let the desk be asked for; no pass is another's name, and no key yields to a pass."""
        rate, burst = registration.rate / 60, max(1, registration.burst)
        auth_key, pass_name = desk.names
        common = _Door(desk, TokenBucket(rate, burst, now), HELD_MAX, PASS_MESSAGES)
        self._doors[auth_key] = common
        passed = _Door(desk, TokenBucket(rate, burst, now), HELD_MAX + PASS_HELD, 0)
        self._doors.setdefault(pass_name, passed)

    def _close_doors(self, desk: _Desk) -> None:
        for name in desk.names:
            door = self._doors.get(name)
            if door is not None and door.desk is desk:
                del self._doors[name]

    def may_introduce(self, circuit: "RelayCircuit", now: float) -> bool:
        """Whether one more introduction may come over a circuit; counts it."""
        pace = self._paces.get(circuit)
        if pace is None:
            pace = self._paces[circuit] = TokenBucket(CALLER_RATE, CALLER_BURST, now)
        return pace.take(now)

    def deliver_held(self, circuit: "RelayCircuit") -> None:
        """Send what came while the key had no circuit; after the registration was answered."""
        held = self._desks[self._keys[circuit]].held
        while held and circuit.own_room_for(INTRODUCTION_BLOB_SIZE):
            circuit.send_control(Command.INTRODUCTION, held.popleft())
        held.clear()

    def introduce(self, introduction: "Introduction", now: float) -> Status:
        """Deliver or hold one blob: OK, NOT_FOUND, or LIMIT when the service asked for fewer."""
        door = self._doors.get(introduction.auth_key)
        if door is None:
            return Status.NOT_FOUND
        if not door.bucket.take(now):
            return Status.LIMIT
        desk = door.desk
        circuit = desk.circuit
        if circuit is None:
            if len(desk.held) >= door.held_max or self._held() >= HELD_TOTAL_MAX:
                return Status.LIMIT
            desk.held.append(introduction.blob)
        elif circuit.own_room_for(len(introduction.blob) * (1 + door.messages_free)):
            circuit.send_control(Command.INTRODUCTION, introduction.blob)
        else:
            return Status.LIMIT
        return Status.OK

    def circuit_closed(self, circuit: "RelayCircuit", now: float) -> None:
        """Keep the key for a while: its owner builds another circuit."""
        self._paces.pop(circuit, None)
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
            self._close_doors(self._desks.pop(key))

    def _held(self) -> int:
        return sum(len(desk.held) for desk in self._desks.values() if desk.circuit is None)

    def _leave(self, circuit: "RelayCircuit") -> None:
        key = self._keys.pop(circuit, None)
        if key is not None:
            self._close_doors(self._desks.pop(key))
