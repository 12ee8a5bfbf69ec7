"""HTTP/1.1 messages on one side of an exchange, by h11's strict reader (SPEC 19.5)."""

from contextlib import suppress
from typing import Final

import h11

from peerstream.node.gateway.local_stream import Wire
from peerstream.node.ports import StreamError

HEAD_MAX: Final = 65_536  # bytes
FIELDS_MAX: Final = 128
_PIECE: Final = 65_536

Side = type[h11.CLIENT] | type[h11.SERVER]
Event = (
    h11.Request
    | h11.InformationalResponse
    | h11.Response
    | h11.Data
    | h11.EndOfMessage
    | h11.ConnectionClosed
    | type[h11.PAUSED]
)


class MessageError(StreamError):
    """What came is no HTTP/1.1, or could be read in two ways: the program that sent it is at fault.

    Its software may be out of date, or somebody tries to have two readers disagree.
    """


class Messages:
    """One side: we are h11's `role` on it."""

    def __init__(self, wire: Wire, role: Side) -> None:
        self.wire = wire
        self._connection = h11.Connection(role, max_incomplete_event_size=HEAD_MAX)
        self._ended = False

    async def begun(self) -> bool:
        """Wait for the first bytes of a message; False at the end. Raises StreamError."""
        if self._connection.trailing_data[0]:
            return True
        return await self._read()

    async def _read(self) -> bool:
        data = await self.wire.receive(_PIECE)
        if not (data and self._ended):
            self._connection.receive_data(data)
            self._ended = not data
        return bool(data)

    async def next_event(self) -> Event:
        """Return the next part of a message. Raises MessageError, StreamError."""
        try:
            while (event := self._connection.next_event()) is h11.NEED_DATA:
                await self._read()
        except h11.RemoteProtocolError as error:
            raise MessageError(str(error)) from error
        return event  # type: ignore[return-value]

    async def send(self, event: h11.Event) -> None:
        """Send a part of a message. Raises StreamError, MessageError out of turn."""
        try:
            data = self._connection.send(event)
        except h11.LocalProtocolError as error:
            raise MessageError(str(error)) from error
        if data:
            await self.wire.send(data)

    @property
    def waits_to_continue(self) -> bool:
        """Whether the other side waits for a 100 before its body."""
        return self._connection.they_are_waiting_for_100_continue

    @property
    def may_answer(self) -> bool:
        """Whether no part of an answer went out yet."""
        return self._connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}

    @property
    def rest(self) -> bytes:
        """What came behind the messages that were read."""
        return self._connection.trailing_data[0]

    def next_cycle(self) -> bool:
        """Begin another exchange; False when this side wants or can have no more."""
        with suppress(h11.LocalProtocolError):
            self._connection.start_next_cycle()
            return True
        return False
