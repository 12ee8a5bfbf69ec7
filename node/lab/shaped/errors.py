"""What can go wrong when machines are set apart (SPEC 14.7)."""

from peerstream.node.lab.errors import LabError


class NotRootError(LabError):
    """Only root may make network namespaces: run the command with sudo."""


class NamespaceError(LabError):
    """The kernel made no network namespace: it needs TUN devices and Debian's iproute2."""
