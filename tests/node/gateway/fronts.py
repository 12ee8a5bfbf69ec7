"""A front on a real socket, before a node that is played in memory."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from peerstream.node.gateway.dialling import DialOptions
from peerstream.node.gateway.front import FrontSettings, serve_front
from peerstream.node.gateway.names import Destination
from peerstream.node.ports import StreamError
from peerstream.node.protocol.wire.status import Status
from tests.node.services.memory_streams import MemoryStream, memory_stream_pair

Serve = Callable[[MemoryStream], Awaitable[None]]


async def echo(stream: MemoryStream) -> None:
    with suppress(StreamError):
        while data := await stream.receive():
            await stream.send(data)
        await stream.send_end()


class PlayedNode:
    """What dials for a front: every destination leads to `serve`, unless it is told to fail."""

    def __init__(self, nursery: trio.Nursery, serve: Serve, capacity: int) -> None:
        self.dialled: list[tuple[Destination, DialOptions]] = []
        self.streams: list[MemoryStream] = []  # the callee's ends
        self.callers: list[MemoryStream] = []
        self.error: Exception | None = None
        self.refusal: Status | None = None  # of the service, once it was reached
        self.silent = False
        self._nursery = nursery
        self._serve = serve
        self._capacity = capacity

    async def dial(self, destination: Destination, options: DialOptions) -> MemoryStream:
        self.dialled.append((destination, options))
        if self.silent:
            await trio.sleep_forever()
        if self.error is not None:
            raise self.error
        caller, callee = memory_stream_pair(capacity=self._capacity, service=destination.service)
        self.streams.append(callee)
        self.callers.append(caller)
        if self.refusal is not None:
            callee.reset(self.refusal)
        self._nursery.start_soon(self._serve, callee)
        return caller


class Front:
    """A front that serves, and the node behind it."""

    def __init__(self, node: PlayedNode, port: int) -> None:
        self.node = node
        self.port = port

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)


async def start_front(
    nursery: trio.Nursery, serve: Serve = echo, *, capacity: int = 1 << 20, **settings
) -> Front:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    node = PlayedNode(nursery, serve, capacity)
    await nursery.start(serve_front, listener, node.dial, FrontSettings(**settings))
    return Front(node, listener.socket.getsockname()[1])


async def read_all(stream: trio.SocketStream) -> bytes:
    found = b""
    async for data in stream:
        found += data
    return found


async def read(stream: trio.SocketStream, size: int) -> bytes:
    found = b""
    while len(found) < size:
        data = await stream.receive_some(size - len(found))
        assert data, f"it ended after {found!r}"
        found += data
    return found


async def was_reset(stream: trio.SocketStream) -> bool:
    """Whether a connection ends by RST, not by FIN."""
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        return True
    return False


def abort(stream: trio.SocketStream) -> None:
    """End a connection by RST."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    stream.socket.close()
