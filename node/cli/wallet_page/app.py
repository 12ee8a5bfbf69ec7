"""The page's side on this machine: what it shows, and what it takes back (SPEC 22.6).

Whoever has the path may look and post; what counts is a signature that verifies.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Final

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from peerstream.identity.errors import IdentityError
from peerstream.identity.signer import TypedData
from peerstream.identity.web.headers import PAGE_HEADERS, HeadersMiddleware
from peerstream.identity.web.origins import Origins
from peerstream.identity.web.problem import ProblemError, install_problems, problem_response
from peerstream.identity.web.routes import BoundedRequest
from peerstream.node.cli.wallet_page.words import describe
from peerstream.node.store.errors import StoreError

_FILES: Final = {
    "": ("page.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "style.css": ("style.css", "text/css"),
}
_SIGNATURE: Final = re.compile(r"0x((?:[0-9a-fA-F]{2}){1,4096})")
_HOSTS: Final = ("127.0.0.1", "localhost")
# One request, one connection: nothing of a browser is left open when the command goes on.
_HEADERS: Final = {**PAGE_HEADERS, "connection": "close"}


class WalletPage:
    """One delegation to be signed, once.

    accept: verifies a signature and keeps it, or raises IdentityError. ended: called when the
    answer to what ended it is on its way.
    """

    def __init__(
        self, typed: TypedData, accept: Callable[[bytes], None], ended: Callable[[], None]
    ) -> None:
        self._typed = typed
        self._accept = accept
        self._ended = ended
        self._token = secrets.token_urlsafe(32)
        self._once: str | None = secrets.token_urlsafe(32)
        self._port = 0
        self.signed = False
        self.declined = False
        self.failure: StoreError | None = None
        self.app: ASGIApp = self._make()

    def serve_at(self, port: int) -> None:
        """Say which port it listens on; before that, no request is for it."""
        self._port = port

    @property
    def url(self) -> str:
        """Where the page is, until it ended."""
        return f"{self._base}/{self._token}/"

    @property
    def opening_url(self) -> str:
        """What leads there once: others of this machine can read a browser's arguments."""
        return f"{self._base}/open/{self._once}"

    @property
    def _base(self) -> str:
        return f"http://{_HOSTS[0]}:{self._port}"

    def _make(self) -> ASGIApp:
        routes = [
            Route("/open/{once}", self._open),
            Route("/{token}/", self._file),
            Route("/{token}/request", self._request),
            Route("/{token}/signature", self._take, methods=["POST"]),
            Route("/{token}/decline", self._decline, methods=["POST"]),
            Route("/{token}/{name}", self._file),
        ]
        inner = Starlette(routes=routes)
        inner.router.redirect_slashes = False
        install_problems(inner)
        return HeadersMiddleware(_Guard(inner, self._check), _HEADERS)

    def _check(self, request: Request) -> None:
        """Raise ProblemError for what is not for us: a foreign name, a foreign page, too late."""
        hosts = [f"{host}:{self._port}" for host in _HOSTS]
        if request.headers.getlist("host") not in [[host] for host in hosts]:
            raise ProblemError(421, "foreign-host", "this page has no such name")
        Origins(f"http://{host}" for host in hosts).check(request)
        if self.signed or self.declined or self.failure is not None:
            raise ProblemError(410, "ended", "this page has done its work")

    def _require_token(self, request: Request) -> None:
        given = request.path_params["token"].encode()
        if not hmac.compare_digest(given, self._token.encode()):
            raise HTTPException(404)

    async def _open(self, request: Request) -> Response:
        given, once = request.path_params["once"].encode(), (self._once or "").encode()
        if not once or not hmac.compare_digest(given, once):
            raise HTTPException(404)
        self._once = None
        return RedirectResponse(self.url, 303)

    async def _file(self, request: Request) -> Response:
        self._require_token(request)
        name = request.path_params.get("name", "")
        if name not in _FILES:
            raise HTTPException(404)
        file, kind = _FILES[name]
        return Response(files(__package__).joinpath(file).read_bytes(), media_type=kind)

    async def _request(self, request: Request) -> Response:
        self._require_token(request)
        return JSONResponse({"typed": self._typed, "words": describe(self._typed)})

    async def _take(self, request: Request) -> Response:
        signature = _read_signature(await self._body(request))
        try:
            self._accept(signature)
        except IdentityError as error:
            raise ProblemError(422, "signature-refused", str(error)) from error
        except StoreError as error:
            self.failure = error
            answer = {"signed": False, "detail": "psp could not keep it: see its terminal"}
            return JSONResponse(answer, 503, background=BackgroundTask(self._end))
        self.signed = True
        return JSONResponse({"signed": True}, background=BackgroundTask(self._end))

    async def _decline(self, request: Request) -> Response:
        await self._body(request)
        self.declined = True
        return JSONResponse({"declined": True}, background=BackgroundTask(self._end))

    async def _body(self, request: Request) -> Any:
        self._require_token(request)
        try:
            body = await BoundedRequest(request.scope, request.receive).json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ProblemError(422, "malformed-request", "send a JSON object")
        self._check(request)  # another request may have ended it while this one came in
        return body

    async def _end(self) -> None:
        self._ended()


class _Guard:
    """Asks before an application sees a request, and lets nothing but HTTP through."""

    def __init__(self, app: ASGIApp, check: Callable[[Request], None]) -> None:
        self._app = app
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            try:
                self._check(Request(scope))
            except ProblemError as error:
                await problem_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _read_signature(body: dict[str, Any]) -> bytes:
    text = body.get("signature")
    found = _SIGNATURE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ProblemError(422, "malformed-request", "a signature is 0x and hexadecimal digits")
    return bytes.fromhex(found[1])
