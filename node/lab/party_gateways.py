"""Lets local programs of a party out and in, as its daemon would (SPEC 16, 19)."""

from functools import partial
from typing import TYPE_CHECKING

import trio

from peerstream.identity.address import Address
from peerstream.node.gateway.exposing import ExposedService
from peerstream.node.gateway.front import FrontSettings, serve_front
from peerstream.node.gateway.localhost import LocalhostSettings, serve_localhost
from peerstream.node.gateway.service_spec import ServiceSpec
from peerstream.node.lab.channel import Channel, Message
from peerstream.node.library.destinations import Destinations
from peerstream.node.library.node import Node
from peerstream.node.roles.errors import IdentityRequiredError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class PartyGateways:
    """What a party does for its local programs. requests: what its owner may ask for."""

    def __init__(self, channel: Channel, node: Node, nursery: trio.Nursery) -> None:
        self._channel = channel
        self._node = node
        self._nursery = nursery
        self.requests: dict[str, Callable[[Message], Awaitable[None]]] = {
            "expose": self._expose,
            "withdraw": self._withdraw,
            "let in": self._let_in,
        }

    async def _expose(self, message: Message) -> None:
        """message: service, a `[[service]]` of SPEC 19.1."""
        identity = self._node.identity
        if identity is None:
            raise IdentityRequiredError("to expose")
        spec = ServiceSpec.of_table(message["service"])
        exposed = ExposedService(spec, identity.account, _is_contact)
        await self._node.offer(spec.name, exposed.offer())
        await self._channel.tell({"event": "exposed"})

    async def _withdraw(self, message: Message) -> None:
        """message: name."""
        self._node.withdraw(message["name"])
        await self._channel.tell({"event": "withdrawn"})

    async def _let_in(self, message: Message) -> None:
        """message: host, level. Opens a front and a gateway of pages, and tells their ports."""
        destinations = Destinations(self._node, level=message["level"])
        listeners = [
            listener
            for _ in range(2)
            for listener in await trio.open_tcp_listeners(0, host=message["host"])
        ]
        ways = (
            partial(serve_front, listeners[0], destinations.dial, FrontSettings()),
            partial(serve_localhost, listeners[1], destinations.dial, LocalhostSettings()),
        )
        for way in ways:
            await self._nursery.start(way)
        socks, pages = (listener.socket.getsockname()[1] for listener in listeners)
        await self._channel.tell({"event": "lets in", "socks": socks, "pages": pages})


def _is_contact(_caller: Address) -> bool:
    return False
