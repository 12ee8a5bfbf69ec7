"""Pairs of ByteStreams in memory: bounded, and cut, reset or ended where a test wants it."""

from collections.abc import Callable

import trio

from peerstream.identity.address import Address
from peerstream.node.ports import (
    IncomingStream,
    Peer,
    SessionEndedError,
    StreamError,
    StreamResetError,
)
from peerstream.node.protocol.wire.status import Status

CALLER = Address(bytes(range(1, 21)))
CALLEE = Address(bytes(range(101, 121)))


class _Half:
    """One direction: at most `capacity` bytes wait in it."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.waiting = bytearray()
        self.datagrams: list[bytes] = []
        self.ended = False
        self.unwanted = False  # the reader gave it up
        self.error: Callable[[], StreamError] | None = None
        self.carried = 0
        self.cut_at: int | None = None
        self._changed = trio.Event()

    def change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait(self) -> None:
        await self._changed.wait()

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error()


class MemoryStream:
    """One end of a pair. Satisfies ports.ByteStream."""

    def __init__(self, peer: Peer, service: str, outgoing: _Half, incoming: _Half) -> None:
        self._peer = peer
        self._service = service
        self._outgoing = outgoing
        self._incoming = incoming
        self.closed = False
        self.taken = False  # by the service

    @property
    def peer(self) -> Peer:
        return self._peer

    @property
    def service(self) -> str:
        return self._service

    @property
    def carried(self) -> int:
        """How many bytes this end sent in all."""
        return self._outgoing.carried

    def cut_after(self, count: int) -> None:
        """End the session, both ways, when this end has sent so many bytes."""
        self._outgoing.cut_at = count

    def end_session(self, status: Status = Status.TIMEOUT) -> None:
        """Both ends fail from now on; what was not received is lost."""
        for half in (self._outgoing, self._incoming):
            half.error = lambda: SessionEndedError(status)
            half.waiting.clear()
            half.change()

    async def accepted(self) -> None:
        await trio.lowlevel.checkpoint()
        self._outgoing.raise_error()

    def accept(self) -> None:
        self.taken = True

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await trio.lowlevel.checkpoint()
        half = self._incoming
        while not half.waiting:
            half.raise_error()
            if half.ended:
                return b""
            await half.wait()
        half.raise_error()
        data = bytes(memoryview(half.waiting)[:max_bytes])
        del half.waiting[:max_bytes]
        half.change()
        return data

    async def send(self, data: bytes | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        half, rest = self._outgoing, memoryview(data)
        while rest:
            half.raise_error()
            if half.unwanted:
                raise StreamResetError(Status.CLOSED)
            assert not half.ended, "send after send_end"
            room = half.capacity - len(half.waiting)
            if half.cut_at is not None:
                room = min(room, half.cut_at - half.carried)
            if room > 0:
                half.waiting += rest[:room]
                half.carried += len(rest[:room])
                rest = rest[room:]
                half.change()
            if half.carried == half.cut_at:
                self.end_session()
            elif rest:
                await half.wait()

    async def send_end(self) -> None:
        await trio.lowlevel.checkpoint()
        self._outgoing.raise_error()
        self._outgoing.ended = True
        self._outgoing.change()

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        await trio.lowlevel.checkpoint()
        self._outgoing.raise_error()
        self._outgoing.datagrams.append(bytes(data))
        self._outgoing.change()
        return True

    async def receive_datagram(self) -> bytes | None:
        await trio.lowlevel.checkpoint()
        half = self._incoming
        while not half.datagrams:
            half.raise_error()
            if half.ended:
                return None
            await half.wait()
        return half.datagrams.pop(0)

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()
        self._outgoing.raise_error()

    async def aclose(self) -> None:
        self.closed = True
        self._outgoing.ended = True
        self._incoming.unwanted = True
        self._outgoing.change()
        self._incoming.change()
        await trio.lowlevel.checkpoint()

    def reset(self, status: Status = Status.CLOSED) -> None:
        self.closed = True
        for half in (self._outgoing, self._incoming):
            half.error = half.error or (lambda: StreamResetError(status))
            half.waiting.clear()
            half.change()


def memory_stream_pair(
    *, capacity: int = 1 << 20, caller: Address | None = CALLER, service: str = "file"
) -> tuple[MemoryStream, MemoryStream]:
    """The caller's end and the callee's; `capacity` bytes wait in each direction.

    `caller`: None for an anonymous one.
    """
    there, back = _Half(capacity), _Half(capacity)
    callee_peer = Peer(CALLEE, level=2, hops=6)
    caller_peer = Peer(caller, level=2, hops=6)
    return (
        MemoryStream(callee_peer, service, there, back),
        MemoryStream(caller_peer, service, back, there),
    )


def _is_an_incoming_stream(stream: MemoryStream) -> IncomingStream:
    return stream
