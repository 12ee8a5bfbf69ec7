"""Streams and listeners as programs have them: anyio's, with the address behind (SPEC 18.2)."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
from anyio.abc import ByteStream, Listener, TaskGroup

from peerstream.node.library.api.errors import StreamBrokenError
from peerstream.node.ports import DATAGRAM_MAX, Peer
from peerstream.node.protocol.wire.status import Status

__all__ = ["DATAGRAM_MAX", "PeerAttribute", "PeerInfo", "PeerListener", "Stream"]

RECEIVE_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Who is at the other end.

    address: verified, with its ERC-55 checksum; None for an anonymous caller. level: 1 or 2, the
    one reached. hops: relays on the way.
    """

    address: str | None
    level: int
    hops: int

    @classmethod
    def of(cls, peer: Peer) -> "PeerInfo":
        """Return it for the peer of a stream."""
        return cls(None if peer.address is None else str(peer.address), peer.level, peer.hops)


class PeerAttribute(anyio.TypedAttributeSet):
    """What `stream.extra(...)` tells of a stream."""

    address: str | None = anyio.typed_attribute()
    level: int = anyio.typed_attribute()
    hops: int = anyio.typed_attribute()
    service: str = anyio.typed_attribute()


class Stream(ByteStream):
    """Ordered bytes to and from a verified address, and datagrams beside them.

    One task may receive, another send, a third receive datagrams; two that do the same meet
    anyio.BusyResourceError. A stream that is left open holds a place in its session: close it, or
    use it as ``async with``.
    """

    def __init__(self, peer: PeerInfo, service: str) -> None:
        self.peer = peer
        self.service = service

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.peer.address or 'nobody'}, {self.service}>"

    @property
    def extra_attributes(self) -> Any:
        """The attributes of `PeerAttribute`."""
        return {
            PeerAttribute.address: lambda: self.peer.address,
            PeerAttribute.level: lambda: self.peer.level,
            PeerAttribute.hops: lambda: self.peer.hops,
            PeerAttribute.service: lambda: self.service,
        }

    @abstractmethod
    async def receive(self, max_bytes: int = RECEIVE_MAX) -> bytes:
        """Return 1 to `max_bytes` bytes.

        Raises anyio.EndOfStream at the end that the peer wrote, and only there: for every other end
        StreamBrokenError, since bytes are missing. anyio.ClosedResourceError after `aclose`.
        """

    @abstractmethod
    async def send(self, item: bytes) -> None:
        """Hand all of `item` over, waiting while the peer does not read.

        Raises StreamBrokenError, anyio.ClosedResourceError after `aclose` or `send_eof`.
        """

    @abstractmethod
    async def send_eof(self) -> None:
        """End our half behind what was sent; the peer's goes on. Twice does nothing."""

    @abstractmethod
    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send an unordered message of at most DATAGRAM_MAX bytes, once.

        It is dropped when it cannot leave within `life_s` seconds (60 at most). False when it was
        dropped at once: too many wait, or our half has ended. Raises BadRequestError for one that
        is too large, and as `send`.
        """

    @abstractmethod
    async def receive_datagram(self) -> bytes:
        """Return the oldest datagram that waits.

        They may be lost, come in any order and never twice; the oldest give way when more than
        1 MiB waits.
        Raises anyio.EndOfStream when the peer ended its half, else as `receive`.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """End our half, and give up the peer's unless it has ended already.

        What was sent has ten seconds to arrive; cancelling that gives the stream up at once.
        """

    @abstractmethod
    def reset(self, status: Status = Status.CLOSED) -> None:
        """Give the stream up in both directions at once; the peer learns `status`."""


Handler = Callable[[Stream], Awaitable[Any]]


class PeerListener(Listener[Stream]):
    """Takes the streams that callers open to one service; closing it withdraws the service."""

    def __init__(self, service: str, address: str) -> None:
        self.service = service
        self.address = address

    @property
    def extra_attributes(self) -> Any:
        """Our own address and the service, of `PeerAttribute`."""
        return {
            PeerAttribute.address: lambda: self.address,
            PeerAttribute.service: lambda: self.service,
        }

    @abstractmethod
    async def accept(self) -> Stream:
        """Return the next stream. Raises anyio.ClosedResourceError after `aclose`."""

    async def serve(self, handler: Handler, task_group: TaskGroup | None = None) -> None:
        """Start a task for each stream, until cancelled or closed; the stream ends with its task.

        A stream that breaks ends its task alone. Any other error of a handler ends the task group.
        """
        if task_group is not None:
            await self._serve(handler, task_group)
            return
        async with anyio.create_task_group() as own:
            await self._serve(handler, own)

    async def _serve(self, handler: Handler, task_group: TaskGroup) -> None:
        while True:
            try:
                stream = await self.accept()
            except anyio.ClosedResourceError:
                return
            task_group.start_soon(_handle, handler, stream)


async def _handle(handler: Handler, stream: Stream) -> None:
    try:
        await handler(stream)
    except BaseException as error:
        peers_doing = _is_broken(error)
        stream.reset(Status.CLOSED if peers_doing else Status.INTERNAL)
        if not peers_doing:  # else the listener goes on
            raise
    else:
        await stream.aclose()


def _is_broken(error: BaseException) -> bool:
    """Whether it says that a stream broke, and nothing else; also in a group of a handler's own."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(StreamBrokenError)[1] is None
    return isinstance(error, StreamBrokenError)
