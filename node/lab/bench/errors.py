"""What can go wrong while networks are measured (docs/performance.md)."""

from peerstream.node.lab.errors import LabError


class TorMissingError(LabError):
    """Tor is not installed: run `apt-get install tor`, or leave --against tor away."""


class TorStartError(LabError):
    """The private Tor network was not ready in time: end other programs that load the machine."""


class NoFreePortsError(LabError):
    """Too few TCP ports are free on 127.0.0.1: end other programs that listen there."""


class StreamRefusedError(OSError):
    """The SOCKS port refused a stream, or said something that is no SOCKS5: see the node's log."""
