"""Carries bytes between a local socket and a stream of a session (SPEC 16.3)."""

import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from peerstream.node.ports import StreamError

PIECE: Final = 65_536  # bytes: below what malloc maps and unmaps each time
_AT_ONCE: Final = struct.pack("ii", 1, 0)  # linger for no time: closing sends RST

Local = trio.socket.SocketType


class Remote(Protocol):
    """What is carried to: the part of `ports.ByteStream` that a daemon's clients have as well."""

    async def receive(self, max_bytes: int = PIECE) -> bytes:
        """As `ByteStream.receive`."""
        ...

    async def send(self, data: bytes) -> None:
        """As `ByteStream.send`."""
        ...

    async def send_end(self) -> None:
        """As `ByteStream.send_end`."""
        ...

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """As `ByteStream.send_datagram`."""
        ...

    async def receive_datagram(self) -> bytes | None:
        """As `ByteStream.receive_datagram`."""
        ...

    async def aclose(self) -> None:
        """As `ByteStream.aclose`."""
        ...

    def reset(self) -> None:
        """As `ByteStream.reset`."""
        ...


_Carry = Callable[[Local, Remote], Awaitable[None]]


async def carry(local: Local, remote: Remote) -> bool:
    """Carry both ways until both have ended; whether they did, and neither was given up.

    Each end is passed on by itself, so that half a connection can go on. What breaks on one side
    is broken on the other: a stream that was reset or lost sends RST to the program, and a program
    that resets its connection resets the stream. Closes the stream; `local` is the caller's.
    """
    whole = True

    async def way(one_way: _Carry) -> None:
        nonlocal whole
        try:
            await one_way(local, remote)
        except (StreamError, OSError):
            whole = False
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(way, _upward)
            await way(_downward)
        if whole:
            await remote.aclose()
    except BaseException:
        whole = False
        raise
    finally:
        if not whole:
            remote.reset()
            reset_on_close(local)
    return whole


async def _upward(local: Local, remote: Remote) -> None:
    while data := await local.recv(PIECE):
        await remote.send(data)
    await remote.send_end()


async def _downward(local: Local, remote: Remote) -> None:
    while data := await remote.receive(PIECE):
        sent = await local.send(data)
        if sent < len(data):
            await send_all(local, memoryview(data)[sent:])
    local.shutdown(socket.SHUT_WR)


async def send_all(local: Local, data: bytes | memoryview) -> None:
    """Send all of it. Raises OSError when the program has gone."""
    view = memoryview(data)
    while view:
        view = view[await local.send(view) :]


def reset_on_close(local: Local) -> None:
    """Have the socket's closing tell the program that its connection broke, where it can."""
    if local.family != socket.AF_UNIX:
        local.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
