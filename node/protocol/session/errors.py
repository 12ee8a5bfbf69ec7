"""What can go wrong between the two ends of a session, one class per cause (SPEC 5.10)."""

from typing import ClassVar

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError, RemoteProtocolError
from peerstream.node.protocol.wire.status import Status


class HandshakeError(RemoteProtocolError):
    """A handshake did not succeed; ``status`` is what the other side may be told."""

    status: ClassVar[Status] = Status.PROTO


class MalformedMessageError(HandshakeError, MalformedError):
    """A handshake message is no encoding of anything: drop it, its sender is not one of ours."""


class SuiteError(HandshakeError):
    """The message names a version or suite that we do not speak: one side needs an update."""

    status = Status.VERSION


class UnknownHandshakeKeyError(HandshakeError):
    """No handshake key has that id on that circuit: the caller's descriptor is too old."""

    status = Status.KEY


class ReplayedMessageError(HandshakeError):
    """The same message 1 was opened before: somebody in between replays it; stay silent."""

    status = Status.REPLAY


class BadMessageError(HandshakeError):
    """The AEAD refused: other network, address, key or circuit, or the message was changed."""

    status = Status.AEAD


class WrongBucketError(HandshakeError):
    """Message 1 was made more than one bucket away from our clock: one of the clocks is wrong."""

    status = Status.EXPIRED


class DowngradeError(HandshakeError):
    """The other side asks for a weaker level than ours: call again at the stricter one."""

    status = Status.LEVEL


class UnknownRendezvousError(HandshakeError):
    """The rendezvous relay is in none of our views: it may be the caller's own machine."""

    status = Status.NO_ROUTE


class UnknownEpochError(HandshakeError):
    """The view is not of the epoch before, this one or the next: fetch a newer view."""

    status = Status.EXPIRED


class ViewMismatchError(HandshakeError):
    """Same epoch, other relay set: one of the two is being lied to; tell the user, do not retry."""

    status = Status.VIEW_MISMATCH


class UnknownServiceError(HandshakeError):
    """Nothing is offered under that name at this address."""

    status = Status.NO_SERVICE


class CallerRequiredError(HandshakeError):
    """The service admits no anonymous callers: call again with an identity."""

    status = Status.AUTH_REQUIRED


class BadCallerProofError(HandshakeError):
    """The caller does not hold the device key it shows: somebody else's certificates."""

    status = Status.AUTH_FAILED


class CallerCredentialsError(HandshakeError):
    """The caller's certificates do not verify: expired, another network's, or forged."""

    status = Status.AUTH_FAILED


class CallerRevokedError(HandshakeError):
    """The account took back what the caller shows: it was stolen or replaced."""

    status = Status.REVOKED


class ResumeRefusedError(HandshakeError):
    """The session to resume is unknown, gone or not the caller's: dial anew."""

    status = Status.NOT_FOUND


class CallRefusedError(HandshakeError):
    """The callee answered with a refusal; ``refusal`` says which."""

    def __init__(self, refusal: Status) -> None:
        super().__init__(f"the callee refused: {refusal.name}")
        self.refusal = refusal


class SessionError(RemoteProtocolError):
    """The peer broke a rule inside a session; ``status`` is what the session closes with."""

    status: ClassVar[Status] = Status.PROTO


class ForgedCellError(SessionError):
    """A cell does not open: a relay changed, dropped or reordered cells. The path is closed."""

    status = Status.AEAD


class MalformedFrameError(SessionError, MalformedError):
    """A frame in an authentic cell is out of form: the peer's program is wrong."""


class FlowError(SessionError):
    """The peer sent more than we gave it credit for, or piled up fragments."""

    status = Status.FLOW


class FinalOffsetError(SessionError):
    """The peer names two ends of one stream, or sends past its end."""


class StreamNumberError(SessionError):
    """The peer used a stream number of ours, an absurd one, or a stream that was not opened."""


class AcknowledgementError(SessionError):
    """The peer acknowledges cells that were never sent: an attempt to inflate our window."""


class PathNumberError(SessionError):
    """The peer names a path out of order, of the wrong parity or too far ahead."""


class PathLevelError(SessionError):
    """The peer offers a path of a weaker level than the session's."""

    status = Status.LEVEL


class RekeyError(SessionError):
    """A rekey step came out of turn, or switched to a secret that we do not have."""

    status = Status.REKEY_FAILED


class UnprovenCallerError(SessionError):
    """The first cell of a caller that named itself does not carry its proof."""

    status = Status.AUTH_FAILED


class ExcessError(SessionError):
    """The peer makes us queue more answers than it reads: a flood."""

    status = Status.LIMIT


class PathsPausedError(LocalProtocolError):
    """A rekey is under way, or overtook this path: offer another one a round trip later."""


class JoinBlobError(RemoteProtocolError):
    """What came with JOINED opens under no path that we expect: another party joined there."""
