"""What a port raises (SPEC 10.1).

Apart from the ports: a command that only names an error need not load the protocol.
"""

from peerstream.node.protocol.wire.status import Status


class PortError(Exception):
    """Something outside of the node failed; the subclass says what."""


class UnreachableError(PortError):
    """No link to this relay came about: take another relay, or try again later."""


class QuestionError(PortError):
    """A relay did not answer a question whole and in time: ask another one."""


class SourceError(PortError):
    """The relay set could not be read: keep the views there are, and read again soon."""


class CommitError(PortError):
    """The chain did not take a commitment: see that the account has funds; it is tried again."""


class StorageError(PortError):
    """What must survive a restart could not be kept: do not do what depends on it."""


class StreamError(PortError):
    """A stream came to an end that its peer did not write."""


class StreamResetError(StreamError):
    """The peer gave the stream up; `status` says why. What was not yet received is lost."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"the stream was reset: {status.name}")
        self.status = status


class DatagramTooLargeError(StreamError):
    """A datagram has at most DATAGRAM_MAX bytes: send less at once, or use the stream."""


class SessionEndedError(StreamError):
    """The session under the stream is over; `status` says why. Dial again."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"the session ended: {status.name}")
        self.status = status
