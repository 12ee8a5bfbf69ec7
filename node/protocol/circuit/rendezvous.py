"""Two circuits with one cookie become one path (SPEC 4.11)."""

from collections import deque
from typing import TYPE_CHECKING, Final

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.bodies import Joining, Listening
    from peerstream.node.protocol.circuit.relay_circuit import RelayCircuit

COOKIES_MAX: Final = 100_000
REJOIN_SECONDS: Final = 30.0
LOSSES_MAX: Final = 3  # in LOSSES_SECONDS: more is no accident but a probe for the other's guard
LOSSES_SECONDS: Final = 600.0


class _Meeting:
    """One cookie: the circuit that waits for it, and the one that joined."""

    __slots__ = ("cookie", "expires_at", "joined", "losses", "waiting")

    def __init__(self, cookie: bytes, waiting: "RelayCircuit", expires_at: float) -> None:
        self.cookie = cookie
        self.waiting = waiting
        self.joined: RelayCircuit | None = None
        self.expires_at = expires_at
        self.losses: deque[float] = deque(maxlen=LOSSES_MAX)

    def other(self, circuit: "RelayCircuit") -> "RelayCircuit | None":
        """Return the half that `circuit` is not."""
        return self.joined if circuit is self.waiting else self.waiting

    def may_rejoin(self, now: float) -> bool:
        """Count a loss; False when there were too many lately."""
        recent = [at for at in self.losses if now - at < LOSSES_SECONDS]
        self.losses.append(now)
        return len(recent) < LOSSES_MAX


class Rendezvous:
    """The cookies of this relay."""

    def __init__(self) -> None:
        self._cookies: dict[bytes, _Meeting] = {}
        self._meetings: dict[RelayCircuit, _Meeting] = {}

    def __len__(self) -> int:
        return len(self._cookies)

    def listen(self, circuit: "RelayCircuit", listening: "Listening", now: float) -> Status:
        """Let `circuit` wait: OK, EXISTS, or LIMIT when the table is full."""
        if listening.cookie in self._cookies:
            return Status.EXISTS
        if len(self._cookies) >= COOKIES_MAX:
            return Status.LIMIT
        meeting = _Meeting(listening.cookie, circuit, now + listening.seconds)
        self._cookies[listening.cookie] = meeting
        self._meetings[circuit] = meeting
        return Status.OK

    def withdraw(self, circuit: "RelayCircuit") -> None:
        """Take back a `listen` that nobody was told of."""
        self._forget(self._meetings[circuit])

    def join(self, circuit: "RelayCircuit", joining: "Joining") -> Status:
        """Splice `circuit` with the one that waits, which gets JOINED: OK or why not.

        The order is fixed: JOINED to the listener, the answer to the joiner (by whoever called),
        then cells. No cell can pass earlier, since both happen within one call.
        """
        meeting = self._cookies.get(joining.cookie)
        if meeting is None:
            return Status.NOT_FOUND
        if meeting.joined is not None:
            return Status.EXISTS
        waiting = meeting.waiting
        if (waiting.cell_class, waiting.real_time) != (circuit.cell_class, circuit.real_time):
            return Status.CLASS
        if not waiting.own_room_for(len(joining.blob)):
            return Status.BUSY
        meeting.joined = circuit
        self._meetings[circuit] = meeting
        waiting.send_control(Command.JOINED, joining.blob)
        waiting.splice(circuit)
        circuit.splice(waiting)
        return Status.OK

    def circuit_closed(self, circuit: "RelayCircuit", now: float) -> None:
        """Tell the other half, and keep the cookie for somebody to take the lost place."""
        meeting = self._meetings.pop(circuit, None)
        if meeting is None:
            return
        other = meeting.other(circuit)
        if other is None:
            del self._cookies[meeting.cookie]
        elif meeting.may_rejoin(now):
            meeting.waiting, meeting.joined = other, None
            meeting.expires_at = now + REJOIN_SECONDS
            other.part()
        else:
            self._forget(meeting)
            other.close()

    def finish(self, circuit: "RelayCircuit") -> None:
        """End both halves on purpose: nobody is to come back."""
        meeting = self._meetings.get(circuit)
        if meeting is None:
            return
        self._forget(meeting)
        other = meeting.other(circuit)
        if other is not None:
            other.close()

    def sweep(self, now: float) -> None:
        """Close circuits whose other half did not come in time."""
        late = [
            meeting
            for meeting in self._cookies.values()
            if meeting.joined is None and now >= meeting.expires_at
        ]
        for meeting in late:
            self._forget(meeting)
            meeting.waiting.close(Status.TIMEOUT)

    def _forget(self, meeting: _Meeting) -> None:
        del self._cookies[meeting.cookie]
        self._meetings.pop(meeting.waiting, None)
        if meeting.joined is not None:
            self._meetings.pop(meeting.joined, None)
