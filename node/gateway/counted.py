"""A stream of the network whose bytes are counted, for the access log (SPEC 19.3)."""

from peerstream.node.ports import ByteStream, Peer
from peerstream.node.protocol.wire.status import Status


class CountedStream:
    """A `ByteStream` over another one. received: bytes from the caller; sent: bytes to it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.received = 0
        self.sent = 0

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._stream.peer

    @property
    def service(self) -> str:
        """The service that the stream was opened to."""
        return self._stream.service

    async def accepted(self) -> None:
        """Wait until the peer's service took the stream. Raises StreamError."""
        await self._stream.accepted()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return bytes that came, or b"" at the end. Raises StreamError."""
        data = await self._stream.receive(max_bytes)
        self.received += len(data)
        return data

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of `data` over. Raises StreamError."""
        await self._stream.send(data)
        self.sent += len(data)

    async def send_end(self) -> None:
        """End our half."""
        await self._stream.send_end()

    async def drain(self) -> None:
        """Wait until everything sent was acknowledged. Raises StreamError."""
        await self._stream.drain()

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send an unordered message beside the stream; not counted. Raises StreamError."""
        return await self._stream.send_datagram(data, life_s)

    async def receive_datagram(self) -> bytes | None:
        """Return the oldest datagram, None at the end; not counted. Raises StreamError."""
        return await self._stream.receive_datagram()

    async def aclose(self) -> None:
        """End our half, and give up the peer's unless it has ended already."""
        await self._stream.aclose()

    def reset(self, status: Status = Status.CLOSED) -> None:
        """Give the stream up in both directions."""
        self._stream.reset(status)
