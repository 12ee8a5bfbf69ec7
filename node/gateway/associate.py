"""UDP ASSOCIATE: datagrams of a local program, to names of the network (RFC 1928 7; SPEC 16.6)."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
import trio

from peerstream.node.gateway.carrying import PIECE, Local, send_all
from peerstream.node.gateway.errors import DestinationError
from peerstream.node.gateway.flows import UDP_MAX, Flows
from peerstream.node.gateway.names import Destination, parse_destination
from peerstream.node.gateway.requests import Dialogue
from peerstream.node.ports import ByteStream
from peerstream.node.roles.tasks import bare_errors

HOST: Final = "127.0.0.1"
_BY_NAME: Final = 3
_log = structlog.get_logger("peerstream.associate")

Open = Callable[[Destination], Awaitable[ByteStream]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a datagram goes: `raw` is address type, address and port as the program wrote them."""

    raw: bytes
    destination: Destination

    def header(self) -> bytes:
        """Return the header of a datagram that comes from there."""
        return b"\0\0\0" + self.raw


def parse_datagram(data: bytes) -> tuple[Place, bytes] | None:
    """Return where a datagram goes and what is in it; None for one that leads nowhere.

    Those are fragments, addresses in numbers, foreign names, and what is cut short: nobody can be
    told, so they are lost.
    """
    if len(data) < 5 or data[:4] != bytes([0, 0, 0, _BY_NAME]):
        return None
    end = 5 + data[4] + 2
    if len(data) < end:
        return None
    host = data[5 : end - 2].decode("utf-8", "surrogateescape")
    try:
        port = int.from_bytes(data[end - 2 : end], "big")
        destination = parse_destination(host).at_port(port)
    except DestinationError:
        return None
    return Place(data[3:end], destination), data[end:]


async def associate(local: Local, dialogue: Dialogue, port: int, open_stream: Open) -> None:
    """Carry a program's datagrams until it closes the connection that it asked on.

    Only one port of the program is heard: the one it named, else the one that sends first. Raises
    OSError when the program went away.
    """
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        await datagrams.bind((HOST, 0))
        await send_all(local, dialogue.granted(datagrams.getsockname()[1]))
        with bare_errors():
            async with trio.open_nursery() as nursery:
                association = _Association(datagrams, port, nursery, open_stream)
                nursery.start_soon(association.run)
                while await local.recv(PIECE):
                    pass  # nothing is said on it any more; its end is the end
                nursery.cancel_scope.cancel()


class _Association:
    """One program's datagrams."""

    def __init__(self, local: Local, port: int, nursery: trio.Nursery, open_stream: Open) -> None:
        self._local = local
        self._program: Any = (HOST, port) if port else None

        async def open_one(place: Place) -> ByteStream:
            return await open_stream(place.destination)

        self._flows: Flows[Place] = Flows(nursery, open_one, self._deliver)

    async def run(self) -> None:
        """Take datagrams, until cancelled."""
        while True:
            try:
                data, sender = await self._local.recvfrom(UDP_MAX)
            except ConnectionError:
                continue  # what an earlier answer to a closed port came to
            self._received(data, sender)

    def _received(self, data: bytes, sender: Any) -> None:
        if self._program is None:
            self._program = sender
        found = parse_datagram(data) if sender == self._program else None
        if found is None:
            _log.debug("associate.dropped")
        else:
            self._flows.send(*found)

    async def _deliver(self, place: Place, data: bytes) -> None:
        try:
            await self._local.sendto(place.header() + data, self._program)
        except OSError as error:  # its port is closed, or it is too large: as on any network
            _log.debug("associate.undelivered", error=type(error).__name__)
