"""A peer that writes the messages of the service `file` by hand, right or wrong."""

from peerstream.node.services.files.offer import Answer, Begin, Offer, Receipt
from peerstream.node.services.files.wire import (
    FILE_VERSIONS,
    GREETING_SIZE,
    HEAD_SIZE,
    FileStatus,
    Kind,
    decode_head,
    encode_greeting,
)
from tests.node.services.memory_streams import MemoryStream


class RawPeer:
    """Says what it is told to, without any of our checks."""

    def __init__(self, stream: MemoryStream) -> None:
        self.stream = stream
        self._received = b""

    async def say(self, data: bytes) -> None:
        await self.stream.send(data)

    async def greet(self) -> None:
        await self.say(encode_greeting(FILE_VERSIONS))

    async def write(self, kind: int, body: bytes) -> None:
        await self.say(bytes((kind,)) + len(body).to_bytes(3, "big") + body)

    async def read_greeting(self) -> bytes:
        return await self._take(GREETING_SIZE)

    async def read(self) -> tuple[Kind, bytes]:
        kind, length = decode_head(await self._take(HEAD_SIZE))
        return kind, await self._take(length)

    async def offer(self, offer: Offer) -> Answer:
        """Greet and offer, as an honest sender does; return the answer."""
        await self.greet()
        await self.write(Kind.OFFER, offer.encode())
        await self.read_greeting()
        return Answer.decode(await self._read_body(Kind.ANSWER))

    async def begin(self, offset: int = 0) -> None:
        await self.write(Kind.BEGIN, Begin(offset).encode())

    async def read_offer(self) -> Offer:
        """Greet, as an honest receiver does; return the offer."""
        await self.greet()
        await self.read_greeting()
        return Offer.decode(await self._read_body(Kind.OFFER))

    async def take_all(self, offer: Offer) -> bytes:
        """Accept the whole offer; return the bytes that came."""
        await self.answer(0, bytes.fromhex(EMPTY_HASH))
        offset = Begin.decode(await self._read_body(Kind.BEGIN)).offset
        data = b""
        while offset + len(data) < offer.size:
            data += await self._read_body(Kind.PIECE)
        return data

    async def answer(self, offset: int, prefix: bytes) -> None:
        await self.write(Kind.ANSWER, Answer(FileStatus.OK, offset, prefix).encode())

    async def confirm(self, sha256: bytes) -> None:
        await self.write(Kind.RECEIPT, Receipt(FileStatus.OK, sha256).encode())

    async def _read_body(self, wanted: Kind) -> bytes:
        kind, body = await self.read()
        assert kind is wanted
        return body

    async def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            data = await self.stream.receive()
            if not data:
                raise EOFError
            self._received += data
        taken, self._received = self._received[:size], self._received[size:]
        return taken


EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
