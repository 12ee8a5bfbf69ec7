"""What a session tells the one who drives it (SPEC 5.9)."""

from dataclasses import dataclass

from peerstream.node.protocol.wire.status import Status


@dataclass(frozen=True, slots=True)
class CallerVerified:
    """The caller's proof is valid: from here on the session is verified."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream to a service: `accept_stream` or `reset` it."""

    stream: int
    service: str


@dataclass(frozen=True, slots=True)
class StreamAccepted:
    """The peer's service took the stream that we opened."""

    stream: int


@dataclass(frozen=True, slots=True)
class Readable:
    """`receive` has bytes; told once until everything was taken."""

    stream: int


@dataclass(frozen=True, slots=True)
class Writable:
    """`send` takes bytes again after it took fewer than it was given."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """Every byte before the peer's authentic end was received; our half may go on."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer gave the stream up; bytes not yet taken are gone."""

    stream: int
    code: Status


@dataclass(frozen=True, slots=True)
class SendingStopped:
    """The peer takes nothing more of a stream; what it sent, and its end, are there to be taken."""

    stream: int
    code: Status


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """A whole datagram."""

    flow: int
    frame: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PathOffered:
    """The caller listens at another rendezvous relay: join there with `join_blob(path)`."""

    path: int
    relay_id: bytes
    cookie: bytes
    cell_class: int
    level: int


@dataclass(frozen=True, slots=True)
class PathConfirmed:
    """A valid cell came on the path: it carries data now."""

    path: int


@dataclass(frozen=True, slots=True)
class PathSuspected:
    """No acknowledgement for too long; its frames went out elsewhere if there is an elsewhere."""

    path: int


@dataclass(frozen=True, slots=True)
class PathClosed:
    """The path is gone: close its circuit; nothing was lost if another is or comes up."""

    path: int
    status: Status


@dataclass(frozen=True, slots=True)
class ContactReceived:
    """The peer sent a contact secret."""

    body: bytes


@dataclass(frozen=True, slots=True)
class TicketsReceived:
    """The peer gave tickets for later calls."""

    tickets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """A rekey is complete on every path: earlier secrets are gone."""

    rekey: int


@dataclass(frozen=True, slots=True)
class Stranded:
    """All paths are dead; `resume` within ten minutes or lose the session."""


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The session is over; ``by_peer`` when it was the peer that said so."""

    code: Status
    by_peer: bool


Event = (
    CallerVerified | StreamOpened | StreamAccepted | Readable | Writable | StreamEnded
    | StreamReset | SendingStopped | DatagramReceived | PathOffered | PathConfirmed | PathSuspected
    | PathClosed | ContactReceived | TicketsReceived | Rekeyed | Stranded | SessionClosed
)  # fmt: skip
