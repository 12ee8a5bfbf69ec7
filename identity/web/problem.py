"""Refusals as RFC 9457 problem details (SPEC 21.5)."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE: Final = "application/problem+json"
_TITLES: Final = {
    400: "Bad request",
    401: "Not signed in",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Malformed request",
    429: "Too many requests",
    503: "Unavailable",
}


class ProblemError(HTTPException):
    """A request is refused: ``code`` is for programs, ``detail`` for people.

    An application without ``install_problems`` still answers with the status and the detail.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers) if headers else None)
        self.code = code


def problem_response(error: HTTPException | RequestValidationError) -> Response:
    """Return the problem details of an error; nothing that the client sent is in it."""
    if isinstance(error, RequestValidationError):
        return _response(422, "malformed-request", _places(error), None)
    code = error.code if isinstance(error, ProblemError) else _slug(error.status_code)
    return _response(error.status_code, code, str(error.detail), error.headers)


def install_problems(app: Starlette) -> None:
    """Have an application answer every HTTP error, and every malformed request, this way."""

    async def handle(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException | RequestValidationError):
            raise error
        return problem_response(error)

    app.add_exception_handler(HTTPException, handle)
    app.add_exception_handler(RequestValidationError, handle)


def _response(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None
) -> JSONResponse:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Refused"),
        "status": status,
        "code": code,
        "detail": detail,
    }
    kept_by_nobody = {"cache-control": "no-store", **(headers or {})}
    return JSONResponse(body, status, headers=kept_by_nobody, media_type=MEDIA_TYPE)


def _slug(status: int) -> str:
    return _TITLES.get(status, "refused").lower().replace(" ", "-")


def _places(error: RequestValidationError) -> str:
    """Say where a request is malformed; the values stay out, they may be secrets or markup."""
    places = {".".join(str(part) for part in item["loc"][:2]) for item in error.errors()}
    known = sorted(place for place in places if place.isascii() and len(place) < 40)
    return "malformed: " + (", ".join(known[:4]) or "the body")
