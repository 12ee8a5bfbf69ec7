"""Connects and listens through a node elsewhere: the daemon, or a thread (SPEC 18.5).

Runs on trio and on asyncio alike, and imports nothing of the network.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream as Transport
from anyio.abc import TaskGroup

from peerstream.node.library.api.channel import ChannelStream, read_description
from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.errors import BadRequestError, DaemonError, from_json, public
from peerstream.node.library.api.frames import FrameError, FrameReader, Kind, encode_object
from peerstream.node.library.api.places import stream_socket
from peerstream.node.library.api.sockets import transport_of
from peerstream.node.library.api.streams import PeerListener, Stream
from peerstream.node.ports import StorageError
from peerstream.node.roles.tasks import first_error
from peerstream.node.store import run_folder

Open = Callable[[], Awaitable[Transport]]

READ_MAX: Final = 131_072
_GONE: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise a DaemonError for whatever is wrong with the socket."""
    try:
        yield
    except StorageError as error:
        raise public(error) from error
    except (*_GONE, FrameError) as error:
        raise DaemonError(f"the stream socket: {str(error) or 'its other end is gone'}") from error


class _Line:
    """A connection to the node, before it becomes a stream."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._reader = FrameReader()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return its answer. Raises PeerStreamError."""
        with _translated():
            await self._transport.send(encode_object(Kind.REQUEST, request))
        return await self.read(Kind.ANSWER)

    async def read(self, kind: Kind) -> dict[str, Any]:
        """Return the object of the next frame. Raises PeerStreamError."""
        with _translated():
            while True:
                for frame in self._reader.frames():
                    if frame.kind is Kind.ERROR:
                        raise from_json(frame.read_object())
                    if frame.kind is not kind:
                        raise FrameError(f"a {frame.kind.name} where a {kind.name} belongs")
                    return frame.read_object()
                self._reader.feed(await self._transport.receive(READ_MAX))

    def stream(self, answer: dict[str, Any]) -> ChannelStream:
        """Return the stream that the connection became. Raises DaemonError."""
        with _translated():
            peer, service = read_description(answer)
        return ChannelStream(self._transport, self._reader, peer, service)

    async def aclose(self) -> None:
        """Close it; the node gives up what it was for."""
        await anyio.aclose_forcefully(self._transport)


class SocketConnector(Connector):
    """Connects and listens through stream sockets that `open_transport` opens."""

    def __init__(self, open_transport: Open) -> None:
        self._open = open_transport
        self._address: str | None = None
        self._tasks: TaskGroup | None = None
        self._listening: set[_Line] = set()
        self._stack = AsyncExitStack()

    @property
    def address(self) -> str | None:
        """As `Connector`."""
        return self._address

    async def __aenter__(self) -> Self:
        """Ask the node who it is. Raises DaemonError."""
        line, answer = await self._asked({"do": "describe"})
        await line.aclose()
        self._address = answer.get("address")
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give up every stream and service that is still open."""
        for line in list(self._listening):
            await self.close_line(line)
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
            self._tasks = None
        try:
            await self._stack.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if first_error(group) is not error:  # else the block raises it by itself
                raise

    async def open_stream(self, request: DialRequest) -> Stream:
        """As `Connector`."""
        return await self.stream(request.to_json())

    async def open_listener(self, request: ListenRequest) -> PeerListener:
        """As `Connector`."""
        line, answer = await self._asked(request.to_json())
        self._listening.add(line)
        return SocketListener(self, line, request.service, str(answer.get("address")))

    async def close_line(self, line: _Line) -> None:
        """Close the connection of a listener."""
        self._listening.discard(line)
        await line.aclose()

    async def stream(self, request: dict[str, Any]) -> ChannelStream:
        """Return the stream that a request is answered with. Raises PeerStreamError."""
        tasks = self._tasks
        if tasks is None:
            raise anyio.ClosedResourceError
        line, answer = await self._asked(request)
        stream = line.stream(answer)
        tasks.start_soon(stream.run)
        return stream

    async def _asked(self, request: dict[str, Any]) -> tuple[_Line, dict[str, Any]]:
        """Open a connection and ask; it is closed again where that fails or is cancelled."""
        with _translated():
            line = _Line(await self._open())
        try:
            return line, await line.ask(request)
        except BaseException:
            await line.aclose()
            raise


class SocketListener(PeerListener):
    """Takes the streams of one service through stream sockets."""

    def __init__(self, connector: SocketConnector, line: _Line, service: str, address: str) -> None:
        super().__init__(service, address)
        self._connector = connector
        self._line = line
        self._tokens: deque[str] = deque()
        self._closed = False
        self._accepting = anyio.ResourceGuard("accepting from")

    async def accept(self) -> Stream:
        """As `PeerListener`. Raises DaemonError besides."""
        with self._accepting:
            await anyio.lowlevel.checkpoint()
            while True:
                if self._closed:
                    raise anyio.ClosedResourceError
                try:
                    return await self._fetch()
                except BadRequestError:
                    continue  # nobody fetched it in time
                except DaemonError:
                    if not self._closed:
                        raise

    async def _fetch(self) -> Stream:
        if not self._tokens:
            self._tokens.append(str((await self._line.read(Kind.INCOMING)).get("token")))
        try:
            stream = await self._connector.stream({"do": "fetch", "token": self._tokens[0]})
        except BadRequestError:
            self._tokens.popleft()
            raise
        self._tokens.popleft()
        return stream

    async def aclose(self) -> None:
        """Withdraw the service; streams that were accepted go on."""
        self._closed = True
        await self._connector.close_line(self._line)


class Client(SocketConnector):
    """Connects and listens through the daemon of a state directory (`psp up`).

    Use it as ``async with``, under trio or asyncio. Raises DaemonError where no daemon runs.
    """

    def __init__(
        self, state: Path | str | None = None, *, socket: Path | str | None = None
    ) -> None:
        """`state`: the daemon's, None for the usual one; `socket`: its stream socket instead."""
        self.path = stream_socket(state) if socket is None else Path(socket)
        super().__init__(self._dial)

    def __repr__(self) -> str:
        return f"<Client of {self.path}>"

    async def _dial(self) -> Transport:
        return await transport_of(run_folder.connect(self.path.parent, self.path.name))
