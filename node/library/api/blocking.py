"""The same for threads: calls that block until they are done (SPEC 18.6).

One thread runs trio for all of them. Any number of threads may use one Node; of one stream, one
thread may read and another write.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from peerstream.node.library.api.client import Client as AsyncClient
from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.node import Node as AsyncNode
from peerstream.node.library.api.streams import RECEIVE_MAX, PeerInfo, PeerListener, Stream
from peerstream.node.protocol.wire.status import Status

Place = Path | str | None


class BlockingStream:
    """A `Stream` whose calls block."""

    def __init__(self, portal: BlockingPortal, stream: Stream) -> None:
        self._portal = portal
        self._stream = stream

    def __repr__(self) -> str:
        return f"<Blocking{self._stream!r}"[:-1] + ">"

    @property
    def peer(self) -> PeerInfo:
        """Who is at the other end."""
        return self._stream.peer

    @property
    def service(self) -> str:
        """The service that the stream was opened to."""
        return self._stream.service

    def read(self, max_bytes: int = RECEIVE_MAX) -> bytes:
        """Return 1 to `max_bytes` bytes, b"" at the end that the peer wrote.

        Raises as `Stream.receive`.
        """
        try:
            return self._portal.call(self._stream.receive, max_bytes)
        except anyio.EndOfStream:
            return b""

    def write(self, data: bytes) -> None:
        """Hand all of `data` over. Raises as `Stream.send`."""
        self._portal.call(self._stream.send, data)

    def write_eof(self) -> None:
        """End our half behind what was written."""
        self._portal.call(self._stream.send_eof)

    def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send a datagram; as `Stream.send_datagram`."""
        return self._portal.call(self._stream.send_datagram, data, life_s)

    def receive_datagram(self) -> bytes:
        """Return the oldest datagram; as `Stream.receive_datagram`."""
        return self._portal.call(self._stream.receive_datagram)

    def reset(self, status: Status = Status.CLOSED) -> None:
        """Give the stream up in both directions."""
        self._portal.call(self._stream.reset, status)

    def close(self) -> None:
        """Close the stream; what was written has ten seconds to arrive."""
        self._portal.call(self._stream.aclose)

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes that come, until the peer's end."""
        while data := self.read():
            yield data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; an error gives it up at once."""
        if error is None:
            self.close()
        else:
            self.reset()


class BlockingListener:
    """A `PeerListener` whose calls block."""

    def __init__(self, portal: BlockingPortal, listener: PeerListener) -> None:
        self._portal = portal
        self._listener = listener

    @property
    def address(self) -> str:
        """Our own address."""
        return self._listener.address

    @property
    def service(self) -> str:
        """The service that is offered."""
        return self._listener.service

    def accept(self) -> BlockingStream:
        """Wait for a stream. Raises anyio.ClosedResourceError after `close`."""
        return BlockingStream(self._portal, self._portal.call(self._listener.accept))

    def close(self) -> None:
        """Withdraw the service."""
        self._portal.call(self._listener.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Withdraw the service."""
        self.close()


class _Blocking:
    """What a Node and a Client for threads have in common."""

    def __init__(self, make: Callable[[], AsyncNode | AsyncClient]) -> None:
        self._make = make
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._connector: Connector | None = None

    @property
    def address(self) -> str | None:
        """The address that it speaks for; None without an identity."""
        return None if self._connector is None else self._connector.address

    def __enter__(self) -> Self:
        """Start it. Raises PeerStreamError."""
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("trio"))
            made = portal.call(self._make)
            stack.enter_context(portal.wrap_async_context_manager(made))
            self._portal, self._connector = portal, made
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, with every stream that is open."""
        self._portal = self._connector = None
        self._stack.__exit__(None, None, None)

    def connect(
        self,
        target: str,
        service: str = "",
        *,
        level: int = 2,
        anonymous: bool = False,
        isolation: bytes = b"",
        early: bytes = b"",
    ) -> BlockingStream:
        """Open a stream to a service of an address; as `Connector.connect`."""
        portal, connector = self._running()
        dial = partial(
            connector.connect,
            target,
            service,
            level=level,
            anonymous=anonymous,
            isolation=isolation,
            early=early,
        )
        return BlockingStream(portal, portal.call(dial))

    def listen(
        self,
        service: str,
        *,
        level: int | None = None,
        anonymous: bool = False,
        early_data: bool = False,
    ) -> BlockingListener:
        """Offer a service under our address; as `Connector.listen`."""
        portal, connector = self._running()
        offer = partial(
            connector.listen, service, level=level, anonymous=anonymous, early_data=early_data
        )
        return BlockingListener(portal, portal.call(offer))

    def _running(self) -> tuple[BlockingPortal, Connector]:
        if self._portal is None or self._connector is None:
            raise anyio.ClosedResourceError
        return self._portal, self._connector


class Node(_Blocking):
    """A `peerstream.Node` for threads, with its arguments; use it in a ``with``."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(partial(AsyncNode, *args, **named))


class Client(_Blocking):
    """A `peerstream.Client` for threads; use it in a ``with``."""

    def __init__(self, state: Place = None, *, socket: Place = None) -> None:
        super().__init__(partial(AsyncClient, state, socket=socket))
