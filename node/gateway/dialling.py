"""What a way into the network needs of a node: one function that dials (SPEC 16.2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from peerstream.identity.errors import IdentityError
from peerstream.node.gateway.errors import GatewayError
from peerstream.node.gateway.names import Destination
from peerstream.node.ports import ByteStream, PortError
from peerstream.node.protocol.errors import ProtocolError
from peerstream.node.roles.errors import RoleError

# what dialling may raise, and nobody's bug
DIAL_ERRORS: Final = (
    GatewayError,
    RoleError,
    IdentityError,
    ProtocolError,
    PortError,
    trio.TooSlowError,
)


@dataclass(frozen=True, slots=True)
class DialOptions:
    """How to dial. Streams that differ in any of it share neither session nor circuit.

    isolation: what keeps streams apart besides, any bytes; a program's user name may be in it, so
    it is never shown. level: 1 or 2, None for the node's own. anonymous: do not say who calls.
    """

    isolation: bytes = field(default=b"", repr=False)
    level: int | None = None
    anonymous: bool = False


Dial = Callable[[Destination, DialOptions], Awaitable[ByteStream]]
"""Opens a stream to a destination that has a service.

Raises DestinationError for a name that leads nowhere, and others of DIAL_ERRORS, each as a subclass
that says what to do.
"""
