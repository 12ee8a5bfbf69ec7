"""A node of the DHT: libp2p's Kademlia, of one value and on our own network only (SPEC 6.14).

py-libp2p's own `KadDHT` is not used: it answers under the protocol of the public DHT only, takes
values and addresses of anybody, dials names, and keeps one of two values where ours is their union.
"""

from collections.abc import Callable
from typing import Final

from libp2p.abc import INetStream
from libp2p.network.stream.exceptions import StreamEOF

from peerstream.node.network.counters import Counters
from peerstream.node.network.exchange import ServeLimits, Server
from peerstream.node.protocol.directory.errors import BadAdmissionError
from peerstream.node.protocol.directory.kad_wire import (
    LENGTH_MAX,
    QUESTION_MAX,
    decode_message,
    encode_message,
    read_length,
)
from peerstream.node.protocol.directory.kademlia import Responder

_LIMITS: Final = ServeLimits(request_size=QUESTION_MAX)


async def read_message(stream: INetStream, limit: int) -> bytes:
    """Read one message with its length before it; return it without.

    Other implementations leave their direction open, so its end is not waited for, and what is
    behind the message is not looked at. Raises StreamError, MalformedDocumentError.
    """
    data = b""
    while (head := read_length(data, limit)) is None:
        data += await _more(stream, LENGTH_MAX)
    size, at = head
    parts, missing = [data[at:]], size - len(data) + at
    while missing > 0:
        parts.append(await _more(stream, missing))
        missing -= len(parts[-1])
    return b"".join(parts)[:size]


async def _more(stream: INetStream, size: int) -> bytes:
    data: bytes = await stream.read(size)
    if not data:
        raise StreamEOF("the end in the middle of a message")
    return data


class KadServer(Server):
    """Serves one DHT; a handler of the host. ``wall()``: unix seconds.

    A connection over which a forged admission comes is closed: each costs a verification, and
    the next one shall cost a handshake.
    """

    def __init__(self, responder: Responder, wall: Callable[[], int], counters: Counters) -> None:
        async def answer(_asker: bytes, question: bytes) -> bytes:
            asked = decode_message(question)
            counters.add(f"dht_{asked.kind.name.lower()}", 1)
            return encode_message(responder.answer(asked, wall()))

        super().__init__(answer, _LIMITS, counters)

    async def __call__(self, stream: INetStream) -> None:
        """Serve one stream. Errors leave it; the host counts them and cuts the stream."""
        try:
            await super().__call__(stream)
        except BadAdmissionError:
            await stream.muxed_conn.close()
            raise

    async def _question(self, stream: INetStream, limit: int) -> bytes:
        return await read_message(stream, limit)
