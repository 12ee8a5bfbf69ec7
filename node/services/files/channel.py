"""Messages of the service `file` over one stream (SPEC 11.1)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

import trio

from peerstream.node.ports import ByteStream, StreamError
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.version import negotiate
from peerstream.node.services.files.errors import (
    EndedEarlyError,
    FileServiceError,
    StalledError,
    UnexpectedMessageError,
)
from peerstream.node.services.files.limits import FAREWELL_S, PIECE_S, PROMPT_S
from peerstream.node.services.files.wire import (
    FILE_VERSIONS,
    GREETING_SIZE,
    HEAD_SIZE,
    Kind,
    decode_greeting,
    decode_head,
    encode_greeting,
    encode_head,
)

_READ_SIZE: Final = 65_536


class Message(NamedTuple):
    """One whole message, its body not looked into."""

    kind: Kind
    body: bytes


class Channel:
    """Writes and reads whole messages; at most one message and one read are ever held.

    `async with Channel(stream)` takes the stream over: at the end it is closed, or reset where the
    peer broke the protocol, fell silent, or we were cancelled. Every wait is bounded. Beside the
    errors named, every method raises those of the stream.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._received = bytearray()
        self._heard = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, RemoteProtocolError):
            self.stream.reset(Status.PROTO)
        elif isinstance(error, StalledError):
            self.stream.reset(Status.TIMEOUT)
        elif error is None or isinstance(error, FileServiceError):
            await self._farewell()
        else:
            self.stream.reset()

    async def _farewell(self) -> None:
        """End the stream so that our last message arrives: a reset could overtake it."""
        try:
            # What this waits for changes nothing any more: the file is there, or is not.
            with suppress(StreamError), trio.move_on_after(FAREWELL_S):
                await self.stream.send_end()
                await self.stream.drain()
            await self.stream.aclose()
        except trio.Cancelled:
            self.stream.reset()
            raise

    async def greet(self) -> None:
        """Say which versions we speak: our first bytes."""
        await self._send(encode_greeting(FILE_VERSIONS))

    async def send(self, kind: Kind, body: bytes) -> None:
        """Write one message. Raises StalledError when the peer does not take it."""
        await self._send(encode_head(kind, len(body)) + body)

    async def send_last(self, kind: Kind, body: bytes) -> None:
        """Write how it ended. That stands, whether the peer still hears of it or not."""
        with suppress(StreamError, StalledError):
            await self.send(kind, body)

    async def send_piece(self, framed: bytearray) -> None:
        """Write a PIECE: HEAD_SIZE bytes left free for the head, then bytes of the file."""
        framed[:HEAD_SIZE] = encode_head(Kind.PIECE, len(framed) - HEAD_SIZE)
        await self._send(memoryview(framed))

    async def _send(self, data: bytes | memoryview) -> None:
        with _patience(PIECE_S):
            await self.stream.send(data)

    async def receive(self, seconds: float) -> Message:
        """Return the next message; its first byte must come within `seconds`.

        Raises EndedEarlyError, StalledError, MessageError, VersionError.
        """
        message = await self.receive_or_end(seconds)
        if message is None:
            raise EndedEarlyError("the peer ended the stream where a message must follow")
        return message

    async def receive_or_end(self, seconds: float) -> Message | None:
        """As `receive`, but None when the peer ended its half before the message began."""
        if not self._heard:
            with _patience(PROMPT_S):
                negotiate(FILE_VERSIONS, decode_greeting(await self._take(GREETING_SIZE)))
            self._heard = True
        with _patience(seconds):
            if not self._received and not await self._more(_READ_SIZE):
                return None
        with _patience(PIECE_S):
            kind, length = decode_head(await self._take(HEAD_SIZE))
            return Message(kind, await self._take(length))

    async def expect(self, kind: Kind, seconds: float) -> bytes:
        """Return the body of the next message, which must be of this kind.

        Raises UnexpectedMessageError, and what `receive` raises.
        """
        message = await self.receive(seconds)
        if message.kind is not kind:
            raise UnexpectedMessageError(f"{message.kind.name} in place of {kind.name}")
        return message.body

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            if not await self._more(size - len(self._received)):
                raise EndedEarlyError("the stream ended inside a message")
        taken = bytes(memoryview(self._received)[:size])
        del self._received[:size]
        return taken

    async def _more(self, missing: int) -> bool:
        """Whether more arrived; False at the end that the peer wrote."""
        data = await self.stream.receive(max(missing, _READ_SIZE))
        self._received += data
        return bool(data)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    with trio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise StalledError(f"the peer did nothing for {seconds:.0f} s")
