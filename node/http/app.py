"""The local API as an application (SPEC 17.7)."""

import time
from typing import Any, Final

import trio
from fastapi import FastAPI, WebSocket
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from peerstream.identity.web.headers import API_HEADERS, PAGE_HEADERS, HeadersMiddleware
from peerstream.identity.web.problem import ProblemError, install_problems, problem_response
from peerstream.node.http import metrics, page, schemas
from peerstream.node.http.owner import Daemon
from peerstream.node.http.routes import make_router, refusal

DESCRIPTION: Final = "What a PeerStream daemon tells its owner, and does for its owner's programs."


def make_app(daemon: Daemon) -> FastAPI:
    """Make the application of a daemon; put a `Guard` before it."""
    app = FastAPI(
        title="PeerStream daemon",
        version="1",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    install_problems(app)
    app.add_exception_handler(Exception, _bug)
    app.include_router(make_router(daemon))
    _add_health(app, daemon)
    _add_page(app)
    _add_events(app, daemon)
    app.add_middleware(HeadersMiddleware, headers=API_HEADERS)
    return app


async def _bug(_request: Request, _error: Exception) -> Response:
    """Answer for a bug of ours; the supervisor logs it."""
    return problem_response(HTTPException(500, "a bug of the daemon; its log says where"))


def _add_health(app: FastAPI, daemon: Daemon) -> None:
    async def live() -> JSONResponse:
        """Tell that the process runs."""
        return JSONResponse({"live": True})

    async def ready() -> JSONResponse:
        """Tell whether the daemon dials and takes more: not while it starts or drains."""
        if not daemon.ready:
            raise ProblemError(503, "not-ready", "it starts, drains, or knows too few relays")
        return JSONResponse({"ready": True})

    async def sums() -> Response:
        """Get sums for Prometheus."""
        return PlainTextResponse(metrics.render(daemon), media_type=metrics.MEDIA_TYPE)

    kept_out = {status: refusal(status) for status in (403, 421, 503)}
    common: dict[str, Any] = {"methods": ["GET"], "tags": ["health"], "responses": kept_out}
    app.add_api_route("/livez", live, operation_id="live", response_model=schemas.Live, **common)
    app.add_api_route(
        "/readyz", ready, operation_id="ready", response_model=schemas.Ready, **common
    )
    common["responses"] = {**kept_out, 401: refusal(401)}
    app.add_api_route(
        "/metrics", sums, operation_id="metrics", response_class=PlainTextResponse, **common
    )


def _add_page(app: FastAPI) -> None:
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.render(app.openapi()), headers=PAGE_HEADERS)

    async def style() -> PlainTextResponse:
        return PlainTextResponse(page.STYLE, media_type="text/css")

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/docs.css", style, include_in_schema=False)


def _add_events(app: FastAPI, daemon: Daemon) -> None:
    @app.websocket("/v1/events")
    async def events(socket: WebSocket) -> None:
        """Send `Event` objects: the status at once, then what happens."""
        try:
            with daemon.events() as happened:
                await socket.accept()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_until_gone, socket, nursery.cancel_scope)
                    await socket.send_text(_event("status", daemon))
                    async for name in happened:
                        await socket.send_text(_event(name, daemon))
        except ProblemError:
            await socket.close(1013)


async def _until_gone(socket: WebSocket, scope: trio.CancelScope) -> None:
    """End the stream when its reader goes, also while nothing happens; what it says is dropped."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()


def _event(name: str, daemon: Daemon) -> str:
    status = daemon.status() if name == "status" else None
    return schemas.Event.model_validate(
        {"event": name, "at": int(time.time()), "data": status}
    ).model_dump_json()
