"""What can go wrong with a call, an introduction or a publication (SPEC 12)."""

from peerstream.node.protocol.errors import LocalProtocolError, RemoteProtocolError


class CallError(RemoteProtocolError):
    """A call came to nothing; the subclass says why."""


class NoAnswerError(CallError):
    """Every introduction point was tried and the callee did not join: it is offline or flooded.

    `reasons` tells what each point answered. Fetch the descriptor again, then try later.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons) or "no introduction point is left")
        self.reasons = reasons


class LevelUnavailableError(CallError):
    """The callee cannot be called at this level: it has no meeting points. Call at level 2."""


class CallStateError(LocalProtocolError):
    """The call cannot do that in its present state."""


class PointUnknownError(LocalProtocolError):
    """That relay is no introduction point of the descriptor, or was tried already."""


class MeetingPointError(RemoteProtocolError):
    """A call at level 1 names another relay than the meeting point that it came through.

    Whoever made it wants a relay of its choice to see our guard. Stay silent.
    """
