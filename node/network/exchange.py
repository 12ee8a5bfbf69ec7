"""One question, one answer on a stream: what the directory speaks (SPEC 9.7)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio
from libp2p.abc import INetStream
from libp2p.network.stream.exceptions import StreamEOF, StreamError

from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import RequestFailedError, ResponseTooLongError
from peerstream.node.network.peers import relay_id_of
from peerstream.node.protocol.errors import RemoteProtocolError

READ_SIZE = 65_536

Answer = Callable[[bytes, bytes], Awaitable[bytes]]


class RequestTooLongError(RemoteProtocolError):
    """A question longer than any that the protocol knows: its stream is cut."""


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What strangers may ask of one protocol at a time."""

    request_size: int = 16_384
    concurrent: int = 64
    timeout_s: float = 10.0


async def read_to_end(stream: INetStream, limit: int, too_long: Callable[[], Exception]) -> bytes:
    """Read until the peer ends the stream.

    Raises:
        StreamError: the stream was cut: bytes are missing.
        Exception: what ``too_long`` makes, beyond ``limit`` bytes.

    """
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            data: bytes = await stream.read(READ_SIZE)
        except StreamEOF:
            return b"".join(parts)
        size += len(data)
        if size > limit:
            raise too_long()
        parts.append(data)


async def ask(stream: INetStream, question: bytes, limit: int) -> bytes:
    """Send the question, end our direction, return the whole answer.

    Raises:
        ResponseTooLongError: the answer has more than ``limit`` bytes.
        RequestFailedError: the stream was cut.

    """
    try:
        await stream.write(question)
        await stream.close_write()
        return await read_to_end(stream, limit, lambda: ResponseTooLongError("too long"))
    except StreamError as error:
        raise RequestFailedError("the stream was cut before the whole answer") from error


class Server:
    """Answers questions of one protocol within limits; a handler of the host."""

    def __init__(self, answer: Answer, limits: ServeLimits, counters: Counters) -> None:
        """``answer(relay_id, question)`` is awaited for each question."""
        self._answer = answer
        self._limits = limits
        self._counters = counters
        self._slots = trio.CapacityLimiter(limits.concurrent)

    async def __call__(self, stream: INetStream) -> None:
        """Serve one stream. Errors leave it; the host counts them and cuts the stream."""
        try:
            self._slots.acquire_on_behalf_of_nowait(stream)
        except trio.WouldBlock:
            self._counters.count("request_refused")
            await stream.reset()
            return
        try:
            with trio.fail_after(self._limits.timeout_s):
                question = await self._question(stream, self._limits.request_size)
                answer = await self._answer(relay_id_of(stream.muxed_conn.peer_id), question)
                await stream.write(answer)
                await stream.close()
        finally:
            self._slots.release_on_behalf_of(stream)

    async def _question(self, stream: INetStream, limit: int) -> bytes:
        """Read one question, which ends with the asker's direction."""
        return await read_to_end(stream, limit, lambda: RequestTooLongError("too long"))
