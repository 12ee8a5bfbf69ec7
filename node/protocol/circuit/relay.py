"""A relay: circuits between links (SPEC 4.8, 4.9)."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Final, NamedTuple

from peerstream.node.protocol.circuit.bodies import decode_payload
from peerstream.node.protocol.circuit.commands import CommandHandler, Commands
from peerstream.node.protocol.circuit.errors import CircuitIdleError, MemoryNeededError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.relay_circuit import Input, RelayCircuit, State
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.errors import ReplayFilterFullError, SetupError
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord
from peerstream.node.protocol.onion.setup import ProcessedSetup, process_setup, replay_tag
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status

DIAL_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 60.0  # a hop after us never answered: drop the state, tell nobody
IDLE_SECONDS: Final = 600.0
AGE_SECONDS_MAX: Final = 86_400.0
CROWDED_IDLE_SECONDS: Final = 30.0  # at least so long idle is who makes room for a newcomer
CROWDED_SHARE: Final = 64  # of all circuits this part goes at once: looking at all costs 10 ms
CONTEXT_SECONDS: Final = 30.0  # idle so long, a circuit gives its 14 KB of contexts back
SWEEP_SECONDS: Final = 2.0  # looking at 10 000 circuits takes about 5 ms
CIRCUITS_MAX: Final = 50_000  # 4 KB each when idle
DIALS_MAX: Final = 1_024
UNFINISHED_BYTES_MAX: Final = 16_777_216  # of messages that owners began and did not end
HELD_BYTES_MAX: Final = 268_435_456  # of cells in queues; 500 full windows of the default class


@dataclass(frozen=True, slots=True)
class RelayParts:
    """What a relay is made of.

    `record` must have stored what it is given when it returns: the SETUP goes on after that.
    `directory` holds the handlers of DIR_* commands, see `Commands`. `pool` MUST be the one that
    all links of the relay are made with: what it has lent is what the relay holds.
    """

    relay_id: bytes
    onion_keys: OnionKeyRing
    replay_filter: ReplayFilter
    record: Callable[[ReplayRecord], None]
    entropy: Callable[[int], bytes]
    directory: Mapping[Command, CommandHandler] = field(default_factory=dict)
    pool: BufferPool = field(default_factory=BufferPool)
    circuits_max: int = CIRCUITS_MAX
    held_bytes_max: int = HELD_BYTES_MAX
    unfinished_bytes_max: int = UNFINISHED_BYTES_MAX


class ConnectNeeded(NamedTuple):
    """A circuit goes on to a relay we have no link to.

    Dial it, then call `link_ready` or `link_failed`; the circuit waits five seconds.
    """

    relay_id: bytes


class RelayCore:
    """All circuits of one relay. Links call it directly; `events` says what it needs."""

    def __init__(self, parts: RelayParts, *, now: float, wall: int) -> None:
        self.entropy = parts.entropy
        self.breaches: Counter[str] = Counter()
        self._parts = parts
        self._commands = Commands(parts.directory)
        self._links: dict[bytes, Link] = {}
        self._circuits: set[RelayCircuit] = set()
        self._dials: dict[bytes, list[RelayCircuit]] = {}
        self._events: list[ConnectNeeded] = []
        self._relayed = 0
        self.unfinished_bytes = 0
        self._now = now
        self._wall = wall
        self._swept_at = now
        self._crowded_until = now

    def __repr__(self) -> str:
        return f"<RelayCore with {len(self._circuits)} circuits>"

    @property
    def circuits(self) -> int:
        """How many circuits are open."""
        return len(self._circuits)

    @property
    def cells_relayed(self) -> int:
        """Cells passed on since the start; control cells for this hop do not count."""
        return self._relayed + sum(circuit.cells_relayed for circuit in self._circuits)

    @property
    def introduction_keys(self) -> int:
        """How many introduction keys are registered or were a moment ago."""
        return len(self._commands.introductions)

    @property
    def cookies(self) -> int:
        """How many rendezvous are waited for or joined."""
        return len(self._commands.rendezvous)

    @property
    def held_bytes(self) -> int:
        """Bytes of cells that wait in this relay."""
        return self._parts.pool.lent_bytes

    @property
    def _is_full(self) -> bool:
        return self.held_bytes > self._parts.held_bytes_max

    @property
    def _is_crowded(self) -> bool:
        return len(self._circuits) >= self._parts.circuits_max

    def events(self) -> list[ConnectNeeded]:
        """Take what happened since the last call."""
        events, self._events = self._events, []
        return events

    # Links

    def link_ready(self, relay_id: bytes | None, link: Link) -> None:
        """Serve a new link, dialled by either side; `relay_id` is None for a client."""
        link.on_setup = self.setup_received
        if relay_id is None:
            return
        self._links[relay_id] = link
        for circuit in self._dials.pop(relay_id, ()):
            if circuit.state is State.DIALING:
                self._extend_over(circuit, link)

    def link_failed(self, relay_id: bytes, status: Status) -> None:
        """Answer all who wanted to go there: NO_ROUTE, CONNECT or TIMEOUT."""
        for circuit in self._dials.pop(relay_id, ()):
            if circuit.state is State.DIALING:
                circuit.answer(status)

    def link_closed(self, link: Link) -> None:
        """End the circuits of a link that is gone."""
        link.close()
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]

    # Circuits

    def setup_received(self, link: Link, circuit_id: int, frame: bytes) -> None:
        """Open one circuit, or refuse it in silence."""
        self._now = max(self._now, link.now)
        if self._is_full or (self._is_crowded and self._now < self._crowded_until):
            link.send_destroy(circuit_id, Status.BUSY)
            return
        try:
            setup = self._open_setup(frame)
        except ReplayFilterFullError as error:
            self.count(error)
            link.send_destroy(circuit_id, Status.BUSY)
        except SetupError as error:
            self.count(error)
            link.reject_setup(circuit_id)
        else:
            if self._is_crowded:
                self._make_room()
            if self._is_crowded:
                link.send_destroy(circuit_id, Status.BUSY)
            else:
                self._begin(link, circuit_id, setup)

    def _begin(self, link: Link, circuit_id: int, setup: ProcessedSetup) -> None:
        circuit = RelayCircuit(self, link, circuit_id, setup)
        self._circuits.add(circuit)
        if setup.payload is None:
            self._extend(circuit, setup.next_relay_id)
        else:
            self._run_payload(circuit, setup.payload)

    def _open_setup(self, frame: bytes) -> ProcessedSetup:
        parts = self._parts
        tag = replay_tag(frame)
        parts.replay_filter.check(tag)
        setup = process_setup(
            frame,
            relay_id=parts.relay_id,
            onion_keys=parts.onion_keys.accepted(self._wall),
            entropy=parts.entropy,
        )
        parts.record(parts.replay_filter.insert(setup.bucket, tag, self._wall))
        return setup

    def _run_payload(self, circuit: RelayCircuit, payload: bytes) -> None:
        try:
            self._commands.run(circuit, *decode_payload(payload))
        except RemoteProtocolError as error:
            self.count(error)
            circuit.answer(Status.PROTO)
        if circuit.awaits_reply and circuit.state is State.OPENING:
            circuit.answer(Status.PROTO)  # a command that opens nothing

    def command_received(self, circuit: RelayCircuit, command: Command, body: bytes) -> None:
        """Run a command from a control cell."""
        self._commands.run(circuit, command, body)

    def hold_unfinished(self, change: int) -> None:
        """Count bytes of unfinished messages; MemoryNeededError to whoever wants one too many."""
        self.unfinished_bytes += change
        if change > 0 and self.unfinished_bytes > self._parts.unfinished_bytes_max:
            raise MemoryNeededError(f"{self.unfinished_bytes} bytes of unfinished messages")

    def _extend(self, circuit: RelayCircuit, relay_id: bytes | None) -> None:
        # Back to the neighbour it came from is fine: a refusal would name the client's guard.
        if relay_id is None or relay_id == self._parts.relay_id:
            circuit.answer(Status.NO_ROUTE)
            return
        link = self._links.get(relay_id)
        if link is not None and not link.closed:
            self._extend_over(circuit, link)
        elif sum(map(len, self._dials.values())) >= DIALS_MAX:
            circuit.answer(Status.BUSY)
        else:
            self._dial(circuit, relay_id)

    def _dial(self, circuit: RelayCircuit, relay_id: bytes) -> None:
        circuit.advance(Input.DIAL)
        waiting = self._dials.setdefault(relay_id, [])
        waiting.append(circuit)
        if len(waiting) == 1:
            self._events.append(ConnectNeeded(relay_id))

    def _extend_over(self, circuit: RelayCircuit, link: Link) -> None:
        if link.can_open:
            circuit.extend(link)
        else:
            circuit.answer(Status.BUSY)

    def circuit_closed(self, circuit: RelayCircuit) -> None:
        """Forget a circuit; called by itself, once."""
        self._circuits.discard(circuit)
        self._relayed += circuit.cells_relayed
        self.unfinished_bytes -= circuit.unfinished
        self._commands.introductions.circuit_closed(circuit, self._now)
        self._commands.rendezvous.circuit_closed(circuit, self._now)

    def count(self, error: RemoteProtocolError) -> None:
        """Count what others did wrong, by cause."""
        self.breaches[type(error).__name__] += 1

    # Time

    def tick(self, now: float, wall: int) -> None:
        """Let time pass; call about four times a second."""
        self._now = now
        self._wall = wall
        for relay_id, waiting in list(self._dials.items()):
            self._give_up_dials(relay_id, waiting)
        if self._is_full:
            self._relieve()
        if now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            self._sweep()

    def _give_up_dials(self, relay_id: bytes, waiting: list[RelayCircuit]) -> None:
        """Answer those whose dial took too long; circuits that closed meanwhile are dropped."""
        dialing = [circuit for circuit in waiting if circuit.state is State.DIALING]
        late = [circuit for circuit in dialing if self._now - circuit.opened_at >= DIAL_SECONDS]
        if len(late) < len(dialing):
            self._dials[relay_id] = [circuit for circuit in dialing if circuit not in late]
        else:
            del self._dials[relay_id]
        for circuit in late:
            circuit.answer(Status.TIMEOUT)

    def _relieve(self) -> None:
        """Close the circuits that hold most until a quarter of the memory is free again."""
        enough = self._parts.held_bytes_max * 3 // 4
        for circuit in sorted(self._circuits, key=lambda c: c.held_cells, reverse=True):
            if self.held_bytes <= enough:
                return
            circuit.breach(MemoryNeededError(f"{circuit.held_cells} cells waited"))

    def _sweep(self) -> None:
        now = self._now
        self._commands.introductions.sweep(now)
        self._commands.rendezvous.sweep(now)
        for circuit in list(self._circuits):
            idle = self._idle(circuit)
            if idle >= self._patience(circuit) or now - circuit.opened_at >= AGE_SECONDS_MAX:
                circuit.close()
            elif idle >= CONTEXT_SECONDS:
                circuit.drop_contexts()

    def _make_room(self) -> None:
        """Close the circuits that are idle longest, so that a newcomer finds a place."""
        most = max(1, self._parts.circuits_max // CROWDED_SHARE)
        idle = [c for c in self._circuits if self._idle(c) >= CROWDED_IDLE_SECONDS]
        for circuit in nsmallest(most, idle, key=lambda c: c.active_at):
            circuit.breach(CircuitIdleError(f"idle for {self._now - circuit.active_at:.0f} s"))
        if not idle:
            self._crowded_until = self._now + SWEEP_SECONDS

    def _idle(self, circuit: RelayCircuit) -> float:
        """For how many seconds no cell came."""
        cells = circuit.cells_received
        if cells != circuit.seen_cells:
            circuit.seen_cells = cells
            circuit.active_at = self._now
        return self._now - circuit.active_at

    @staticmethod
    def _patience(circuit: RelayCircuit) -> float:
        return SILENT_SECONDS if circuit.state is State.AWAITING else IDLE_SECONDS
