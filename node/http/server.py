"""Serves an application on a socket that is there already: hypercorn under trio (SPEC 17.7)."""

import socket
from typing import Final

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

CONNECTIONS_MAX: Final = 64
IDLE_S: Final = 60.0
HEADERS_MAX: Final = 16_384
MESSAGE_MAX: Final = 16_384

_log = structlog.get_logger("peerstream.api")


def _configured() -> Config:
    config = Config()
    config.errorlog = None  # lines with addresses, in a log of its own
    config.accesslog = None
    config.include_server_header = False
    config.include_date_header = False
    config.keep_alive_timeout = IDLE_S
    config.h11_max_incomplete_size = HEADERS_MAX
    config.websocket_max_message_size = MESSAGE_MAX
    config.alpn_protocols = ["http/1.1"]
    return config


class ApiServer:
    """Serves one application on one listener. Connections end with it, read or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = _configured()
        self._app = wrap_app(app, MESSAGE_MAX, "asgi")  # type: ignore[arg-type]  # its own names
        self._context = WorkerContext(None)
        self._streams: set[trio.SocketStream] = set()

    async def serve(
        self,
        listener: socket.socket,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until cancelled; `started` at once. Closes the listener."""
        listening = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(trio.serve_listeners, self._connection, [listening])
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    # hypercorn shields what it sends: to a client that does not read, for ever
                    for stream in list(self._streams):
                        stream.socket.close()
        finally:
            listening.socket.close()

    async def _connection(self, stream: trio.SocketStream) -> None:
        if len(self._streams) >= CONNECTIONS_MAX:
            await trio.aclose_forcefully(stream)
            return
        self._streams.add(stream)
        try:
            server = TCPServer(
                self._app,
                self._config,
                self._context,
                ConnectionState({}),
                stream,  # type: ignore[arg-type]  # it takes one without TLS too
            )
            await server.run()
        except Exception as error:  # noqa: BLE001 - a supervisor: one client must not end others
            _log.debug("api.connection_failed", error=type(error).__name__)
        finally:
            self._streams.discard(stream)
