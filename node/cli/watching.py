"""`psp status --watch`: the same once a second, with rates, until Ctrl-C (SPEC 13.13)."""

import time
from collections.abc import Iterator
from typing import Any, Final

from rich.live import Live
from rich.text import Text

from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.report import console
from peerstream.node.cli.status import lines_of, rows_of, size

LOOK_S: Final = 1.0


def watch_daemon(daemon: DaemonClient) -> None:
    """Draw until Ctrl-C, or until the daemon is gone. Raises as `DaemonClient.ask`."""
    before: dict[str, Any] = {}
    with Live(console=console(), auto_refresh=False, screen=False) as live:
        while True:
            found = {**daemon.get("/v1/status"), **daemon.get("/v1/circuits")}
            live.update(Text("\n".join(_lines(found, before))), refresh=True)
            before = found
            time.sleep(LOOK_S)


def _lines(found: dict[str, Any], before: dict[str, Any]) -> Iterator[str]:
    rows = rows_of(found)
    width = max(map(len, rows))
    yield from (f"{name:<{width}}  {text}" for name, text in rows.items())
    yield ""
    old = list(before.get("sessions", ()))
    for number, session in enumerate(found["sessions"]):
        yield from lines_of(session, _rate(session, old[number : number + 1]))


def _rate(session: dict[str, Any], before: list[dict[str, Any]]) -> str:
    """Return what went each way since the last look; sessions keep their order while they last."""
    if not before or before[0]["peer"] != session["peer"]:
        return ""
    sent = max(0, session["sent"] - before[0]["sent"]) / LOOK_S
    received = max(0, session["received"] - before[0]["received"]) / LOOK_S
    return f"↑ {size(sent)}/s ↓ {size(received)}/s"
