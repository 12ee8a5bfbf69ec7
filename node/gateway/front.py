"""The front for local programs: SOCKS5 and HTTP CONNECT on one port (SPEC 16.3).

It opens no connection of its own: what it is asked for is dialled in the network or refused.
"""

import socket
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
import trio

from peerstream.node.gateway.associate import associate
from peerstream.node.gateway.carrying import PIECE, Local, carry, reset_on_close, send_all
from peerstream.node.gateway.connect import ConnectDialogue, is_http
from peerstream.node.gateway.dialling import DIAL_ERRORS, Dial, DialOptions
from peerstream.node.gateway.errors import (
    GatewayError,
    MalformedRequestError,
    OldSocksError,
)
from peerstream.node.gateway.names import Destination, parse_destination
from peerstream.node.gateway.requests import Command, Dialogue, Request, token_of
from peerstream.node.gateway.socks import VERSION, SocksDialogue
from peerstream.node.ports import ByteStream

_log = structlog.get_logger("peerstream.front")

_SOCKS4: Final = 4
_FAREWELL_S: Final = 1.0
_TAKEN_MAX: Final = 1_024  # ways whose service took a stream; the oldest is forgotten

_Way = tuple[Destination, DialOptions]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSettings:
    """How a front behaves.

    isolation: of programs that give no user name; fronts with different ones share no circuit.
    level: 1, 2, None for the node's own. extended_errors: answer SOCKS5 by the codes of Tor's
    proposal 304. connections: how many programs at once. request_s: seconds for a request to be
    whole. dial_s: seconds for a dial.
    """

    isolation: bytes = field(default=b"", repr=False)
    level: int | None = None
    anonymous: bool = False
    extended_errors: bool = False
    connections: int = 1_024
    request_s: float = 20.0
    dial_s: float = 120.0


async def serve_front(
    listener: trio.SocketListener,
    dial: Dial,
    settings: FrontSettings,
    *,
    connections: trio.Nursery | None = None,
    task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve local programs on a listening socket, until cancelled; `started` once it does.

    The listener should be bound to loopback: whoever reaches it dials under the node's name.
    connections: where programs are served; they are not cut off then when this is cancelled.
    """
    await trio.serve_listeners(
        Front(dial, settings).serve,
        [listener],
        handler_nursery=connections,
        task_status=task_status,
    )


class Front:
    """What all connections of one listener share."""

    def __init__(self, dial: Dial, settings: FrontSettings) -> None:
        self._dial = dial
        self._settings = settings
        self.open = 0
        self._taken: dict[_Way, None] = {}

    async def serve(self, connection: trio.SocketStream) -> None:
        """Serve one program to its end."""
        local = connection.socket
        with local:
            if self.open >= self._settings.connections:
                reset_on_close(local)
                return
            self.open += 1
            try:
                await self._serve(local)
            except OSError:
                pass  # the program has gone
            except Exception as error:  # noqa: BLE001 - a supervisor: one program must not end others
                _log.error("front.bug", error=type(error).__name__)
                reset_on_close(local)
            finally:
                self.open -= 1

    async def _serve(self, local: Local) -> None:
        if local.family != socket.AF_UNIX:
            local.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dialogue = None
        with trio.move_on_after(self._settings.request_s):
            dialogue = await self._take_request(local)
        if dialogue is None or dialogue.request is None:
            return
        request = dialogue.request
        if request.command is Command.UDP_ASSOCIATE:
            dial = partial(self._open, request)
            await associate(local, dialogue, request.port, dial)
            return
        stream = await self._connect(local, dialogue, request)
        if stream is not None and not await carry(local, stream):
            destination = parse_destination(request.host).at_port(request.port)
            self._taken.pop((destination, self._options(request)), None)

    async def _take_request(self, local: Local) -> Dialogue | None:
        """Talk until there is a request; None when the program went away or was refused."""
        data = await local.recv(PIECE)
        if not data:
            return None
        try:
            dialogue = self._begin(data[0])
        except GatewayError:
            return None  # nothing we could say would be understood
        while data:
            try:
                answer = dialogue.receive(data)
            except GatewayError as error:
                await _refuse(local, dialogue, error)
                return None
            if answer:
                await send_all(local, answer)
            if dialogue.request is not None:
                return dialogue
            data = await local.recv(PIECE)
        return None

    def _begin(self, first: int) -> Dialogue:
        if first == VERSION:
            return SocksDialogue(extended_errors=self._settings.extended_errors)
        if is_http(first):
            return ConnectDialogue()
        if first == _SOCKS4:
            raise OldSocksError("SOCKS4")
        raise MalformedRequestError("neither SOCKS5 nor HTTP")

    async def _connect(
        self, local: Local, dialogue: Dialogue, request: Request
    ) -> ByteStream | None:
        """Return the stream that was asked for; None when it was refused."""
        try:
            destination = parse_destination(request.host).at_port(request.port)
            stream = await self._open(request, destination, dialogue.rest)
        except DIAL_ERRORS as error:
            await _refuse(local, dialogue, error)
            return None
        try:
            await send_all(local, dialogue.granted(0))
        except BaseException:
            stream.reset()
            raise
        return stream

    async def _open(
        self, request: Request, destination: Destination, early: bytes = b""
    ) -> ByteStream:
        """Dial, hand on what the program sent already, and wait until the service took it.

        Once for a way: while its streams are carried to their ends, a further one need not wait.
        """
        way = destination, self._options(request)
        with trio.fail_after(self._settings.dial_s):
            stream = await self._dial(*way)
            try:
                if early:
                    await stream.send(early)
                if way not in self._taken:
                    await stream.accepted()
                    self._take(way)
            except BaseException:
                stream.reset()
                raise
        return stream

    def _take(self, way: _Way) -> None:
        if len(self._taken) >= _TAKEN_MAX:
            del self._taken[next(iter(self._taken))]
        self._taken[way] = None

    def _options(self, request: Request) -> DialOptions:
        settings = self._settings
        isolation = token_of(settings.isolation, request.token)
        return DialOptions(isolation, settings.level, settings.anonymous)


async def _refuse(local: Local, dialogue: Dialogue, error: BaseException) -> None:
    """Say why not, and let the program read it: closing with unread bytes would reset it."""
    _log.debug("front.refused", error=type(error).__name__)
    await send_all(local, dialogue.refused(error))
    local.shutdown(socket.SHUT_WR)
    with trio.move_on_after(_FAREWELL_S):
        while await local.recv(PIECE):
            pass
