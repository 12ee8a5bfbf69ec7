"""The ways into the network that a daemon keeps open for local programs (SPEC 16, 17.2, 19.7)."""

import socket
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from peerstream.node.gateway.front import FrontSettings, serve_front
from peerstream.node.gateway.localhost import LocalhostSettings, serve_localhost
from peerstream.node.library.api.server import serve_streams
from peerstream.node.library.daemon.doors import Doors
from peerstream.node.library.destinations import Destinations
from peerstream.node.store import run_folder


async def keep_taking(
    scope: trio.CancelScope, *, task_status: trio.TaskStatus[trio.Nursery]
) -> None:
    """Start with a nursery for what takes new programs: all of it ends with the scope."""
    with scope:
        async with trio.open_nursery() as takers:
            task_status.started(takers)
            await trio.sleep_forever()


@dataclass(frozen=True, slots=True)
class WaysIn:
    """Opens ways in. takers: ends with the taking of new programs; those connected outlive it."""

    destinations: Destinations = field(repr=False)
    takers: trio.Nursery = field(repr=False)
    connections: trio.Nursery = field(repr=False)
    extended_errors: bool = False

    async def open(self, doors: Doors, folder: Path | None) -> None:
        """Open those that are wanted. folder: of the stream socket, None for none."""
        if doors.socks is not None:
            await self._open_front(doors.socks)
        if doors.http is not None:
            await self._open_pages(doors.http)
        if folder is not None:
            # drained by removing its socket: nobody new finds it
            path = folder / run_folder.STREAM_SOCKET
            serve = partial(
                serve_streams, self.destinations.node, path, find=self.destinations.find
            )
            await self.connections.start(serve)

    async def _open_front(self, listener: socket.socket) -> None:
        """Serve SOCKS5 and HTTP CONNECT on a port."""
        place = repr(listener.getsockname()).encode()  # programs of two ports share no circuit
        settings = FrontSettings(isolation=place, extended_errors=self.extended_errors)
        dial = self.destinations.dial
        await self.takers.start(
            partial(serve_front, _listening(listener), dial, settings, connections=self.connections)
        )

    async def _open_pages(self, listener: socket.socket) -> None:
        """Serve `http://0x….localhost` to browsers."""
        settings, dial = LocalhostSettings(), self.destinations.dial
        taken = _listening(listener)
        await self.takers.start(
            partial(serve_localhost, taken, dial, settings, connections=self.connections)
        )


def _listening(listener: socket.socket) -> trio.SocketListener:
    return trio.SocketListener(trio.socket.from_stdlib_socket(listener))
