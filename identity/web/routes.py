"""Routes that bound what they read and say no in one way, in any application (SPEC 21.5)."""

import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any, ClassVar, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from peerstream.identity.json_text import JsonTextError, read_json
from peerstream.identity.web.headers import API_HEADERS
from peerstream.identity.web.problem import ProblemError, problem_response

BODY_MAXIMUM: Final = 16_384  # a message of 4 KiB, a signature of 2, both in JSON with escapes


class BoundedRequest(Request):
    """A request whose body is read up to a bound, and is JSON or nothing."""

    async def body(self) -> bytes:
        """Return the body; raises ProblemError: 413 when it is longer, 415 when it is no JSON."""
        if not hasattr(self, "_body"):
            chunks, size = [], 0
            async with aclosing(self.stream()) as stream:
                async for chunk in stream:
                    size += len(chunk)
                    if size > BODY_MAXIMUM:
                        raise ProblemError(413, "too-large", "the body has more than 16 KiB")
                    chunks.append(chunk)
            self._body = b"".join(chunks)
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if self._body and kind != "application/json":
                raise ProblemError(415, "unsupported-media-type", "send application/json")
        return self._body

    async def json(self) -> Any:
        """Return what the body says; raises ValueError for what is no JSON or nested too deeply."""
        try:
            return read_json(await self.body())
        except JsonTextError as error:
            raise json.JSONDecodeError("no JSON that is taken", "", 0) from error


class ApiRoute(APIRoute):
    """Answers with problem details and the headers of an API, whatever the application does.

    A subclass names more errors in ``refused`` and answers them in ``refuse``.
    """

    refused: ClassVar[tuple[type[Exception], ...]] = (HTTPException, RequestValidationError)

    def refuse(self, error: Exception) -> Response:
        """Return the answer for one of the errors in ``refused``."""
        if isinstance(error, HTTPException | RequestValidationError):
            return problem_response(error)
        raise error

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler that FastAPI made."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            try:
                response = await handle(BoundedRequest(request.scope, request.receive))
            except self.refused as error:
                response = self.refuse(error)
            for name, value in API_HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return bounded
