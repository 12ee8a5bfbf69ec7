"""multistream-select 1.0 with bounds, and with its two questions asked in one packet (SPEC 9.3).

The stock responder dies of a protocol name that is not UTF-8 and the stock initiator spends a
round trip on the greeting. Ours refuses the one and saves the other; the bytes are the same.
"""

from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Protocol

from peerstream.node.network.errors import NegotiationError, ProtocolRefusedError

GREETING = "/multistream/1.0.0"
REFUSAL = "na"
MESSAGE_MAX = 256  # the longest protocol id in use anywhere is well below
PROPOSALS_MAX = 8  # a peer that does not find a protocol in eight is searching for us


class ByteStream(Protocol):
    """What is negotiated on: a socket, a secured connection, or a Yamux stream."""

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte and at most n, or b"" at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all."""
        ...


def encode_message(text: str) -> bytes:
    """Length (a varint that includes the newline), text, newline."""
    body = text.encode() + b"\n"
    if len(body) > MESSAGE_MAX:
        raise ValueError("a protocol id of ours is too long")
    if len(body) < 0x80:
        return bytes([len(body)]) + body
    return bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body


async def _read_exactly(stream: ByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise NegotiationError("the peer left during the negotiation")
        data += more
    return data


async def read_message(stream: ByteStream) -> str:
    """One message.

    Raises:
        NegotiationError: too long, not printable ASCII, no newline, or the stream ended.

    """
    size = (await _read_exactly(stream, 1))[0]
    if size & 0x80:
        size = size & 0x7F | (await _read_exactly(stream, 1))[0] << 7
    if not 1 <= size <= MESSAGE_MAX:
        raise NegotiationError("a negotiation message of impossible size")
    body = await _read_exactly(stream, size)
    text = body[:-1].decode("ascii", errors="replace")
    if body[-1:] != b"\n" or not text.isprintable() or not text.isascii():
        raise NegotiationError("a negotiation message that is no protocol id")
    return text


async def propose(stream: ByteStream, protocols: Sequence[str]) -> str:
    """Ask for the protocols in turn; the first goes out together with the greeting.

    Raises:
        ProtocolRefusedError: the peer wants none of them.
        NegotiationError: it answers something else.

    """
    greeting = encode_message(GREETING)
    for number, protocol in enumerate(protocols):
        await stream.write((greeting if number == 0 else b"") + encode_message(protocol))
        if number == 0 and await read_message(stream) != GREETING:
            raise NegotiationError("the peer does not speak multistream-select")
        answer = await read_message(stream)
        if answer == protocol:
            return protocol
        if answer != REFUSAL:
            raise NegotiationError("the peer answers what was not asked")
    raise ProtocolRefusedError("the peer refuses every protocol that we proposed")


async def respond(
    stream: ByteStream,
    served: Container[str],
    admit: Callable[[str], Awaitable[bool]] | None = None,
) -> str:
    """Answer the peer's proposals until one is served, and admitted if that is asked.

    Raises:
        NegotiationError: no greeting, junk, or too many proposals.

    """
    await stream.write(encode_message(GREETING))
    if await read_message(stream) != GREETING:
        raise NegotiationError("the peer does not speak multistream-select")
    for _ in range(PROPOSALS_MAX):
        protocol = await read_message(stream)
        if protocol in served and (admit is None or await admit(protocol)):
            await stream.write(encode_message(protocol))
            return protocol
        await stream.write(encode_message(REFUSAL))
    raise NegotiationError("the peer proposes one protocol after the other")
