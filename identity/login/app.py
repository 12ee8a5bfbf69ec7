"""The login as a service of its own (SPEC 21.7).

`psp login serve` runs it. Other servers take the factory, with the file in PSP_LOGIN_CONFIG:
``uvicorn --factory peerstream.identity.login.app:create`` and
``hypercorn 'peerstream.identity.login.app:create()'``.
"""

import os
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from sqlalchemy import text
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from peerstream.identity.login import migrate
from peerstream.identity.login.auth import SiweAuth
from peerstream.identity.login.config import LoginConfig
from peerstream.identity.login.database import Database
from peerstream.identity.login.errors import LoginSettingsError, StoreUnavailableError
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.login.sql import SqlStore
from peerstream.identity.login.store import Store
from peerstream.identity.web.headers import API_HEADERS, STRICT_TRANSPORT, HeadersMiddleware
from peerstream.identity.web.problem import ProblemError, install_problems

CONFIG_VARIABLE: Final = "PSP_LOGIN_CONFIG"
_PREFLIGHT_CACHED_S: Final = 600


def create() -> FastAPI:
    """Make the application that the file in PSP_LOGIN_CONFIG describes."""
    path = os.environ.get(CONFIG_VARIABLE)
    if not path:
        raise LoginSettingsError(f"name the file in {CONFIG_VARIABLE}")
    return from_config(LoginConfig.load(Path(path)))


def from_config(config: LoginConfig) -> FastAPI:
    """Open the database, bring its tables up to date, and make the application.

    Raises LoginSettingsError or OriginListError.
    """
    settings, secret = config.settings(), config.secret()
    database = Database(config.database.get_secret_value())
    if config.migrate:
        migrate.upgrade(database)
    elif migrate.current(database) != migrate.revisions()[-1]:
        raise LoginSettingsError("the tables are of another version: run `psp login migrate`")
    return make_app(settings, SqlStore(database), secret, database)


def make_app(
    settings: LoginSettings,
    store: Store | None = None,
    secret: bytes | None = None,
    database: Database | None = None,
) -> FastAPI:
    """Make the application over a store."""
    auth = SiweAuth(settings, store, secret=secret)
    app = FastAPI(
        title="PeerStream login",
        version="1",
        description="Sign in with an Ethereum wallet (EIP-4361).",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # where to would be read from the Host header
    )
    install_problems(app)
    app.include_router(auth.router)
    _add_health(app, database)
    origins = list(settings.origins)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_credentials=True,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type"],
        max_age=_PREFLIGHT_CACHED_S,
    )
    secure = all(origin.startswith("https:") for origin in origins)
    headers = {**API_HEADERS, **(STRICT_TRANSPORT if secure else {})}
    app.add_middleware(HeadersMiddleware, headers=headers)
    return app


def _add_health(app: FastAPI, database: Database | None) -> None:
    def live() -> JSONResponse:
        """Tell that the process runs."""
        return JSONResponse({"live": True})

    def ready() -> JSONResponse:
        """Tell whether the database answers."""
        try:
            if database is not None:
                with database.read() as connection:
                    connection.execute(text("SELECT 1"))
        except StoreUnavailableError as error:
            raise ProblemError(503, "not-ready", "the database does not answer") from error
        return JSONResponse({"ready": True})

    app.add_api_route("/livez", live, methods=["GET"], operation_id="live", tags=["health"])
    app.add_api_route("/readyz", ready, methods=["GET"], operation_id="ready", tags=["health"])
