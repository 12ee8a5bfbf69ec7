"""HTTP CONNECT as a local program speaks it, without I/O (RFC 9110 9.3.6; SPEC 16.4)."""

from http import HTTPStatus
from typing import Final

import h11

from peerstream.node.gateway.errors import (
    LargeRequestError,
    MalformedRequestError,
    NotConnectError,
)
from peerstream.node.gateway.names import shown_host
from peerstream.node.gateway.replies import verdict_of
from peerstream.node.gateway.requests import REQUEST_MAX, Command, Request, token_of
from peerstream.node.remedies import one_line, remedy_of

_TOO_LARGE: Final = 431
_BODIES: Final = frozenset({b"content-length", b"transfer-encoding"})


class ConnectDialogue:
    """One connection's HTTP: a CONNECT, and then it is HTTP no longer."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_MAX)

    @property
    def rest(self) -> bytes:
        """What came behind the request."""
        return self._http.trailing_data[0]

    def receive(self, data: bytes) -> bytes:
        """Take what came; there is nothing to send. Raises RequestError."""
        if not data:
            return b""  # to h11 it would be the end
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self.request = _request(event)
                self._http.next_event()  # its end: what follows is the program's own
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == _TOO_LARGE:
                raise LargeRequestError(f"more than {REQUEST_MAX} bytes of HTTP") from None
            raise MalformedRequestError("no request of HTTP") from None
        return b""

    def granted(self, _port: int) -> bytes:
        """Return the answer that it is connected."""
        return b"HTTP/1.1 200 Connected\r\n\r\n"

    def refused(self, error: BaseException) -> bytes:
        """Return the answer that fits an error: its name, and what to do, as text."""
        verdict, name = verdict_of(error), type(error).__name__
        body = f"{name}: {one_line(str(error))}\n{remedy_of(error)}".rstrip() + "\n"
        raw = body.encode()
        status = HTTPStatus(verdict.http)
        allow = "Allow: CONNECT\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f'Proxy-Status: psp; error={verdict.word}; details="{name}"\r\n'
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(raw)}\r\n"
            f"{allow}Connection: close\r\n\r\n"
        )
        return head.encode() + raw


def _request(event: h11.Request) -> Request:
    if event.method != b"CONNECT":
        raise NotConnectError(f"{shown_host(event.method.decode())} was asked for")
    host, port = _split(event.target)
    token = b""
    for name, value in event.headers:
        if name in _BODIES:
            raise MalformedRequestError("a CONNECT has no body")
        if name == b"host" and value not in {event.target, host}:
            raise MalformedRequestError("Host names another place than CONNECT does")
        if name == b"proxy-authorization":
            token = token_of(b"http", token, value)
    return Request(Command.CONNECT, host.decode("utf-8", "surrogateescape"), port, token)


def _split(target: bytes) -> tuple[bytes, int]:
    host, colon, port = target.rpartition(b":")
    if not colon or not port.isdigit() or len(port) > 5:
        raise MalformedRequestError("CONNECT takes HOST:PORT")
    return host, int(port)


def is_http(first: int) -> bool:
    """Whether a first byte can begin a request of HTTP: a letter of a method."""
    return first in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
