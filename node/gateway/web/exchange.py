"""Requests of one connection, carried to one upstream, one after the other (SPEC 19.5).

What comes in is read whole as messages and written anew, so that both ends see the same ones.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import h11
import trio

from peerstream.node.gateway.local_stream import Wire
from peerstream.node.gateway.web.fields import wants_websocket
from peerstream.node.gateway.web.messages import MessageError, Messages
from peerstream.node.gateway.web.refusal import PageError
from peerstream.node.ports import StreamError
from peerstream.node.roles.tasks import bare_errors

HEAD_S: Final = 30.0  # from the first byte of a head to its last
IDLE_S: Final = 75.0  # between two requests
LINGER_S: Final = 2.0  # to read what is under way, so that closing does not undo the answer
_LINGER_BYTES: Final = 1 << 20


class Rules(Protocol):
    """What one connection may ask for, and what is changed on the way."""

    def request(self, request: h11.Request) -> h11.Request:
        """Return the request as it goes on. Raises PageError."""
        ...

    async def open(self, request: h11.Request) -> Wire:
        """Return where the requests of this connection go; asked once. Raises PageError."""
        ...

    def response(self, response: h11.Response) -> h11.Response:
        """Return an answer as it goes back."""
        ...

    def switched(self, response: h11.InformationalResponse) -> h11.InformationalResponse:
        """Return the answer by which both change to WebSocket, as it goes back."""
        ...

    def broken(self, error: StreamError) -> PageError:
        """Return the page for an upstream that broke off before it answered."""
        ...

    def finished(self, request: h11.Request | None, status: int, outcome: str) -> None:
        """Learn how a request ended. status: 0 where there was no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Switched:
    """The exchange became WebSocket; what came already goes first: bytes each way."""

    upstream: Wire
    forth: bytes
    back: bytes


class _End(Enum):
    AGAIN = "both sides may have another exchange"
    CLOSE = "the connection is over, in order"
    SWITCH = "both sides changed to WebSocket"


class Exchanges:
    """All exchanges of one connection. The one who made it closes the connection."""

    def __init__(self, front: Wire, rules: Rules) -> None:
        self._front = Messages(front, h11.SERVER)
        self._rules = rules
        self._upstream: Messages | None = None
        self._request: h11.Request | None = None
        self._status = 0

    async def run(self) -> Switched | None:
        """Carry requests until either side ends; or return what is to be carried raw.

        Raises StreamError where the connection broke off within a message.
        """
        switched = None
        try:
            try:
                switched = await self._run()
            except PageError as refusal:
                await self._refuse(refusal)
        except StreamError:
            self._rules.finished(self._request, self._status, "reset")
            if self._upstream is not None:
                self._upstream.wire.reset()
            raise
        finally:
            if switched is None and self._upstream is not None:
                with trio.CancelScope(shield=True):
                    await self._upstream.wire.aclose()
        return switched

    async def _run(self) -> Switched | None:
        end = _End.AGAIN
        while end is _End.AGAIN:
            request = await self._next_request()
            if request is None:
                return None
            end = await self._exchange(request)
            self._rules.finished(request, self._status, "ended")
            self._request = None
        if end is _End.SWITCH and self._upstream is not None:
            return Switched(self._upstream.wire, self._front.rest, self._upstream.rest)
        await self._linger()
        return None

    # Requests

    async def _next_request(self) -> h11.Request | None:
        """Return the next request, None when either side ended in between."""
        begun = False
        with trio.move_on_after(IDLE_S):
            begun = await self._begun()
        if not begun:
            return None
        self._status = 0
        with trio.move_on_after(HEAD_S):
            try:
                event = await self._front.next_event()
            except MessageError as error:
                raise PageError.of(400, error) from error
            self._request = event if isinstance(event, h11.Request) else None
            return self._request
        raise PageError(408, "the request did not come whole in time")

    async def _begun(self) -> bool:
        """Wait for a request; False when the upstream ends before, or says what nobody asked."""
        upstream = self._upstream
        if upstream is None:
            return await self._front.begun()
        begun = False
        with bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, upstream.wire, nursery.cancel_scope)
                begun = await self._front.begun()
                nursery.cancel_scope.cancel()
        return begun

    async def _exchange(self, request: h11.Request) -> _End:
        sent = self._rules.request(request)
        if self._upstream is None:
            self._upstream = Messages(await self._rules.open(request), h11.CLIENT)
        upstream = self._upstream
        try:
            await upstream.send(sent)
        except StreamError as error:
            raise self._rules.broken(error) from error
        body = _Body(self._front, upstream)
        end = _End.CLOSE
        with bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(body.carry)
                end = await self._answer(upstream, wanted=wants_websocket(request.headers))
                nursery.cancel_scope.deadline = trio.current_time() + LINGER_S
        if not body.whole or (end is _End.AGAIN and not self._next_cycle(upstream)):
            return _End.CLOSE
        return end

    def _next_cycle(self, upstream: Messages) -> bool:
        return self._front.next_cycle() and upstream.next_cycle()

    # Answers

    async def _answer(self, upstream: Messages, *, wanted: bool) -> _End:
        while True:
            try:
                event = await upstream.next_event()
            except StreamError as error:
                raise self._broken(error) from error
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101 and wanted:
                    await self._switch(event)
                    return _End.SWITCH
                await self._continue(event)
            elif isinstance(event, h11.Response):
                self._status = event.status_code
                await self._front.send(self._rules.response(event))
            elif isinstance(event, h11.Data):
                await self._front.send(h11.Data(event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self._front.send(h11.EndOfMessage())
                return _End.AGAIN
            else:
                raise self._broken(MessageError("the service ended instead of answering"))

    def _broken(self, error: StreamError) -> Exception:
        """Return what an upstream that fails comes to: a page, if no answer has begun."""
        return self._rules.broken(error) if self._front.may_answer else error

    async def _continue(self, event: h11.InformationalResponse) -> None:
        if event.status_code == 100 and self._front.waits_to_continue:
            await self._front.send(h11.InformationalResponse(status_code=100, headers=[]))

    async def _switch(self, event: h11.InformationalResponse) -> None:
        self._status = event.status_code
        await self._front.send(self._rules.switched(event))

    async def _refuse(self, refusal: PageError) -> None:
        """Answer with a page, if an answer can still be given, and end."""
        self._rules.finished(self._request, refusal.status, "refused")
        if not self._front.may_answer:
            return
        page = refusal.page()
        head = h11.Response(
            status_code=refusal.status, headers=refusal.fields(page), reason=refusal.reason
        )
        await self._front.send(head)
        if self._request is None or self._request.method != b"HEAD":
            await self._front.send(h11.Data(page))
        await self._front.send(h11.EndOfMessage())
        await self._linger()

    async def _linger(self) -> None:
        """Read what the other side is still sending: closing over it would undo our answer."""
        wire = self._front.wire
        await wire.send_end()
        read = 0
        with trio.move_on_after(LINGER_S):
            while read < _LINGER_BYTES and (data := await wire.receive()):
                read += len(data)


async def _watch(wire: Wire, scope: trio.CancelScope) -> None:
    """Cancel when something comes, or ends."""
    with suppress(StreamError):
        await wire.receive()
    scope.cancel()


class _Body:
    """The body of one request on its way."""

    def __init__(self, front: Messages, upstream: Messages) -> None:
        self._front = front
        self._upstream = upstream
        self._heard = True  # by the upstream: who answered early may read no further
        self.whole = False

    async def carry(self) -> None:
        """Carry it to its end. Raises MessageError, StreamError for what the front broke off."""
        while True:
            event = await self._front.next_event()
            if isinstance(event, h11.Data):
                await self._pass(h11.Data(event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self._pass(h11.EndOfMessage())  # without trailers
                self.whole = True
                return
            else:
                raise MessageError("the request ended within its body")

    async def _pass(self, event: h11.Event) -> None:
        if self._heard:
            try:
                await self._upstream.send(event)
            except StreamError:
                self._heard = False
