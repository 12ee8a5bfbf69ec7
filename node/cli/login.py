"""`psp login`: the wallet-signed login as a service (SPEC 21.7)."""

import json
import sys
from pathlib import Path
from socket import socket
from typing import Annotated, Any, Final

import uvicorn
from cyclopts import App, Parameter

from peerstream.identity.login import migrate as migrations
from peerstream.identity.login.app import from_config, make_app
from peerstream.identity.login.config import LoginConfig, write_new
from peerstream.identity.login.database import Database
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.web.origins import Origins
from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.report import Report, print_report, print_rows

SCHEMA: Final = "psp.login/1"
_CONNECTIONS: Final = 1_000
_IDLE_S: Final = 10

app = App(name="login", help="Sign in with a wallet, as a service.")
Config = Annotated[Path, Parameter(help="The service's file, as `psp login init` writes it.")]


@app.command
def init(
    directory: Path,
    *,
    origin: Annotated[str, Parameter(help="The page that logs in: https://app.example")],
) -> Report:
    """Write a configuration and a new secret into a directory."""
    list(Origins([origin]))
    path = write_new(directory, origin)
    return _report({"config": str(path), "origins": [origin]})


@app.command
def serve(config: Config, /) -> int:
    """Run the service until Ctrl-C; several may share one PostgreSQL."""
    loaded = LoginConfig.load(config)
    server = _Announcing(
        uvicorn.Config(
            from_config(loaded),
            host=loaded.host,
            port=loaded.port,
            access_log=False,  # it would hold the addresses of those who log in
            log_level="warning",
            server_header=False,
            proxy_headers=bool(loaded.proxies),
            forwarded_allow_ips=loaded.proxies,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_IDLE_S,
        )
    )
    server.run()
    return 0


@app.command
def migrate(
    config: Config,
    /,
    *,
    to: Annotated[str, Parameter(help="A revision, `head`, or `base` for no tables.")] = "head",
) -> Report:
    """Bring the tables to a revision, up or down; going down deletes what it does not know."""
    database = Database(LoginConfig.load(config).database.get_secret_value())
    known = ["base", *migrations.revisions()]
    there = known.index(migrations.current(database) or "base")
    wanted = len(known) - 1 if to == "head" else known.index(to) if to in known else -1
    if wanted < 0:
        raise BadArgumentError(f"no revision {to}; there are {', '.join(known)}")
    if wanted >= there:
        migrations.upgrade(database, to if to != "base" else "head")
    else:
        migrations.downgrade(database, to)
    return _report({"config": str(config), "revision": migrations.current(database)})


@app.command
def openapi() -> int:
    """Print the OpenAPI document of the service."""
    document = make_app(LoginSettings(origins=["https://app.example"])).openapi()
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 0


class _Announcing(uvicorn.Server):
    """A server that says where it listens once it does."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and print where; port 0 took a free one."""
        await super().startup(sockets)
        for listening in self.servers:
            for place in listening.sockets:
                host, port = place.getsockname()[:2]
                print_report(_report({"url": f"http://{host}:{port}"}))


def _report(values: dict[str, Any]) -> Report:
    empty: dict[str, Any] = {"url": None, "config": None, "origins": [], "revision": None}
    shown = {name: str(value) for name, value in values.items() if value}
    return Report(SCHEMA, {**empty, **values}, lambda target: print_rows(target, shown))
