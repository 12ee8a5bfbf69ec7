"""`http://0x….localhost:PORT/`: addresses in a browser, each an origin of its own (SPEC 19.7)."""

import socket
from dataclasses import dataclass
from typing import Final

import h11
import structlog
import trio

from peerstream.node.gateway.carrying import carry
from peerstream.node.gateway.dialling import DIAL_ERRORS, Dial, DialOptions
from peerstream.node.gateway.local_stream import LocalStream, Wire
from peerstream.node.gateway.requests import token_of
from peerstream.node.gateway.web.confinement import confined
from peerstream.node.gateway.web.exchange import Exchanges
from peerstream.node.gateway.web.fields import path_of, request_fields
from peerstream.node.gateway.web.origins import check_asker, destination_of, host_of
from peerstream.node.gateway.web.refusal import PageError
from peerstream.node.ports import ByteStream, StreamError

_log = structlog.get_logger("peerstream.localhost")

_TOLD_MAX: Final = 64  # beyond those that are served: they are told why not, any more are reset
_ISOLATION: Final = token_of(b"localhost")  # apart from what programs dial by the front


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalhostSettings:
    """How a gateway behaves.

    level: 1, 2, None for the node's own. anonymous: tell addresses nothing of who calls.
    connections: how many at once. dial_s: seconds for a dial.
    """

    level: int | None = None
    anonymous: bool = False
    connections: int = 256
    dial_s: float = 60.0


async def serve_localhost(
    listener: trio.SocketListener,
    dial: Dial,
    settings: LocalhostSettings,
    *,
    connections: trio.Nursery | None = None,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve browsers on a listening socket, until cancelled; `started` once it does.

    The listener MUST be bound to loopback: whoever reaches it dials under the node's name.
    connections: where browsers are served; they are not cut off then when this is cancelled.
    """
    await trio.serve_listeners(
        LocalhostGateway(dial, settings).serve,
        [listener],
        handler_nursery=connections,
        task_status=task_status,
    )


class LocalhostGateway:
    """What all connections of one listener share."""

    def __init__(self, dial: Dial, settings: LocalhostSettings) -> None:
        self._dial = dial
        self._settings = settings
        self.open = 0

    async def serve(self, connection: trio.SocketStream) -> None:
        """Serve one connection of a browser to its end."""
        local = LocalStream(connection.socket)
        with local.socket:
            if self.open >= self._settings.connections + _TOLD_MAX:
                local.reset()
                return
            self.open += 1
            try:
                if local.socket.family != socket.AF_UNIX:
                    local.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._serve(local)
            except StreamError:
                local.reset()
            except OSError:
                pass  # the browser has gone
            except Exception as error:  # noqa: BLE001 - a supervisor: one page must not end others
                _log.error("localhost.bug", error=type(error).__name__)
                local.reset()
            finally:
                self.open -= 1

    async def _serve(self, local: LocalStream) -> None:
        full = self.open > self._settings.connections
        rules = PageRules(self._dial, self._settings, full=full)
        switched = await Exchanges(local, rules).run()
        if switched is not None and rules.stream is not None:
            await rules.stream.send(switched.forth)
            await local.send(switched.back)
            await carry(local.socket, rules.stream)


class PageRules:
    """Rules of one connection, which is for one Host. Satisfies `Rules`."""

    def __init__(self, dial: Dial, settings: LocalhostSettings, *, full: bool = False) -> None:
        self._dial = dial
        self._settings = settings
        self._full = full
        self._host: str | None = None
        self.stream: ByteStream | None = None

    def request(self, request: h11.Request) -> h11.Request:
        """Check whom it is for and who asks. Raises PageError."""
        host = host_of(request)
        if self._full:
            raise PageError(503, "Too many connections are open.", "Close some tabs, try again.")
        destination_of(host)
        if self._host not in {None, host}:
            raise PageError(421, "the connection is another address's", "Load the page again.")
        self._host = host
        check_asker(request, host)
        return h11.Request(
            method=request.method, target=path_of(request), headers=request_fields(request)
        )

    async def open(self, request: h11.Request) -> Wire:
        """Dial. Raises PageError."""
        settings = self._settings
        options = DialOptions(_ISOLATION, settings.level, settings.anonymous)
        try:
            with trio.fail_after(settings.dial_s):
                self.stream = await self._dial(destination_of(host_of(request)), options)
        except DIAL_ERRORS as error:
            raise PageError.of_dial(error) from error
        return self.stream

    def response(self, response: h11.Response) -> h11.Response:
        """Return the answer, confined to its address."""
        return h11.Response(
            status_code=response.status_code,
            headers=confined(response, self._host or ""),
            reason=response.reason,
        )

    def switched(self, response: h11.InformationalResponse) -> h11.InformationalResponse:
        """Return the answer that changes to WebSocket."""
        return h11.InformationalResponse(
            status_code=response.status_code,
            headers=confined(response, self._host or ""),
            reason=response.reason,
        )

    def broken(self, error: StreamError) -> PageError:
        """Say what a stream that ended before its answer means."""
        return PageError.of_dial(error)

    def finished(self, request: h11.Request | None, status: int, outcome: str) -> None:
        """Keep nothing: what was read when is nobody's business."""
