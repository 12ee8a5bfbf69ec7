"""What can go wrong on a link or a circuit, one class for each cause (SPEC 4)."""

from peerstream.node.protocol.errors import LocalProtocolError, RemoteProtocolError
from peerstream.node.protocol.wire.status import Status


class LinkBreachError(RemoteProtocolError):
    """A neighbour broke the rules of the link itself: close the link, its circuits end."""


class HelloMissingError(LinkBreachError):
    """The first frame was not HELLO: the other side is no link of ours. Close."""


class HelloRepeatedError(LinkBreachError):
    """A second HELLO: versions are agreed once. Close."""


class CircuitIdError(LinkBreachError):
    """A SETUP with an id of our half, with zero, or not above the last one. Close."""


class UnknownCircuitError(LinkBreachError):
    """A frame for a circuit that neither side ever opened. Close."""


class UnexpectedSetupError(LinkBreachError):
    """A SETUP to a node that relays nothing. Close."""


class UnexpectedReplyError(LinkBreachError):
    """A REPLY on a circuit that the other side opened itself. Close."""


class UnexpectedPongError(LinkBreachError):
    """A PONG that answers no PING of ours. Close."""


class BadSetupsError(LinkBreachError):
    """Too many SETUPs of one client did not open: a guess, a replay or an old directory. Close."""


class LinkStuckError(LinkBreachError):
    """The neighbour makes us answer but does not read the answers. Close."""


class NeighbourSilentError(LinkBreachError):
    """Cells are outstanding and two PINGs were not answered: it is gone. Close and dial again."""


class CircuitBreachError(RemoteProtocolError):
    """Somebody along one circuit broke the rules: destroy that circuit, the link goes on."""

    status = Status.PROTO


class CellSizeError(CircuitBreachError):
    """A cell of another class than its circuit's. The circuit is destroyed."""


class CreditExceededError(CircuitBreachError):
    """More cells than were granted: a sender without flow control. The circuit is destroyed."""

    status = Status.FLOW


class UnexpectedCellError(CircuitBreachError):
    """A cell that is for nobody: the last hop is not spliced. The circuit is destroyed."""


class AnswersUnreadError(CircuitBreachError):
    """Commands keep coming but their answers are not read. The circuit is destroyed."""

    status = Status.LIMIT


class MemoryNeededError(CircuitBreachError):
    """The relay holds too much, and this circuit adds most or last to it. It is destroyed."""

    status = Status.LIMIT


class CircuitIdleError(CircuitBreachError):
    """The relay has all the circuits that it may have; this one was idle longest and makes room."""

    status = Status.LIMIT


class CommandError(CircuitBreachError):
    """A command that this hop does not know, or whose body has another shape."""


class RegistrationSignatureError(RemoteProtocolError):
    """Somebody registers an introduction key that it does not hold, or replays a registration."""


class CircuitTimeoutError(RemoteProtocolError):
    """No REPLY came in time: some hop is silent. Try another path; count it against the guard."""


class CircuitDestroyedError(RemoteProtocolError):
    """The first hop gave the circuit up before a REPLY. Try another path; count it against it."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"destroyed with {status.name}")
        self.status = status


class LinkFullError(LocalProtocolError):
    """No more circuits fit on this link: ask `can_open` first."""


class CircuitStateError(LocalProtocolError):
    """The circuit cannot do that in its present state."""
