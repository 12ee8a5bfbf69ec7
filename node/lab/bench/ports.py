"""Ports for servers that must know theirs before they listen (docs/performance.md)."""

import socket
from typing import Final

from peerstream.node.lab.bench.errors import NoFreePortsError

_HOST: Final = "127.0.0.1"
_FIRST: Final = 20_000  # below those that the kernel gives to outgoing connections
_LAST: Final = 32_000


def free_ports(number: int) -> list[int]:
    """Return so many ports of 127.0.0.1 that nobody listens on. Raises NoFreePortsError."""
    found: list[int] = []
    for port in range(_FIRST, _LAST):
        if len(found) == number:
            break
        if _is_free(port):
            found.append(port)
    if len(found) < number:
        raise NoFreePortsError(f"{len(found)} of {number}")
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
