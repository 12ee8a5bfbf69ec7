"""One stream of a session, as programs use it (SPEC 10.8)."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from peerstream.node.ports import (
    DATAGRAM_MAX,
    DatagramTooLargeError,
    Peer,
    SessionEndedError,
    StreamError,
    StreamResetError,
)
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.datagrams import DatagramQueue

if TYPE_CHECKING:
    from peerstream.node.roles.sessions import SessionDriver

LINGER_S: Final = 10.0
LIFE_MAX_S: Final = 60.0  # of a datagram; a frame has 16 bits of milliseconds for it


class SessionStream:
    """A `ByteStream`. One task may read and another write; two must not do the same.

    Nor may two receive datagrams.
    """

    def __init__(self, driver: "SessionDriver", number: int, service: str) -> None:
        self._driver = driver
        self._session = driver.session
        self.number = number
        self._service = service
        self._ended = False  # the peer's half, authentically
        self._finished = False  # our half
        self._accepted = False
        self._error: StreamError | None = None
        # The peer takes nothing more of our half, and its own is here with its end.
        self._stopped: StreamError | None = None
        self._changed = trio.Event()
        self._datagrams = DatagramQueue(driver.datagrams)

    def __repr__(self) -> str:
        return f"<SessionStream {self.number} to {self._service}>"

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self._driver.peer

    @property
    def service(self) -> str:
        """The service that the stream was opened to."""
        return self._service

    def accept(self) -> None:
        """Tell the caller that we take its stream; of no effect once it ended."""
        if self._error is None:
            self._driver.accept(self)

    async def accepted(self) -> None:
        """Wait until the peer's service took the stream.

        Raises StreamResetError with NO_SERVICE when there is none, SessionEndedError.
        """
        if not self._accepted:
            self._session.hurry()
            self._driver.touch()
        while not self._accepted:
            self._check_sending()
            await self._changed.wait()

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return 1 to `max_bytes` bytes, or b"" at the end that the peer wrote.

        Raises StreamResetError, SessionEndedError.
        """
        await trio.lowlevel.checkpoint()
        while True:
            data = self._session.receive(self.number, max_bytes)
            if data:
                self._driver.received += len(data)
                self._driver.touch()
                return data
            if self._ended or self._stopped is not None:
                return b""
            self._check()
            await self._changed.wait()

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of `data` over, waiting while the peer does not read.

        Raises StreamResetError, SessionEndedError.
        """
        await trio.lowlevel.checkpoint()
        view = memoryview(data)
        while view:
            self._check_sending()
            taken = self._session.send(self.number, view)
            self._driver.sent += taken
            self._driver.touch()
            view = view[taken:]
            if view:
                await self._changed.wait()

    async def send_end(self) -> None:
        """End our half behind what was sent."""
        await trio.lowlevel.checkpoint()
        if not self._finished and self._error is None:
            self._finished = True
            self._session.send_end(self.number)
            self._driver.touch()

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send an unordered message beside the stream; as `ports.ByteStream`."""
        await trio.lowlevel.checkpoint()
        if len(data) > DATAGRAM_MAX:
            raise DatagramTooLargeError(f"{len(data)} bytes")
        self._check_sending()
        if self._finished or not life_s > 0:
            return False
        return self._driver.send_datagram(self, bytes(data), min(life_s, LIFE_MAX_S))

    async def receive_datagram(self) -> bytes | None:
        """Return the oldest datagram, None at the end of the peer's half; `ports.ByteStream`."""
        await trio.lowlevel.checkpoint()
        while not self._datagrams:
            if self._ended or self._stopped is not None:
                return None
            self._check()
            await self._changed.wait()
        return self._datagrams.take()

    async def drain(self) -> None:
        """Wait until the peer's node acknowledged everything sent.

        Raises StreamResetError, SessionEndedError.
        """
        await trio.lowlevel.checkpoint()
        while self._session.unacknowledged(self.number):
            self._check_sending()
            self._driver.draining.add(self)
            await self._changed.wait()

    async def aclose(self) -> None:
        """End our half, and give the peer's up unless it has ended already.

        What was sent has `LINGER_S` to arrive before that: giving a stream up drops both halves.
        Cancelled, it gives it up at once.
        """
        try:
            await self.send_end()
            if not self._ended and self._error is None:
                with trio.move_on_after(LINGER_S), suppress(StreamError):
                    await self.drain()
        finally:
            if not self._ended:
                self.reset(Status.CLOSED)
            self._let_go()

    def reset(self, status: Status = Status.CLOSED) -> None:
        """Give the stream up in both directions."""
        if self._error is None:
            self._error = StreamResetError(status)
            self._session.reset(self.number, status)
            self._driver.touch()
        self._let_go()
        self.tell()

    def _let_go(self) -> None:
        self._datagrams.clear()
        self._driver.forget(self.number)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _check_sending(self) -> None:
        self._check()
        if self._stopped is not None:
            raise self._stopped

    # What the driver calls

    def tell(self) -> None:
        """Have whoever waits look again."""
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def note_accepted(self) -> None:
        """Learn that the peer's service took the stream."""
        self._accepted = True
        self.tell()

    def note_datagram(self, data: bytes) -> None:
        """Take a datagram in; one behind the peer's end may be of a stream yet to come."""
        if not self._ended:
            self._datagrams.put(data)
            self.tell()

    def note_end(self) -> None:
        """Learn that the peer ended its half, and everything before came."""
        self._ended = True
        self.tell()

    def note_stopped(self, error: StreamResetError | SessionEndedError) -> None:
        """Learn that the peer takes nothing more; all it sent, and its end, can be received."""
        self._stopped = error
        self.tell()

    def fail(self, error: StreamResetError | SessionEndedError) -> None:
        """Learn that the stream is over."""
        if self._error is None:
            self._error = error
        self._datagrams.clear()
        self.tell()
