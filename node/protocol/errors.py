"""Whose fault it is: the two roots of every protocol error (SPEC 0)."""


class ProtocolError(Exception):
    """Something broke the protocol; catch one of the two subclasses instead."""


class LocalProtocolError(ProtocolError):
    """We called the machine in a state in which it cannot do that: a bug of ours, let it crash."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol: close what it spoke on, count it, go on."""


class MalformedError(RemoteProtocolError):
    """The bytes are no encoding of anything: wrong size, field out of range, dirty padding."""


class VersionError(RemoteProtocolError):
    """The other side speaks only versions that we do not: one of the two needs an update."""
