"""Drives one session: cells in, turns, events to streams (SPEC 10.8)."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import trio

from peerstream.node.ports import Clock, Peer, SessionEndedError, StreamResetError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.multipath import Need
from peerstream.node.protocol.session.paths import PATHS_MAX
from peerstream.node.protocol.session.schedule import SessionSecrets
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.agenda import Agenda
from peerstream.node.roles.circuit import OwnedCircuit
from peerstream.node.roles.datagrams import Share, flow_of
from peerstream.node.roles.streams import SessionStream

FAREWELL_S: Final = 3.0
SUSPECT_S: Final = 30.0  # so long relays of a path that broke are gone round
GUARD_SILENT_S: Final = 0.8  # silent paths are 1.5 s old; their guard was asked after 1 to 1.25 s
# For each path and point of a call that resumes, as round trips of the session within bounds: a way
# to the peer and back, and the callee's own circuit, are about three.
ROUND_TRIPS: Final = 8
PATIENCE_S: Final = (0.6, 4.0)
_NEVER: Final = float("inf")


class SessionDriver:
    """A session with its circuits and streams; a `Machine` on the agenda.

    `on_stream` gets each stream that the peer opens, `on_offer` each path it offers, `on_refused`
    the number of each that it did not take; `on_closed` is called once at the end.
    """

    def __init__(self, session: Session, peer: Peer, agenda: Agenda, clock: Clock) -> None:
        self.session = session
        self.peer = peer
        self.on_stream: Callable[[SessionStream], None] | None = None
        self.on_offer: Callable[[ev.PathOffered], None] | None = None
        self.on_refused: Callable[[int], None] = _ignore
        self.on_closed: Callable[[], None] = _nothing
        self.draining: set[SessionStream] = set()
        self.datagrams = Share()
        self.sent = self.received = 0  # bytes of programs, of all its streams
        self.ended = trio.Event()  # no circuit is left
        self._close_at = _NEVER
        self._agenda = agenda
        self._clock = clock
        self._circuits: dict[int, OwnedCircuit] = {}
        self._streams: dict[int, SessionStream] = {}
        self._flows: dict[int, SessionStream] = {}
        self._broken: deque[tuple[float, OwnedCircuit]] = deque(maxlen=PATHS_MAX)
        self._need_seen = Need.NOTHING
        self._need_changed = trio.Event()
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.StreamOpened: self._stream_opened,
            ev.StreamAccepted: lambda e: self._on(e.stream, SessionStream.note_accepted),
            ev.Readable: lambda e: self._on(e.stream, SessionStream.tell),
            ev.Writable: lambda e: self._on(e.stream, SessionStream.tell),
            ev.StreamEnded: lambda e: self._on(e.stream, SessionStream.note_end),
            ev.StreamReset: self._stream_reset,
            ev.SendingStopped: self._sending_stopped,
            ev.DatagramReceived: self._datagram_received,
            ev.PathOffered: self._path_offered,
            ev.PathClosed: self._path_closed,
            ev.SessionClosed: self._closed,
        }

    def __repr__(self) -> str:
        return f"<SessionDriver with {len(self._streams)} streams>"

    @property
    def alive(self) -> bool:
        """Whether the session can still carry something, now or after a resume."""
        return self.session.state is not State.CLOSED

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    # Paths

    def attach(self, number: int, circuit: OwnedCircuit, level: int) -> None:
        """Use a circuit that is spliced as path `number` of the session."""
        session, now = self.session, self._clock.now
        self._circuits[number] = circuit
        circuit.on_room = self.touch
        session.add_path(number, circuit.port, level, now())

        def cell_received(cell_buffer: memoryview) -> None:
            session.receive_cell(number, cell_buffer, now())
            self.touch()

        def closed() -> None:
            session.path_lost(number, now())
            self.touch()

        circuit.on_closed = circuit.on_parted = closed
        circuit.listen(cell_received)
        if circuit.ended:
            closed()
        self.touch()

    @property
    def ways(self) -> list[tuple[bytes, ...]]:
        """The relay_ids of each circuit under it, guard first; the one that carries data first."""
        carrying = self.session.carrying
        numbers = sorted(self._circuits, key=lambda number: number != carrying)
        return [self._circuits[number].path for number in numbers]

    def suspects(self) -> frozenset[bytes]:
        """Return the relays on paths that broke lately, or that carry nothing now.

        Not a guard that was heard since: our link to it shows that it is well. Nor the one that was
        heard last, which says nothing when all of them rest.
        """
        now = self._clock.now()
        circuits = [circuit for at, circuit in self._broken if now - at < SUSPECT_S]
        circuits += self._circuits.values()
        heard: dict[bytes, float] = {}
        for circuit in circuits:
            guard = circuit.path[0]
            heard[guard] = max(
                circuit.port.link.heard_at, heard.get(guard, circuit.port.link.heard_at)
            )
        silent = {guard for guard, at in heard.items() if now - at >= GUARD_SILENT_S}
        if len(heard) > 1:
            silent.discard(max(heard, key=heard.__getitem__))
        behind = {relay for circuit in circuits for relay in circuit.path[1:]}
        return frozenset(behind | silent) - (heard.keys() - silent)

    @property
    def patience_s(self) -> float:
        """How long one path is waited for while the session stands still."""
        least, most = PATIENCE_S
        return max(least, min(most, ROUND_TRIPS * self.session.round_trip))

    @property
    def relays(self) -> frozenset[bytes]:
        """The relays of our halves of all its paths."""
        return frozenset(relay for circuit in self._circuits.values() for relay in circuit.path)

    @property
    def need(self) -> Need:
        """What the paths want of the caller."""
        return self.session.need(self._clock.now())

    async def need_changed(self, need: Need) -> None:
        """Wait until the paths want something else than `need`, or the session is over."""
        while self.alive and self.need is need:
            await self._need_changed.wait()

    def strand(self) -> None:
        """Give up the paths there are: a peer that calls again knows that they are dead."""
        now = self._clock.now()
        for number, circuit in list(self._circuits.items()):
            self._break(circuit)
            self.session.path_lost(number, now)
        self._circuits.clear()

    def _break(self, circuit: OwnedCircuit) -> None:
        self._broken.append((self._clock.now(), circuit))
        circuit.on_closed = circuit.on_parted = _nothing
        circuit.close()

    def resume(self, secrets: SessionSecrets, circuit: OwnedCircuit, level: int) -> None:
        """Go on over a circuit of a new handshake, if the session is not over meanwhile."""
        self.strand()
        if not self.alive:
            circuit.close()
            return
        self.session.resume(secrets, self._clock.now())
        self.attach(secrets.first_path, circuit, level)

    def touch(self) -> None:
        """Have the session looked at before the node sends again."""
        self._agenda.mark(self)

    # As Machine

    def turn(self) -> float:
        """Send what may go out and tell the streams what happened."""
        session, now = self.session, self._clock.now()
        session.tick(now)
        session.pump(now)
        for event in session.events():
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)
        for stream in self.draining:
            stream.tell()
        self.draining.clear()
        self._tell_need()
        if self.alive:
            return session.next_deadline()
        return self._let_go(now)

    def _tell_need(self) -> None:
        need = self.need
        if need is not self._need_seen or not self.alive:
            self._need_seen = need
            changed, self._need_changed = self._need_changed, trio.Event()
            changed.set()

    # Streams

    def open_stream(self, service: str) -> SessionStream:
        """Open a stream to a service of the peer; bytes may be sent at once."""
        stream = self._new_stream(self.session.open_stream(service), service)
        self.touch()
        return stream

    def _new_stream(self, number: int, service: str) -> SessionStream:
        stream = self._streams[number] = SessionStream(self, number, service)
        self._flows.setdefault(flow_of(number), stream)
        return stream

    def early_stream(self, service: str, sent: int, received: bytes) -> SessionStream:
        """Return the first stream, which began with the handshake.

        `sent`: how many of our bytes it carried; `received`: the peer's.
        """
        stream = self._new_stream(self.session.early_stream(service, sent, received), service)
        self.touch()
        return stream

    def forget(self, number: int) -> None:
        """Let go of a stream that its program closed."""
        stream = self._streams.pop(number, None)
        if stream is not None and self._flows.get(flow_of(number)) is stream:
            del self._flows[flow_of(number)]
            self.session.forget_flow(flow_of(number))

    def _on(self, number: int, act: Callable[[SessionStream], None]) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            act(stream)

    def _stream_opened(self, event: ev.StreamOpened) -> None:
        if self.on_stream is None:
            self.session.reset(event.stream, Status.NO_SERVICE)
            return
        stream = self._streams.get(event.stream)
        if stream is None:  # an early one is there already
            stream = self._new_stream(event.stream, event.service)
        self.on_stream(stream)

    def accept(self, stream: SessionStream) -> None:
        """Tell the peer that its stream was taken."""
        self.session.accept_stream(stream.number)
        stream.note_accepted()
        self.touch()

    def _stream_reset(self, event: ev.StreamReset) -> None:
        self._on(event.stream, lambda stream: stream.fail(StreamResetError(event.code)))
        self.forget(event.stream)

    def _sending_stopped(self, event: ev.SendingStopped) -> None:
        error = StreamResetError(event.code)
        self._on(event.stream, lambda stream: stream.note_stopped(error))

    # Datagrams

    def send_datagram(self, stream: SessionStream, data: bytes, life_s: float) -> bool:
        """Send a datagram of a stream; False when it was dropped.

        A stream whose flow an older one still has (its number is a multiple of 65 536 below) has
        none: datagrams must never come to another stream than they were sent on.
        """
        flow = flow_of(stream.number)
        if self._flows.get(flow) is not stream:
            return False
        taken = self.session.send_datagram(flow, data, life=life_s, now=self._clock.now())
        self.touch()
        return taken

    def _datagram_received(self, event: ev.DatagramReceived) -> None:
        stream = self._flows.get(event.flow)
        if stream is None:
            self.datagrams.dropped += 1  # of no stream, or one that is over
        else:
            stream.note_datagram(event.data)

    # Paths and end

    def _path_offered(self, event: ev.PathOffered) -> None:
        if self.on_offer is None:
            self.session.refuse_path(event.path, Status.LIMIT)
        else:
            self.on_offer(event)

    def _path_closed(self, event: ev.PathClosed) -> None:
        circuit = self._circuits.pop(event.path, None)
        if circuit is not None:
            self._break(circuit)
        else:
            self.on_refused(event.path)

    def _closed(self, event: ev.SessionClosed) -> None:
        for number, stream in list(self._streams.items()):
            whole = self.session.came_whole(number)
            (stream.note_stopped if whole else stream.fail)(SessionEndedError(event.code))
        self._streams.clear()
        self._flows.clear()
        for circuit in self._circuits.values():
            circuit.on_closed = circuit.on_parted = self.touch
            if event.by_peer and not circuit.ended and circuit.port.room() > 0:
                circuit.port.finish()
        # Our word that it is over must arrive; whoever hears it ends both halves of each circuit.
        self._close_at = self._clock.now() + FAREWELL_S
        self.on_closed()

    def _let_go(self, now: float) -> float:
        """Close what is left of the circuits when their time is over; when to look again."""
        late = now >= self._close_at
        for circuit in self._circuits.values():
            if late:
                circuit.on_closed = circuit.on_parted = _nothing
                circuit.close()
        if late or all(circuit.ended for circuit in self._circuits.values()):
            self._circuits.clear()
            self._agenda.forget(self)
            self.ended.set()
            return _NEVER
        return self._close_at

    async def aclose(self, status: Status = Status.FINISHED) -> None:
        """End the session and tell the peer; return when its circuits are gone."""
        if self.alive:
            self.session.close(status, self._clock.now())
            self.touch()
        await self.ended.wait()


def _nothing() -> None:
    """Stand in where nobody wants to know any more."""


def _ignore(_number: int) -> None:
    """Stand in where nobody offers paths."""
