"""The service `ping`: what comes in goes back, so that a caller can time the way (SPEC 13.5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from peerstream.node.ports import ByteStream
from peerstream.node.protocol.errors import RemoteProtocolError

SERVICE: Final = "ping"
PAYLOAD: Final = 100  # bytes, as in the comparisons with other networks
_PIECE: Final = 65_536


class EchoMismatchError(RemoteProtocolError):
    """The peer sent back something else than it got: its software is faulty."""


class EchoEndedError(RemoteProtocolError):
    """The peer ended the stream instead of answering: it shuts down, or limits pings. Try again."""


async def answer_pings(stream: ByteStream) -> None:
    """Send back what comes until its end. Raises StreamError.

    A caller that does not read its answers is not read any further either: `send` waits.
    """
    while data := await stream.receive(_PIECE):
        await stream.send(data)
    await stream.send_end()


async def ping_once(stream: ByteStream, payload: bytes, now: Callable[[], float]) -> float:
    """Send a payload there and back; return the seconds it took.

    Raises EchoMismatchError, EchoEndedError, StreamError.
    """
    started = now()
    await stream.send(payload)
    received = b""
    while len(received) < len(payload):
        data = await stream.receive(len(payload) - len(received))
        if not data:
            raise EchoEndedError("the stream ended before the answer")
        received += data
    took = now() - started
    if received != payload:
        raise EchoMismatchError("another payload came back")
    return took


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Times of several round trips, in seconds."""

    seconds: Sequence[float]

    def percentile(self, percent: float) -> float:
        """Return the smallest time that so many percent did not exceed."""
        ordered = sorted(self.seconds)
        rank = -(-len(ordered) * percent // 100)
        return ordered[max(0, int(rank) - 1)]
