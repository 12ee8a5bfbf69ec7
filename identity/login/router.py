"""The endpoints of a login (SPEC 21.5)."""

import re
import time
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import JSONResponse

from peerstream.identity.login import schemas
from peerstream.identity.login.cookies import BINDING, REFRESH, SESSION
from peerstream.identity.login.refusals import LoginRoute
from peerstream.identity.login.service import Grant, LoginService, subject_of
from peerstream.identity.login.store import Session
from peerstream.identity.wallet import SignatureKind
from peerstream.identity.web.limits import RateLimiter, client_of
from peerstream.identity.web.problem import ProblemError

_WHY: Final = {
    401: "It does not hold; `code` says why.",
    403: "The request comes from another site's page.",
    413: "The body has more than 16 KiB.",
    415: "The body is no JSON.",
    422: "The request is malformed.",
    429: "Too many requests; Retry-After says when.",
    503: "The database, or a chain that has to be asked, does not answer.",
}
_PROBLEM: Final = schemas.Problem.model_json_schema()
_NONCE: Final = (403, 429)
_SIGNED: Final = (401, 403, 413, 415, 422, 429, 503)
_RENEWED: Final = (401, 403, 429, 503)
_READ: Final = (401, 503)
_CHANGED: Final = (401, 403, 503)
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "QUERY")
_KEYS_CACHED_S: Final = 300


def make_router(service: LoginService, session_of: Callable[..., Session]) -> APIRouter:
    """Return the endpoints of a service; ``session_of`` is the dependency that finds a session."""
    router = APIRouter(route_class=LoginRoute)
    _add_nonce(router, service)
    _add_sign_in(router, service)
    _add_session(router, service, Annotated[Session, Depends(session_of)])
    _add_keys(router, service)
    return router


def _add_nonce(router: APIRouter, service: LoginService) -> None:
    nonces = RateLimiter(service.settings.nonce_rate, time.monotonic)

    def issue(request: Request) -> Response:
        """Get a nonce for one message; it counts in this browser alone."""
        nonces.take(_client(request))
        service.origins.check(request)
        binding = BINDING.read(request) or service.new_binding()
        response = _answer(schemas.NonceResponse(nonce=service.issue_nonce(binding)))
        BINDING.write(response, binding, service.settings.nonce_seconds)
        return response

    add = _adder(router, "sign in")
    add("POST /siwe/nonce", issue, schemas.NonceResponse, _NONCE)
    add("GET /siwe/nonce", issue, schemas.NonceResponse, _NONCE)
    _refuse_others(router, "/siwe/nonce", ("GET", "POST"))


def _add_sign_in(router: APIRouter, service: LoginService) -> None:
    attempts = RateLimiter(service.settings.verify_rate, time.monotonic)

    def verify(request: Request, body: schemas.VerifyRequest) -> Response:
        """Sign in: the session comes as cookies, a token for other services in the body."""
        attempts.take(_client(request))
        service.origins.check(request)
        grant = service.sign_in(body.message, body.signature, BINDING.read(request))
        return _granted(service, grant)

    def refresh(request: Request) -> Response:
        """Exchange the refresh cookie for a new one, a new session cookie and a new token."""
        attempts.take(_client(request))
        service.origins.check(request)
        return _granted(service, service.refresh(REFRESH.read(request)))

    add = _adder(router, "sign in")
    add("POST /siwe/verify", verify, schemas.VerifyResponse, _SIGNED)
    add("POST /siwe/refresh", refresh, schemas.VerifyResponse, _RENEWED)


def _add_session(router: APIRouter, service: LoginService, current: Any) -> None:
    def session(found: current) -> Response:
        """Tell who is signed in."""
        return _answer(
            schemas.SessionResponse(
                user=_user(found), session_id=found.id, expires_at=found.expires_at
            )
        )

    def logout(found: current) -> Response:
        """End this session, at once and for its refresh token too."""
        service.end(found)
        return _signed_out()

    def logout_all(found: current) -> Response:
        """End all sessions of the account."""
        service.end_all(found.account)
        return _signed_out()

    def stored(found: current) -> Response:
        """Show all that is stored about the account."""
        sessions = [_stored(s, found) for s in service.sessions_of(found.account)]
        return _answer(schemas.StoredResponse(account=found.account, sessions=sessions))

    def forget(found: current) -> Response:
        """Delete all that is stored about the account; that ends its sessions."""
        service.end_all(found.account)
        return _signed_out()

    add = _adder(router, "session")
    add("GET /siwe/session", session, schemas.SessionResponse, _READ)
    add("POST /siwe/logout", logout, schemas.DoneResponse, _CHANGED)
    add("POST /siwe/logout/all", logout_all, schemas.DoneResponse, _CHANGED)
    add("GET /siwe/me", stored, schemas.StoredResponse, _READ)
    add("DELETE /siwe/me", forget, schemas.DoneResponse, _CHANGED)
    _refuse_others(router, "/siwe/me", ("DELETE", "GET"))


def _add_keys(router: APIRouter, service: LoginService) -> None:
    def keys() -> Response:
        """Get the keys that verify the tokens; ask again when a key id is unknown."""
        response = JSONResponse(service.public_keys())
        response.headers["cache-control"] = f"public, max-age={_KEYS_CACHED_S}"
        response.headers["access-control-allow-origin"] = "*"
        return response

    _adder(router, "keys")("GET /.well-known/jwks.json", keys, schemas.KeySetResponse, (503,))


def _adder(router: APIRouter, tag: str) -> Callable[[str, Any, type, tuple[int, ...]], None]:
    def add(place: str, endpoint: Any, model: type, statuses: tuple[int, ...]) -> None:
        method, path = place.split()
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_model=model,
            responses={status: _refusal(status) for status in statuses},
            operation_id="_".join(re.findall(r"[a-z]+", place.lower())),
            tags=[tag],
        )

    return add


def _refuse_others(router: APIRouter, path: str, allowed: tuple[str, ...]) -> None:
    """Answer 405 with every method of a path: Starlette would name those of its first route."""

    def refuse() -> Response:
        allow = {"Allow": ", ".join(allowed)}
        raise ProblemError(405, "method-not-allowed", "the path has no such method", allow)

    others = [method for method in _METHODS if method not in allowed]
    router.add_api_route(path, refuse, methods=others, include_in_schema=False)


def _refusal(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {"description": _WHY[status], "content": content}


def _granted(service: LoginService, grant: Grant) -> Response:
    response = _answer(
        schemas.VerifyResponse(success=True, token=grant.access_token, user=_user(grant.session))
    )
    SESSION.write(response, grant.session_token, service.settings.session_seconds)
    REFRESH.write(response, grant.refresh_token, service.settings.refresh_seconds)
    return response


def _signed_out() -> Response:
    response = _answer(schemas.DoneResponse(success=True))
    for cookie in (SESSION, REFRESH, BINDING):
        cookie.clear(response)
    return response


def _answer(value: Any) -> JSONResponse:
    return JSONResponse(value.model_dump(by_alias=True))


def _user(session: Session) -> schemas.User:
    return schemas.User(
        id=subject_of(session), wallet_address=session.account, chain_id=session.chain_id
    )


def _stored(session: Session, current: Session) -> schemas.StoredSession:
    return schemas.StoredSession(
        id=session.id,
        chain_id=session.chain_id,
        signature_kind=SignatureKind(session.kind).name.lower(),
        created_at=session.created_at,
        checked_at=session.checked_at,
        expires_at=session.expires_at,
        current=session.id == current.id,
    )


def _client(request: Request) -> str:
    return client_of(request.client.host if request.client else None)
