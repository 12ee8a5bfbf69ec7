"""A local port that leads to one service of one address (SPEC 16.7)."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
import trio

from peerstream.node.gateway.carrying import Remote, carry, reset_on_close
from peerstream.node.gateway.dialling import DIAL_ERRORS
from peerstream.node.gateway.flows import UDP_MAX, Flows

CONNECTIONS_MAX: Final = 1_024
_log = structlog.get_logger("peerstream.forward")

Open = Callable[[], Awaitable[Remote]]
Tell = Callable[[Exception], None]


async def forward_connections(listener: trio.SocketListener, open_stream: Open, tell: Tell) -> None:
    """Lead each connection to a stream of its own, until cancelled.

    A connection whose stream cannot be had is reset, and `tell` learns why.
    """
    opened = 0

    async def serve(connection: trio.SocketStream) -> None:
        nonlocal opened
        with connection.socket as local:
            if opened >= CONNECTIONS_MAX:
                reset_on_close(local)
                return
            opened += 1
            try:
                local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await carry(local, await open_stream())
            except DIAL_ERRORS as error:
                tell(error)
                reset_on_close(local)
            finally:
                opened -= 1

    await trio.serve_listeners(serve, [listener])


async def forward_datagrams(local: trio.socket.SocketType, open_stream: Open, tell: Tell) -> None:
    """Lead the datagrams of each local program, by its port, to a stream of its own."""

    async def open_one(_program: Any) -> Remote:
        try:
            return await open_stream()
        except DIAL_ERRORS as error:
            tell(error)
            raise

    async def deliver(program: Any, data: bytes) -> None:
        try:
            await local.sendto(data, program)
        except OSError as error:  # its port is closed, or it is too large: as on any network
            _log.debug("forward.undelivered", error=type(error).__name__)

    async with trio.open_nursery() as nursery:
        flows: Flows[Any] = Flows(nursery, open_one, deliver)
        while True:
            try:
                data, program = await local.recvfrom(UDP_MAX)
            except ConnectionError:
                continue  # what an earlier datagram to a closed port came to
            flows.send(program, data)
