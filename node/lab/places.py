"""Where the processes of a private network live on the loopback interface (SPEC 14.3).

All of 127.0.0.0/8 is this machine. Each process has a /16 of its own, as the rules on subnets want,
so that who connects to whom can be told by the addresses.
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from peerstream.node.protocol.directory.subnets import Endpoint

RELAYS_MAX: Final = 61  # one operator account each; the deployer and two users have the others
CALLER: Final = "127.201.0.1"
CALLEE: Final = "127.202.0.1"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a network: its first octet, and the port of its relays.

    port: None takes a free one for each relay; machines of their own (14.7) may all have the same.
    """

    octet: int = 127
    port: int | None = None

    def relay(self, number: int) -> Endpoint:
        """Return where a relay listens; the first one has number 1."""
        address = f"{self.octet}.{number}.0.1"
        if self.port is None:
            return free_endpoint(address)
        return Endpoint(IPv4Address(address), self.port)

    @property
    def caller(self) -> str:
        """Where the caller dials from."""
        return f"{self.octet}.201.0.1"

    @property
    def callee(self) -> str:
        """Where the callee dials from."""
        return f"{self.octet}.202.0.1"


LOOPBACK: Final = Addresses()


def relay_address(number: int) -> str:
    """Return the address of a relay; the first one has number 1."""
    return f"127.{number}.0.1"


def free_endpoint(address: str) -> Endpoint:
    """Return an endpoint with a port that nobody listens on.

    Two private networks share the addresses, and no port.
    """
    with socket.socket() as probe:
        probe.bind((address, 0))
        return Endpoint(IPv4Address(address), probe.getsockname()[1])
