"""Carries the datagrams of a stream to a local UDP program and back (SPEC 19.6)."""

import socket
from contextlib import suppress

import trio

from peerstream.node.gateway.flows import IDLE_S, LIFE_S
from peerstream.node.gateway.targets import UdpTarget, family_of
from peerstream.node.ports import DATAGRAM_MAX, ByteStream
from peerstream.node.roles.tasks import bare_errors


async def carry_datagrams(target: UdpTarget, stream: ByteStream) -> None:
    """Carry until the caller ends its half, or nothing went either way for IDLE_S.

    What nobody listens for is lost, as over UDP anywhere. Raises StreamError,
    OSError where there is no way to the target.
    """
    local = trio.socket.socket(family_of(target.host), socket.SOCK_DGRAM)
    with local:
        await local.connect((target.host, target.port))
        with trio.move_on_after(IDLE_S) as idle, bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_back, local, stream, idle)
                await _forth(stream, local, idle)
                nursery.cancel_scope.cancel()


async def _forth(stream: ByteStream, local: trio.socket.SocketType, idle: trio.CancelScope) -> None:
    while (data := await stream.receive_datagram()) is not None:
        idle.deadline = trio.current_time() + IDLE_S
        with suppress(OSError):  # refused by nobody there: the next one may find somebody
            await local.send(data)


async def _back(local: trio.socket.SocketType, stream: ByteStream, idle: trio.CancelScope) -> None:
    while True:
        with suppress(OSError):
            data = await local.recv(DATAGRAM_MAX + 1)
            if len(data) <= DATAGRAM_MAX:
                idle.deadline = trio.current_time() + IDLE_S
                await stream.send_datagram(data, LIFE_S)
