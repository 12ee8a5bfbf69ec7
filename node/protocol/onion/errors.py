"""What a stranger's SETUP or a path's REPLY can be wrong in, one class per cause (SPEC 3)."""

from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.wire.status import Status


class KemError(RemoteProtocolError):
    """A key or ciphertext that no honest X-Wing makes: wrong size, unreduced, or low order."""


class SetupError(RemoteProtocolError):
    """A SETUP was not accepted: close its circuit id with CLOSED and count it here, by class.

    The neighbour learns no cause: whoever sent it either holds no key of ours or replays, and must
    not learn which.
    """


class SetupMalformedError(SetupError):
    """Not 16 384 bytes, or reserved header bytes set: no SETUP of a known version."""


class SetupVersionError(SetupError):
    """The header names a version we do not speak: one side needs an update."""


class SetupKeyError(SetupError):
    """The key id is none of our current onion keys: stale directory, or not meant for us."""


class SetupForgedError(SetupError):
    """The body does not open: some bit changed on the way, or the sender guessed."""


class SetupReplayedError(SetupError):
    """The same SETUP was accepted before: somebody recorded it and plays it again."""


class SetupExpiredError(SetupError):
    """Made for another time: a clock more than ten minutes wrong, or an old recording."""


class SetupInstructionError(SetupError):
    """It opened, and the sender's instructions are no instructions: a broken client."""


class SetupLoopError(SetupError):
    """The next relay is this relay: a path that exists only to burn our time."""


class ReplayFilterFullError(SetupError):
    """More SETUPs in ten minutes than we keep tags for: flooded. Say BUSY until the bucket ends."""


class ReplyError(RemoteProtocolError):
    """A circuit was not opened. `hop` counts from 0 and is the last one that can be blamed."""

    def __init__(self, hop: int, reason: str) -> None:
        super().__init__(f"hop {hop}: {reason}")
        self.hop = hop


class CircuitRefusedError(ReplyError):
    """Hop `hop` proved its key and refused with `status`; `message` may say more (a puzzle).

    Try another path; count it against no one before `hop`.
    """

    def __init__(self, hop: int, status: Status, message: bytes) -> None:
        super().__init__(hop, f"refused with {status.name}")
        self.status = status
        self.message = message


class BadReplyError(ReplyError):
    """The layer of hop `hop` does not verify.

    The hops before it are proved alive, the fault is at `hop` or on its link to `hop` - 1: count
    it against that pair, since a changed byte on the way reads the same.
    """
