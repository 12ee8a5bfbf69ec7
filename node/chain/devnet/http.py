"""A small HTTP/1.1 server for JSON-RPC, usable from browsers (SPEC 8.7).

trio opens its sockets with TCP_NODELAY: without it a devnet answers 4 transactions a second, for
the delayed acknowledgements of the other side.
"""

from collections.abc import Callable
from typing import Final

import h11
import trio

BODY_MAX: Final = 4_194_304  # a batch of a thousand signed transactions
CONNECTIONS_MAX: Final = 256
IDLE_S: Final = 120.0
_CHUNK: Final = 65_536
_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST, OPTIONS"),
    (b"access-control-allow-headers", b"content-type"),
    (b"cache-control", b"no-store"),
)


class _RefusedError(Exception):
    """The request is not served; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def serve(listener: trio.SocketListener, answer: Callable[[bytes], bytes]) -> None:
    """Serve until cancelled. `answer` takes a body and returns one; it must not block for long."""
    places = trio.CapacityLimiter(CONNECTIONS_MAX)

    async def handle(stream: trio.SocketStream) -> None:
        async with places:
            await serve_connection(stream, answer)

    await trio.serve_listeners(handle, [listener])


async def serve_connection(stream: trio.abc.Stream, answer: Callable[[bytes], bytes]) -> None:
    """Answer the requests of one connection until it ends; then it is closed."""
    await _Connection(stream, answer).run()


class _Connection:
    def __init__(self, stream: trio.abc.Stream, answer: Callable[[bytes], bytes]) -> None:
        self._stream = stream
        self._answer = answer
        self._state = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer requests until the other side goes, stalls or breaks HTTP."""
        try:
            while await self._exchange():
                self._state.start_next_cycle()
        except (h11.RemoteProtocolError, trio.BrokenResourceError, trio.TooSlowError):
            # It broke HTTP, or it is gone: there is nobody to tell.
            pass
        finally:
            await trio.aclose_forcefully(self._stream)

    async def _exchange(self) -> bool:
        with trio.fail_after(IDLE_S):
            request = await self._event()
            if not isinstance(request, h11.Request):
                return False
            try:
                status, body = await self._response(request)
            except _RefusedError as refused:
                status, body = refused.status, b""
            await self._send(status, body)
        return self._state.our_state is h11.DONE and self._state.their_state is h11.DONE

    async def _response(self, request: h11.Request) -> tuple[int, bytes]:
        if request.method == b"OPTIONS":
            await self._body()
            return 204, b""
        if request.method != b"POST":
            raise _RefusedError(405)
        return 200, self._answer(await self._body())

    async def _body(self) -> bytes:
        body = bytearray()
        while True:
            event = await self._event()
            if not isinstance(event, h11.Data):
                return bytes(body)
            body += event.data
            if len(body) > BODY_MAX:
                raise _RefusedError(413)

    async def _event(self) -> h11.Event | None:
        while True:
            event = self._state.next_event()
            if event is h11.PAUSED:
                return None
            if isinstance(event, h11.Event):
                return event
            if self._state.they_are_waiting_for_100_continue:
                await self._write(
                    self._state.send(h11.InformationalResponse(status_code=100, headers=[]))
                )
            self._state.receive_data(bytes(await self._stream.receive_some(_CHUNK)))

    async def _send(self, status: int, body: bytes) -> None:
        headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
        if self._state.their_state is not h11.DONE:
            headers.append((b"connection", b"close"))
        parts = (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        await self._write(b"".join(self._state.send(part) or b"" for part in parts))

    async def _write(self, data: bytes | None) -> None:
        if data:
            await self._stream.send_all(data)
