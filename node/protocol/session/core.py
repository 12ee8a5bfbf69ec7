"""The receiving side of a session: what each frame does (SPEC 5.9)."""

from collections.abc import Callable
from typing import Any

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.datagram import DatagramReceiver
from peerstream.node.protocol.session.errors import (
    ForgedCellError,
    RekeyError,
    SessionError,
    UnprovenCallerError,
)
from peerstream.node.protocol.session.events import (
    CallerVerified,
    ContactReceived,
    Event,
    PathClosed,
    PathConfirmed,
    PathOffered,
    SessionClosed,
    Stranded,
    TicketsReceived,
)
from peerstream.node.protocol.session.frames import (
    Ack,
    AddPath,
    Auth,
    Close,
    Contact,
    Credit,
    Data,
    Datagram,
    Frame,
    Open,
    Opened,
    PathStatus,
    Ping,
    Rekey1,
    Rekey2,
    Rekey3,
    Reset,
    Switch,
    Tickets,
    decode_cell,
)
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.outbox import Outbox
from peerstream.node.protocol.session.path import Path
from peerstream.node.protocol.session.paths import PathTable, Role
from peerstream.node.protocol.session.proof import equal_proofs
from peerstream.node.protocol.session.rekey import Rekey
from peerstream.node.protocol.session.schedule import SessionSecrets
from peerstream.node.protocol.session.state import TRANSITIONS, Input, State
from peerstream.node.protocol.session.streams import Streams
from peerstream.node.protocol.wire.status import Status

DATAGRAMS_UNREAD_MAX = 1_024  # events nobody fetched; later datagrams are dropped
_QUIET = (Ack, Close)
_ACTIVE = frozenset((Data, Open, Datagram))


class SessionCore:
    """State, paths and streams of one side, and the effect of every frame."""

    def __init__(
        self, role: Role, secrets: SessionSecrets, terms: SessionTerms, *, now: float
    ) -> None:
        self._role = role
        self._limits = terms.limits
        self._now = now
        self._events: list[Event] = []
        self._datagrams_unread = 0
        self._outbox = Outbox()
        self._paths = PathTable(role, secrets, terms.level)
        self._streams = Streams(terms, self._outbox, self._emit, caller=role is Role.CALLER)
        self._receiver = DatagramReceiver()
        self._active = now  # when the application last used the session
        self._rekey = self._new_rekey(now)
        self._settled_secrets = (secrets.session_id, secrets.resume_key)
        self._begin(secrets)
        self._named = secrets.caller_proof is not None
        proving = role is Role.CALLEE and self._named
        self.state = State.PROVING if proving else State.OPEN
        self._farewell: Status | None = None  # CLOSE that must still go out
        self._stranded_at = now
        self.failure: SessionError | None = None
        self._handlers = self._frame_handlers()

    def _begin(self, secrets: SessionSecrets) -> None:
        self.session_id = secrets.session_id
        self._resume_key = secrets.resume_key
        self._settled = False  # a cell showed that the peer has these secrets, too
        self._proof = secrets.caller_proof

    def _new_rekey(self, now: float) -> Rekey:
        chains = (self._paths.outgoing, self._paths.incoming)
        return Rekey(chains, self, initiator=self._role is Role.CALLER, now=now)

    def _frame_handlers(self) -> dict[type, Callable[[Any], None]]:
        return {
            Data: self._streams.data_received,
            Ack: self._ack_received,
            Credit: self._streams.credit_received,
            Datagram: self._datagram_received,
            Open: self._streams.open_received,
            Opened: self._streams.opened_received,
            Reset: self._streams.reset_received,
            Ping: lambda _: None,
            Auth: lambda _: None,
            AddPath: self._offer_received,
            PathStatus: self._path_status_received,
            Tickets: lambda frame: self._emit(TicketsReceived(frame.tickets)),
            Contact: lambda frame: self._emit(ContactReceived(frame.body)),
            Rekey1: self._rekey.receive1,
            Rekey2: self._rekey2_received,
            Rekey3: self._rekey.receive3,
            Close: self._close_received,
        }

    # input

    def receive_cell(self, number: int, cell_buffer: memoryview, now: float) -> None:
        """Open a cell that came on a path and act on its frames.

        Nothing is raised for what a relay or the peer does: a cell that does not open closes its
        path, a breach closes the session; both are events, and `failure` names the breach.
        """
        self._advance(now)
        path = self._paths.alive.get(number)
        if path is None or self.state is State.CLOSED:
            return
        try:
            text = path.opener.open(cell_buffer)
        except ForgedCellError:
            self._drop_path(path, Status.AEAD)
            return
        if not self._settled:
            self._settled = True
            self._settled_secrets = (self.session_id, self._resume_key)
        try:
            self._take_in(path, text, now)
        except SessionError as error:
            self.failure = error
            self._finish(error.status, by_peer=False)

    def _take_in(self, path: Path, text: bytes, now: float) -> None:
        frames = decode_cell(text)
        if self.state is State.PROVING:
            self._check_proof(frames)
        self._rekey.bytes += len(text)
        quiet = all(isinstance(frame, _QUIET) for frame in frames)
        if not _ACTIVE.isdisjoint(map(type, frames)):
            self._active = now
        at_once = not path.confirmed or any(type(frame) is Ping for frame in frames)
        path.note_received(now, len(text), eliciting=not quiet, at_once=at_once)
        if not path.confirmed:
            path.confirmed = True
            self._emit(PathConfirmed(path.number))
        for frame in frames:
            if type(frame) is Switch:
                self._switch_received(frame, path, last=frame is frames[-1])
            else:
                self._handlers[type(frame)](frame)
            if self.state is State.CLOSED:
                return

    def _advance(self, now: float) -> None:
        if now < self._now:
            raise LocalProtocolError("the clock went backwards")
        self._now = self._streams.now = now

    # frames

    def _check_proof(self, frames: list[Frame]) -> None:
        first = frames[0] if frames else None
        if not isinstance(first, Auth) or self._proof is None:
            raise UnprovenCallerError("the first cell carries no proof")
        if not equal_proofs(first.proof, self._proof):
            raise UnprovenCallerError("the proof is not that of the device key shown")
        self._proof = None
        self._move(Input.PROVED)
        self._emit(CallerVerified())

    def _ack_received(self, ack: Ack) -> None:
        path = self._paths.alive.get(ack.path)
        if path is None:
            return
        for items in path.acknowledge(ack, self._now):
            for item in items:
                item.acknowledged()

    def _datagram_received(self, part: Datagram) -> None:
        datagram = self._receiver.insert(part, self._now)
        if datagram is not None and self._datagrams_unread < DATAGRAMS_UNREAD_MAX:
            self._datagrams_unread += 1
            self._emit(datagram)

    def _offer_received(self, offer: AddPath) -> None:
        if self._paths.offered(offer):
            self._emit(PathOffered(*offer))

    def _path_status_received(self, frame: PathStatus) -> None:
        path = self._paths.alive.get(frame.path)
        if path is not None:
            self._drop_path(path, frame.status, tell=False)
        elif self._role is Role.CALLER and frame.path % 2 == 0:
            self._emit(PathClosed(frame.path, frame.status))

    def _rekey2_received(self, frame: Rekey2) -> None:
        self._rekey.receive2(frame)
        self._paths.paused = self._rekey.under_way

    def push_rekey(self, frame: Frame) -> None:
        """As `RekeyHost`."""
        self._outbox.push(frame)

    def void_paths(self, first_path: int) -> None:
        """As `RekeyHost`."""
        self._paths.void_below(first_path)
        self._paths.paused = self._role is Role.CALLER
        for path in list(self._paths.alive.values()):
            if not path.confirmed:
                self._drop_path(path, Status.CLOSED)

    def drop_unswitched(self, rekey: int) -> None:
        """As `RekeyHost`."""
        for path in list(self._paths.alive.values()):
            if path.number < self._rekey.first_path and path.rekeyed_in != rekey:
                self._drop_path(path, Status.REKEY_FAILED)

    def _switch_received(self, frame: Switch, path: Path, *, last: bool) -> None:
        if path.number not in self._paths.alive:
            return  # an earlier frame of the same cell ended it
        try:
            self._rekey.receive_switch(frame, path, last=last)
        except RekeyError:
            self._drop_path(path, Status.REKEY_FAILED)

    def _close_received(self, frame: Close) -> None:
        self._finish(frame.code, by_peer=True)

    # paths and state

    def _drop_path(self, path: Path, status: Status, *, tell: bool = True) -> None:
        """Bury a dead path: what is not acknowledged goes out on another."""
        del self._paths.alive[path.number]
        self._emit(PathClosed(path.number, status))
        for item in path.take_unmoved():
            item.lost()
        if tell and self.state is not State.CLOSED:
            self._outbox.push(path.final_ack(self._now), reliable=False)
            self._outbox.push(PathStatus(path.number, status))
        if not self._paths.alive and (self.state, Input.PATHS_LOST) in TRANSITIONS:
            self._strand()

    def _strand(self) -> None:
        self._stranded_at = self._now
        self._move(Input.PATHS_LOST)
        if self.state is State.CLOSED:
            self._emit(SessionClosed(Status.AUTH_FAILED, by_peer=False))
        else:
            self._emit(Stranded())

    def _finish(self, code: Status, *, by_peer: bool) -> None:
        if self.state is not State.CLOSED:
            self._move(Input.CLOSE)
            self._emit(SessionClosed(code, by_peer))
            self._farewell = None if by_peer else code

    def _move(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.value} in state {self.state.value}") from None

    def _emit(self, event: Event) -> None:
        self._events.append(event)

    def events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        self._datagrams_unread = 0
        return events
