"""The stream socket of a node: programs of this user connect and listen through it (SPEC 18.5)."""

import errno
import os
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import structlog
import trio
from anyio.abc import ByteStream as Transport

from peerstream.node.library.api.channel import ChannelStream, describe
from peerstream.node.library.api.destinations import Find
from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.embedded import (
    NodeListener,
    NodeStream,
    connect_node,
    listen_node,
)
from peerstream.node.library.api.errors import (
    BadRequestError,
    PeerStreamError,
)
from peerstream.node.library.api.frames import (
    Frame,
    FrameError,
    FrameReader,
    Kind,
    encode_object,
)
from peerstream.node.library.api.pumping import pump
from peerstream.node.library.api.sockets import transport_of
from peerstream.node.library.destinations import Destinations
from peerstream.node.library.node import Node as RunningNode
from peerstream.node.network.counters import places_of
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.tasks import bare_errors
from peerstream.node.store import run_folder

CONNECTIONS_MAX: Final = 1_024
REQUEST_S: Final = 5.0  # so long a program has to say what it wants
FETCH_S: Final = 10.0  # and to fetch a stream that came for it
READ_MAX: Final = 32_768
AGAIN_S: Final = 0.1
_PASSING: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED
_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
_log = structlog.get_logger("peerstream.streams")


async def serve_streams(
    node: RunningNode,
    path: Path,
    *,
    find: Find | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Let this user's programs connect and listen through a unix socket, until cancelled.

    path: where nothing is yet, in a folder of mode 0700 (`store.run_folder`). find: whom a name
    means, None where there are neither contacts nor names of ENS. `started` once it listens. Raises
    StorageError.
    """
    listener = trio.socket.from_stdlib_socket(run_folder.listen(path.parent, path.name))
    server = StreamServer(node, find)
    with listener:
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                nursery.start_soon(server.handle, await _accept(listener))


class _Connection:
    """One program's connection, before it becomes a stream."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._reader = FrameReader()

    async def read(self, kind: Kind) -> Frame:
        """Return the one frame that comes first. Raises FrameError."""
        while True:
            for frame in self._reader.frames():
                if frame.kind is not kind:
                    raise FrameError(f"a {frame.kind.name} where a {kind.name} belongs")
                return frame
            self._reader.feed(await self._transport.receive(READ_MAX))

    async def send(self, kind: Kind, value: dict[str, Any]) -> None:
        """Send a frame that holds an object."""
        await self._transport.send(encode_object(kind, value))

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Cancel the block when the program goes away, or sends what it should not yet."""
        with bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, nursery.cancel_scope)
                yield
                nursery.cancel_scope.cancel()

    async def _watch(self, scope: trio.CancelScope) -> None:
        with suppress(*_GONE):
            await self._transport.receive(1)
            raise FrameError("bytes before the answer")
        scope.cancel()

    def channel(self, stream: NodeStream) -> ChannelStream:
        """Return the connection as the program's end of a stream."""
        return ChannelStream(self._transport, self._reader, stream.peer, stream.service)


class StreamServer:
    """Serves connections of one node's programs; each has one request."""

    def __init__(self, node: RunningNode, find: Find | None = None) -> None:
        self._node = node
        self._find = find or Destinations(node).find
        self._connections = 0
        self._arrived: dict[str, NodeStream] = {}  # by the token with which they are fetched
        self._requests: dict[str, Callable[[_Connection, dict[str, Any]], Any]] = {
            "connect": self._connect,
            "listen": self._listen,
            "fetch": self._fetch,
            "describe": self._describe,
        }

    async def handle(self, connection: trio.socket.SocketType) -> None:
        """Serve one connection and close it. Nothing that it does ends others."""
        if self._connections >= CONNECTIONS_MAX or not is_own(connection):
            connection.close()
            return
        self._connections += 1
        try:
            async with await _transport(connection) as transport:
                await self._serve(_Connection(transport))
        except _GONE:
            pass  # the program went away: what it had was given up on the way here
        except FrameError as error:
            _log.debug("streams.malformed", error=str(error))
        except Exception as error:  # noqa: BLE001 - a supervisor: one program must not end others
            _log.error("streams.bug", error=type(error).__name__, where=places_of(error))
        finally:
            self._connections -= 1

    async def _serve(self, connection: "_Connection") -> None:
        try:
            try:
                with trio.fail_after(REQUEST_S):
                    asked = (await connection.read(Kind.REQUEST)).read_object()
            except trio.TooSlowError:
                raise BadRequestError("the request did not come in time") from None
            request = self._requests.get(str(asked.get("do")))
            if request is None:
                raise BadRequestError("there is no such request")
            await request(connection, asked)
        except PeerStreamError as error:
            await connection.send(Kind.ERROR, error.to_json())

    async def _connect(self, connection: "_Connection", asked: dict[str, Any]) -> None:
        request = DialRequest.from_json(asked)
        stream: NodeStream | None = None
        async with connection.watched():
            stream = await connect_node(self._node, request, self._find)
        if stream is not None:
            await self._join(connection, stream)

    async def _listen(self, connection: "_Connection", asked: dict[str, Any]) -> None:
        request = ListenRequest.from_json(asked)
        async with connection.watched(), await listen_node(self._node, request) as listener:
            await connection.send(Kind.ANSWER, {"address": listener.address})
            async with trio.open_nursery() as nursery:
                await self._announce(connection, listener, nursery)

    async def _announce(
        self, connection: "_Connection", listener: NodeListener, nursery: trio.Nursery
    ) -> None:
        """Tell the program of each stream that comes; it fetches it by another connection."""
        while True:
            stream = await listener.accept()
            token = secrets.token_hex(16)
            self._arrived[token] = stream
            nursery.start_soon(self._expire, token)
            await connection.send(Kind.INCOMING, {"token": token})

    async def _expire(self, token: str) -> None:
        try:
            await trio.sleep(FETCH_S)
        finally:
            stream = self._arrived.pop(token, None)
            if stream is not None:
                stream.reset(Status.BUSY)

    async def _fetch(self, connection: "_Connection", asked: dict[str, Any]) -> None:
        stream = self._arrived.pop(str(asked.get("token")), None)
        if stream is None:
            raise BadRequestError("no stream waits under that token")
        await self._join(connection, stream)

    async def _describe(self, connection: "_Connection", _asked: dict[str, Any]) -> None:
        node = self._node
        address = None if node.address is None else str(node.address)
        await connection.send(Kind.ANSWER, {"address": address, "services": list(node.services)})

    async def _join(self, connection: "_Connection", stream: NodeStream) -> None:
        try:
            await connection.send(Kind.ANSWER, describe(stream.peer, stream.service))
            await pump(stream, connection.channel(stream))
        finally:
            if not stream.over.is_set():
                stream.reset()


async def _accept(listener: trio.socket.SocketType) -> trio.socket.SocketType:
    """Return the next connection; wait where there is no descriptor left for one."""
    while True:
        try:
            connection, _ = await listener.accept()
        except OSError as error:
            if error.errno not in _PASSING:
                raise
            await trio.sleep(AGAIN_S)
        else:
            return connection


def is_own(connection: trio.socket.SocketType) -> bool:
    """Whether the program at the other end is of our own user."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(found)
    return bool(uid == os.getuid())


async def _transport(connection: trio.socket.SocketType) -> Transport:
    return await transport_of(socket.socket(fileno=connection.detach()))
