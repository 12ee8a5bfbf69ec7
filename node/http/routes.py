"""The routes of the local API (SPEC 17.7). All are async: the daemon belongs to one thread."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.responses import JSONResponse, Response

from peerstream.identity.web.problem import ProblemError
from peerstream.node.http import schemas
from peerstream.node.http.owner import Daemon
from peerstream.node.http.refusals import DaemonRoute

_WHY: Final = {
    401: "On a port: the token is missing or wrong.",
    403: "The request comes from another site's page.",
    404: "There is none of that name.",
    409: "It does not go together with what is there.",
    413: "The body has more than 16 KiB.",
    415: "The body is no JSON.",
    421: "The request is for another host.",
    422: "The request is malformed, or asks for what makes no sense; `code` says what.",
    503: "The state directory cannot be written, or there are too many requests at once.",
}
_PROBLEM: Final = schemas.Problem.model_json_schema()
_ASKED: Final = (401, 403, 421, 503)
_NAMED: Final = (*_ASKED, 404, 422)
_GIVEN: Final = (*_ASKED, 409, 413, 415, 422)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "QUERY")

AliasPath = Annotated[schemas.Alias, InPath()]
NamePath = Annotated[schemas.ServiceName, InPath()]


def make_router(daemon: Daemon) -> APIRouter:
    """Return the endpoints of a daemon."""
    router = APIRouter(prefix="/v1", route_class=DaemonRoute)
    add = _adder(router)
    _add_reading(add, daemon)
    _add_services(add, daemon)
    _add_contacts(add, daemon)
    for path, allowed in _paths(router).items():
        _refuse_others(router, path.removeprefix("/v1"), allowed)
    return router


_Add = Callable[[str, Any, Any, tuple[int, ...]], None]


def _add_reading(add: _Add, daemon: Daemon) -> None:
    async def status() -> Response:
        """Tell how the daemon does."""
        return _answer(daemon.status())

    async def identity() -> Response:
        """Give the contact card: whoever holds one of an unlisted identity may dial."""
        return _answer(daemon.card())

    async def circuits() -> Response:
        """Show each session and the relays that carry it; guards are among them."""
        return _answer(daemon.circuits())

    async def checks() -> Response:
        """Test the daemon: clock, relays, guards, files, and whether its own address answers."""
        return _answer(schemas.Checks(checks=await daemon.checks()))

    add("GET /status", status, schemas.Status, _ASKED)
    add("GET /identity", identity, schemas.Card, (*_ASKED, 409))
    add("GET /circuits", circuits, schemas.Circuits, _ASKED)
    add("POST /checks", checks, schemas.Checks, (*_ASKED, 413, 415))


def _add_services(add: _Add, daemon: Daemon) -> None:
    async def services() -> Response:
        """List what is exposed."""
        return _answer(schemas.Services(services=daemon.services()))

    async def expose(body: schemas.Service) -> Response:
        """Expose a local service under our address, or change the one of that name."""
        await daemon.expose(body)
        return _answer(body)

    async def withdraw(name: NamePath) -> Response:
        """Expose a service no more; its streams go on until they end."""
        daemon.withdraw(name)
        return _answer(schemas.Done(done=True))

    add("GET /services", services, schemas.Services, _ASKED)
    add("POST /services", expose, schemas.Service, _GIVEN)
    add("DELETE /services/{name}", withdraw, schemas.Done, _NAMED)


def _add_contacts(add: _Add, daemon: Daemon) -> None:
    async def contacts() -> Response:
        """List the contacts, without the secrets of their cards."""
        return _answer(schemas.Contacts(contacts=daemon.contacts()))

    async def keep(body: schemas.NewContact) -> Response:
        """Keep a contact, in place of an older card of the same address."""
        daemon.add_contact(body)
        return _answer(next(each for each in daemon.contacts() if each.alias == body.alias))

    async def forget(alias: AliasPath) -> Response:
        """Forget a contact."""
        daemon.remove_contact(alias)
        return _answer(schemas.Done(done=True))

    add("GET /contacts", contacts, schemas.Contacts, _ASKED)
    add("POST /contacts", keep, schemas.Contact, _GIVEN)
    add("DELETE /contacts/{alias}", forget, schemas.Done, _NAMED)


def _adder(router: APIRouter) -> _Add:
    def add(place: str, endpoint: Any, model: Any, statuses: tuple[int, ...]) -> None:
        method, path = place.split()
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=model,
            responses={status: refusal(status) for status in sorted(statuses)},
            operation_id="_".join(re.findall(r"[a-z]+", place.lower())),
            tags=[path.split("/")[1]],
        )

    return add


def refusal(status: int) -> dict[str, Any]:
    """Return how a refusal looks in the OpenAPI document."""
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {"description": _WHY[status], "content": content}


def _paths(router: APIRouter) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for route in router.routes:
        if isinstance(route, DaemonRoute):
            paths.setdefault(route.path, []).extend(sorted(route.methods or ()))
    return paths


def _refuse_others(router: APIRouter, path: str, allowed: list[str]) -> None:
    """Answer 405 with every method of a path: Starlette would name those of its first route."""

    async def refuse() -> Response:
        allow = {"Allow": ", ".join(sorted(allowed))}
        raise ProblemError(405, "method-not-allowed", "the path has no such method", allow)

    others = [method for method in _METHODS if method not in allowed]
    router.add_api_route(path, refuse, methods=others, include_in_schema=False)


def _answer(value: schemas.Model) -> JSONResponse:
    return JSONResponse(value.model_dump())
