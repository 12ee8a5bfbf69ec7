"""Who may ask: looked at before anything of a request is read by the application (SPEC 17.7).

A page in a browser can send requests to this machine, under a name of its own that it lets point
here, or from its own origin. Neither may reach the API, whatever the request asks for.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from peerstream.identity.web.headers import API_HEADERS
from peerstream.identity.web.problem import ProblemError, problem_response

TOKEN_BYTES: Final = 32
REQUESTS_MAX: Final = 64  # at once, event streams included
_OPEN: Final = frozenset({"/livez", "/readyz", "/docs", "/docs.css", "/openapi.json"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
_TOKEN_MAX: Final = 256
# The client went away while it was read or answered: busy is a socket that is being closed.
_GONE: Final = (
    ClientDisconnect,
    trio.BrokenResourceError,
    trio.BusyResourceError,
    trio.ClosedResourceError,
)


@dataclass(frozen=True, slots=True)
class Door:
    """One listener: the hosts that it answers to, and the token that it asks for, if any.

    hosts: as in a Host header, with the port. On a Unix socket the file's mode is the token.
    """

    hosts: frozenset[str]
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of_socket(cls) -> "Door":
        """Return the door of a Unix socket, where clients write any name they like for us."""
        return cls(frozenset({"localhost"}))

    @classmethod
    def of_port(cls, port: int, token: str) -> "Door":
        """Return the door of a loopback port."""
        names = ("localhost", "127.0.0.1", "[::1]")
        return cls(frozenset(f"{name}:{port}" for name in names), token)

    def check(self, path: str, headers: Headers) -> None:
        """Raise ProblemError for a request that may not come in."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            raise ProblemError(421, "foreign-host", "the request is for another host")
        self._check_origin(headers)
        if self.token is not None and path not in _OPEN:
            self._check_token(headers)

    def _check_origin(self, headers: Headers) -> None:
        own = {f"http://{host}" for host in self.hosts} if self.token is not None else set()
        foreign = any(origin not in own for origin in headers.getlist("origin"))
        if foreign or headers.get("sec-fetch-site", "none") not in _OWN_SITE:
            raise ProblemError(403, "foreign-origin", "the request comes from another site's page")

    def _check_token(self, headers: Headers) -> None:
        found = headers.getlist("authorization")
        scheme, _, shown = found[0].partition(" ") if len(found) == 1 else ("", "", "")
        given = shown[:_TOKEN_MAX].encode()
        fine = hmac.compare_digest(given, (self.token or "").encode())
        if scheme.lower() != "bearer" or not fine:
            raise ProblemError(
                401,
                "token-needed",
                "send the token of run/api.token",
                {"WWW-Authenticate": "Bearer"},
            )


class Guard:
    """Lets in what the door lets in; a supervisor, so that a bug ends one request alone.

    on_bug: gets the error, which no client should be able to cause.
    """

    def __init__(self, app: ASGIApp, door: Door, on_bug: Callable[[BaseException], None]) -> None:
        self._app = app
        self._door = door
        self._on_bug = on_bug
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] not in ("http", "websocket"):
            return
        try:
            self._door.check(scope["path"], Headers(scope=scope))
            self._require_room()
        except ProblemError as error:
            await _refuse(error, scope, receive, send)
            return
        self._requests += 1
        try:
            await self._app(scope, receive, send)
        except _GONE:
            pass
        except Exception as error:  # noqa: BLE001 - a supervisor
            self._on_bug(error)
        finally:
            self._requests -= 1

    def _require_room(self) -> None:
        if self._requests >= REQUESTS_MAX:
            raise ProblemError(503, "busy", "too many requests at once", {"Retry-After": "1"})


async def _refuse(error: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the question to connect
        await send({"type": "websocket.close", "code": 1008})
        return
    response = problem_response(error)
    response.headers.update(API_HEADERS)
    await response(scope, receive, send)
