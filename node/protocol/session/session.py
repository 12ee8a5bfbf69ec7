"""A session: streams and datagrams between two addresses over one or more circuits (SPEC 5.9).

The driver gives cells, time and ports in and takes events out. `pump` sends what may go: call it
after every batch of inputs, when a port has room again, and when `next_deadline` is reached.
"""

from collections.abc import Callable

from peerstream.node.protocol.circuit.port import CellPort
from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.builder import CellBuilder
from peerstream.node.protocol.session.datagram import DatagramSender
from peerstream.node.protocol.session.events import PathSuspected, Rekeyed
from peerstream.node.protocol.session.frames import (
    TICKET_SIZE,
    TICKETS_MAX,
    AddPath,
    Auth,
    Close,
    Contact,
    Open,
    PathStatus,
    Tickets,
    encode,
)
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.multipath import Scheduling
from peerstream.node.protocol.session.outbox import ControlFrame
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.rekey import NUMBERS_VOID
from peerstream.node.protocol.session.schedule import SessionSecrets
from peerstream.node.protocol.session.state import Input, State
from peerstream.node.protocol.session.survival import SessionSurvival
from peerstream.node.protocol.wire.status import Status

# The first bytes of a stream mostly follow its OPEN within a wake-up or two, and the answer's the
# OPENED: together they cost one cell on all links instead of two.
OPEN_PATIENCE = 0.002
_NEVER = float("inf")


class Session(SessionSurvival):
    """One end of a session; times are seconds of the monotonic clock."""

    def __init__(
        self,
        role: Role,
        secrets: SessionSecrets,
        terms: SessionTerms,
        *,
        now: float,
        entropy: Callable[[int], bytes],
    ) -> None:
        super().__init__(role, secrets, terms, now=now)
        self.scheduling = Scheduling.LOWEST_ROUND_TRIP
        self._entropy = entropy
        self._datagrams = DatagramSender()
        self._build()

    def _build(self) -> None:
        self._handlers = self._frame_handlers()
        self._builder = CellBuilder(self._outbox, self._streams, self._datagrams, self._rekey)
        if self._role is Role.CALLER and self._proof is not None:
            body = encode(Auth(self._proof))
            self._builder.proof = ControlFrame(self._outbox, body, reliable=False)

    # streams

    def open_stream(self, service: str) -> int:
        """Open a stream; bytes may be sent at once. Returns its number."""
        self._active = self._now
        stream = self._streams.open(service)
        self._outbox.push(Open(stream.number, service), patience=OPEN_PATIENCE)
        return stream.number

    def early_stream(self, service: str, sent: int, received: bytes) -> int:
        """Begin stream 1 behind what the handshake carried; both ends call this, or neither.

        ``sent`` is how many bytes of ours were accepted, ``received`` what came: EARLY at the
        callee, EARLY_RESPONSE at the caller. Only when the callee accepted the early data.
        """
        return self._streams.early(service, sent, received)

    def hurry(self) -> None:
        """Let nothing wait for company any longer: the application waits for the answer."""
        self._outbox.hurry()

    def accept_stream(self, stream: int) -> None:
        """Tell the peer that its stream was taken."""
        self._streams.accept(stream)

    def send(self, stream: int, data: bytes | memoryview) -> int:
        """Take bytes for a stream, by reference: the caller must not change them.

        Returns how many were taken; when fewer than given, Writable follows.
        """
        self._active = self._now
        return self._streams.send(stream, data)

    def send_end(self, stream: int) -> None:
        """End our half; the peer's half goes on."""
        self._streams.end(stream)

    def reset(self, stream: int, code: Status = Status.CLOSED) -> None:
        """Give a stream up in both directions."""
        self._streams.reset(stream, code)

    def unacknowledged(self, stream: int) -> int:
        """Return how many bytes the peer has not acknowledged; the stream's end counts as one."""
        return self._streams.unacknowledged(stream)

    def receive(self, stream: int, limit: int) -> bytes:
        """At most ``limit`` bytes in order; gives the peer credit for as many."""
        return b"".join(self._streams.take(stream, limit))

    def came_whole(self, stream: int) -> bool:
        """Whether every byte of the peer's half and its end came; False once it is over."""
        return self._streams.came_whole(stream)

    def receive_pieces(self, stream: int, limit: int) -> list[memoryview]:
        """As `receive`, without a copy: for a driver that writes them out with one call."""
        return self._streams.take(stream, limit)

    def send_datagram(self, flow: int, data: bytes, *, life: float, now: float) -> bool:
        """Send a datagram that is worthless in ``life`` seconds; False when too many wait."""
        self._advance(now)
        self._active = now
        self._datagrams.drop_expired(now)
        return self._datagrams.queue(flow, data, now + life)

    def forget_flow(self, flow: int) -> None:
        """Let go of a flow in both directions; the same number is another flow from now on."""
        self._datagrams.forget(flow)
        self._receiver.forget(flow)

    def send_contact(self, body: bytes) -> None:
        """Send a contact secret."""
        self._outbox.push(Contact(body))

    def send_tickets(self, tickets: tuple[bytes, ...]) -> None:
        """Send up to 4 tickets of 48 bytes."""
        if len(tickets) not in range(1, TICKETS_MAX + 1) or {len(t) for t in tickets} != {
            TICKET_SIZE
        }:
            raise LocalProtocolError("1 to 4 tickets of 48 bytes each")
        self._outbox.push(Tickets(tickets))

    # paths

    def allocate_path(self) -> int:
        """Return a number for a new path of ours."""
        return self._paths.allocate()

    def offer_path(self, offer: AddPath) -> None:
        """Caller: tell the callee where we listen for the path ``offer.path``."""
        self._outbox.push(offer)

    def refuse_path(self, number: int, status: Status) -> None:
        """Callee: an offered path was not taken."""
        self._paths.refused(number)
        self._outbox.push(PathStatus(number, status))

    @property
    def paths_paused(self) -> bool:
        """Whether blobs must wait a round trip for the answer to a rekey."""
        return self._paths.paused

    def join_blob(self, number: int) -> bytes:
        """Return the 2 048 bytes with which we join the path at its rendezvous relay."""
        return self._paths.join_blob(number, self._entropy)

    def open_join_blob(self, blob: bytes, expected: int | None) -> int:
        """Whose path a JOINED blob opens; raises JoinBlobError. See `PathTable`."""
        return self._paths.open_join_blob(blob, expected)

    def add_path(self, number: int, port: CellPort, level: int, now: float) -> None:
        """Use a path that is spliced: its cells go out through ``port``."""
        self._advance(now)
        self._paths.add(number, port, level, now)
        if self.state is State.STRANDED:
            self._move(Input.RESUMED)

    def path_lost(self, number: int, now: float) -> None:
        """Give up a path whose circuit died: what was on it goes out on another."""
        self._advance(now)
        path = self._paths.alive.get(number)
        if path is not None and self.state is not State.CLOSED:
            self._drop_path(path, Status.CLOSED)

    def resume(self, secrets: SessionSecrets, now: float) -> None:
        """Go on with the secrets of a new handshake; then `add_path(secrets.first_path, ...)`."""
        self._advance(now)
        if self.state is not State.STRANDED:
            raise LocalProtocolError("only a session without paths is resumed")
        self._paths.restart(secrets)
        self._outbox.forget_paths()
        self._rekey = self._new_rekey(now)
        self._begin(secrets)
        self._proof = None  # the resume key proved more than the device key could
        self._active = now
        self._build()

    def close(self, code: Status, now: float) -> None:
        """End the session; `pump` then sends CLOSE on every path."""
        self._advance(now)
        self._finish(code, by_peer=False)

    # time

    def pump(self, now: float) -> None:
        """Send what may go out now."""
        self._advance(now)
        if self.state is State.CLOSED:
            self._say_farewell()
            return
        paths = self._in_order()
        self._note_carrying(paths)
        if self.scheduling is not Scheduling.AGGREGATE:
            self._fill(paths[:1], paths[1:2], now)
        else:
            self._fill(paths, [], now)
        for path in self._paths.alive.values():
            self._send_due(path, now)
        if self._rekey.finish(self._paths.alive.values(), now):
            self._emit(Rekeyed(self._rekey.number))

    def _fill(self, paths: list[Path], spare: list[Path], now: float) -> None:
        redundant = self.scheduling is Scheduling.REDUNDANT and spare
        for path in paths:
            while path.free() > 0 and self._builder.has_payload(now):
                copy = spare[0] if redundant and _fits(path, spare[0]) else None
                if not self._builder.send(path, now, copy):
                    break

    def _send_due(self, path: Path, now: float) -> None:
        """Send what belongs to this path alone: its acknowledgement, probe or switch."""
        if path.port.room() <= 0:
            return
        warm = self._ping_at(path)
        if path.wants_ping or self._rekey.wants_switch(path) or now >= warm:
            path.wants_ping = path.wants_ping or now >= warm
            self._builder.send(path, now)
        elif path.ack_due() <= now:
            proof = self._builder.proof
            if proof is None or proof.arrived:
                self._builder.acknowledge(path, now)
            else:
                self._builder.send(path, now)

    def _say_farewell(self) -> None:
        code, self._farewell = self._farewell, None
        if code is None:
            return
        for path in self._paths.alive.values():
            if path.port.room() > 0:
                self._builder.farewell(path, Close(code))

    def tick(self, now: float) -> None:
        """Let time pass: suspicion, rekey, idleness, the end of a stranded session."""
        self._advance(now)
        if self.state is State.CLOSED:
            return
        if self.state is State.STRANDED:
            if now >= self._stranded_at + self._limits.resume_time:
                self._finish(Status.TIMEOUT, by_peer=False)
            return
        if now >= self._idle_at():
            self._finish(Status.IDLE, by_peer=False)
            return
        self._suspect(now)
        self._note_standby(now)
        if self._rekey.due(now) and self._in_order():
            self._start_rekey()

    def _idle_at(self) -> float:
        """Return when the session ends unused; open streams may be silent for ever."""
        return _NEVER if len(self._streams) else self._active + self._limits.idle_timeout

    def _suspect(self, now: float) -> None:
        for path in list(self._paths.alive.values()):
            if path.suspect and now >= path.progress + self._limits.dead_after:
                self._drop_path(path, Status.TIMEOUT)
            elif now >= path.suspect_at():
                path.suspect = True
                self._emit(PathSuspected(path.number))
        if any(not p.suspect and p.confirmed for p in self._paths.alive.values()):
            for path in self._paths.alive.values():
                if path.suspect:
                    for item in path.take_unmoved():
                        item.lost()

    def _start_rekey(self) -> None:
        first = self.next_path + NUMBERS_VOID
        self._rekey.start(first, self._entropy)

    def next_deadline(self) -> float:
        """When to call `tick` and `pump` again; infinity when the session is closed."""
        if self.state is State.CLOSED:
            return _NEVER
        if self.state is State.STRANDED:
            return self._stranded_at + self._limits.resume_time
        times = [self._idle_at(), self._datagrams.next_deadline()]
        if self._outbox.deadline > self._now:  # else it waits for room, and the port tells
            times.append(self._outbox.deadline)
        if self._role is Role.CALLER:
            # Whoever drives us learns of a need by asking, so one that is there needs no deadline.
            times += (at for at in (self._silent_at(), self._standby_at()) if at > self._now)
            if self._rekey.complete:
                times.append(self._rekey.deadline())
        for path in self._paths.alive.values():
            times.append(
                path.progress + self._limits.dead_after if path.suspect else path.suspect_at()
            )
            if path.port.room() > 0:  # else nothing can go out, and the port tells when it can
                times += (path.ack_due(), self._ping_at(path))
        return min(times)

    @property
    def verified(self) -> bool:
        """Callee: whether the caller proved its name; a caller is sure of its callee at once.

        An anonymous caller stays one, also when it resumes.
        """
        return self._role is Role.CALLER or (self._named and self._proof is None)


def _fits(path: Path, copy: Path) -> bool:
    return copy.free() > 0 and copy.port.cell_size == path.port.cell_size
