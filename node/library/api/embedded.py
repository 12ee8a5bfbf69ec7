"""Streams and listeners of a node that runs in this very task tree, under trio (SPEC 18.4)."""

from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import trio

from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.destinations import Find, find_target
from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.errors import FAMILIES, public
from peerstream.node.library.api.streams import RECEIVE_MAX, PeerInfo, PeerListener, Stream
from peerstream.node.library.destinations import Destinations
from peerstream.node.library.node import Node as RunningNode
from peerstream.node.ports import ByteStream, IncomingStream, StreamError, StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import CallDeniedError
from peerstream.node.roles.service_table import ServiceOffer

WAITING_MAX = 64  # streams that nobody accepted yet; more are told BUSY


class NodeStream(Stream):
    """A stream of a node in the same task tree."""

    def __init__(self, stream: ByteStream) -> None:
        super().__init__(PeerInfo.of(stream.peer), stream.service)
        self._stream = stream
        self._closed = False
        self._finished = False
        self.over = trio.Event()  # the program is through with it
        self._receiving = anyio.ResourceGuard("receiving from")
        self._sending = anyio.ResourceGuard("sending to")
        self._fetching = anyio.ResourceGuard("receiving datagrams from")

    async def receive(self, max_bytes: int = RECEIVE_MAX) -> bytes:
        """As `Stream`."""
        if max_bytes < 1:
            raise ValueError("max_bytes is at least 1")
        with self._receiving:
            self._require_open()
            try:
                data = await self._stream.receive(max_bytes)
            except StreamError as error:
                raise self._told(error) from error
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes | memoryview) -> None:
        """As `Stream`."""
        with self._sending:
            self._require_open()
            if self._finished:
                raise anyio.ClosedResourceError
            try:
                await self._stream.send(item)
            except StreamError as error:
                raise self._told(error) from error

    async def send_eof(self) -> None:
        """As `Stream`."""
        self._require_open()
        self._finished = True
        await self._stream.send_end()

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """As `Stream`."""
        self._require_open()
        try:
            return await self._stream.send_datagram(data, life_s)
        except StreamError as error:
            raise self._told(error) from error

    async def receive_datagram(self) -> bytes:
        """As `Stream`."""
        with self._fetching:
            self._require_open()
            try:
                data = await self._stream.receive_datagram()
            except StreamError as error:
                raise self._told(error) from error
        if data is None:
            raise anyio.EndOfStream
        return data

    async def aclose(self) -> None:
        """As `Stream`."""
        if self._closed:
            await anyio.lowlevel.checkpoint()
            return
        self._closed = True
        try:
            await self._stream.aclose()
        finally:
            self.over.set()

    def reset(self, status: Status = Status.CLOSED) -> None:
        """As `Stream`."""
        self._closed = True
        self._stream.reset(status)
        self.over.set()

    def _require_open(self) -> None:
        if self._closed:
            raise anyio.ClosedResourceError

    def _told(self, error: StreamError) -> Exception:
        return anyio.ClosedResourceError() if self._closed else public(error)


@dataclass(slots=True)
class Accepting:
    """Hands the streams of one service to whoever accepts them; the service's handler."""

    _waiting: list[tuple[IncomingStream, NodeStream]] = field(default_factory=list)
    _arrived: trio.Event = field(default_factory=trio.Event)
    closed: bool = False

    async def handle(self, stream: IncomingStream) -> None:
        """Keep a stream until its program is through with it; it is taken when that accepts."""
        if self.closed or len(self._waiting) >= WAITING_MAX:
            stream.reset(Status.BUSY)
            return
        arrived = NodeStream(stream)
        self._waiting.append((stream, arrived))
        self._arrived.set()
        await arrived.over.wait()

    async def accept(self) -> NodeStream:
        """Return the next stream. Raises anyio.ClosedResourceError."""
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self.closed:
                raise anyio.ClosedResourceError
            self._arrived = trio.Event()
            await self._arrived.wait()
        stream, arrived = self._waiting.pop(0)
        stream.accept()
        return arrived

    def close(self) -> None:
        """Refuse what nobody accepted."""
        self.closed = True
        self._arrived.set()
        while self._waiting:
            self._waiting.pop()[1].reset(Status.BUSY)


class NodeListener(PeerListener):
    """Takes the streams of one service of a node in the same task tree."""

    def __init__(self, node: RunningNode, service: str, accepting: Accepting) -> None:
        super().__init__(service, str(node.address))
        self._node = node
        self._accepting = accepting

    async def accept(self) -> NodeStream:
        """As `PeerListener`."""
        return await self._accepting.accept()

    async def aclose(self) -> None:
        """Withdraw the service; streams that were accepted go on."""
        if not self._accepting.closed:
            self._node.withdraw(self.service)
            self._accepting.close()
        await trio.lowlevel.checkpoint()


class EmbeddedConnector(Connector):
    """Connects and listens through a node in the same task tree."""

    def __init__(self, node: RunningNode) -> None:
        self._node = node
        self._find = Destinations(node).find

    @property
    def address(self) -> str | None:
        """As `Connector`."""
        return None if self._node.address is None else str(self._node.address)

    async def open_stream(self, request: DialRequest) -> Stream:
        """As `Connector`."""
        return await connect_node(self._node, request, self._find)

    async def open_listener(self, request: ListenRequest) -> PeerListener:
        """As `Connector`."""
        return await listen_node(self._node, request)


async def connect_node(node: RunningNode, request: DialRequest, find: Find) -> NodeStream:
    """Open a stream; return when the service took it. Raises PeerStreamError."""
    try:
        target, service = await find_target(request, find)
        stream = await node.connect(
            target,
            service,
            level=request.level,
            anonymous=request.anonymous,
            early=request.early,
            isolation=request.isolation,
        )
        await _taken(stream)
    except FAMILIES as error:
        raise public(error) from error
    return NodeStream(stream)


async def _taken(stream: ByteStream) -> None:
    """Wait until the service took the stream. Raises CallDeniedError, SessionEndedError."""
    try:
        await stream.accepted()
    except StreamResetError as error:
        raise CallDeniedError(error.status) from error
    except BaseException:
        stream.reset()
        raise


async def listen_node(node: RunningNode, request: ListenRequest) -> NodeListener:
    """Offer a service; return when callers can reach it. Raises PeerStreamError."""
    accepting = Accepting()
    offer = ServiceOffer(
        accepting.handle,
        anonymous=request.anonymous,
        early_data=request.early_data,
        level=request.level,
        accepts=True,
    )
    try:
        await node.offer(request.service, offer)
    except FAMILIES as error:
        raise public(error) from error
    return NodeListener(node, request.service, accepting)
