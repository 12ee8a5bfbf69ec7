"""`psp status`: how the daemon does, and what carries its sessions (SPEC 13.13)."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from peerstream.node.cli.daemon_client import DaemonClient
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.report import Report, print_rows
from peerstream.node.store.errors import DaemonNotRunningError
from peerstream.node.store.state import default_path

if TYPE_CHECKING:
    from rich.console import Console

SCHEMA: Final = "psp.status/1"
_NOTHING: Final = (
    *("version", "pid", "mode", "network_id", "started", "draining", "account", "listed"),
    *("delegation_ends", "certificate_ends", "directory", "relays", "links", "circuits"),
    *("streams", "sent", "received", "contacts", "listeners"),
)


def status(
    *,
    watch: Annotated[bool, Parameter(negative="", help="Go on until Ctrl-C.")] = False,
    # by itself: what opens a keystore takes longer to load than a daemon to answer
    state: Annotated[
        Path | None, Parameter(env_var="PSP_STATE", help="The state directory of the daemon.")
    ] = None,
) -> Report:
    """Show how the daemon does, and the relays under each session; exit code 3 where none runs."""
    directory = default_path() if state is None else state
    daemon = DaemonClient(directory)
    try:
        if watch:
            from peerstream.node.cli.watching import watch_daemon  # noqa: PLC0415 - rich

            watch_daemon(daemon)
        return _report(daemon)
    except DaemonNotRunningError:
        return _not_running(str(directory))


def _report(daemon: DaemonClient) -> Report:
    found = daemon.get("/v1/status")
    circuits = daemon.get("/v1/circuits")
    values = {"running": True, **found, **circuits}
    return Report(SCHEMA, values, lambda target: show(target, values))


def _not_running(state: str) -> Report:
    text = f"no daemon runs in {state}; start one with `psp up`"
    values: dict[str, Any] = {"running": False, **dict.fromkeys(_NOTHING)}
    values.update(state=state, services=[], sessions=[], guards=[], causes={})
    return Report(
        SCHEMA,
        values,
        lambda target: target.print(text, soft_wrap=True),
        ok=False,
        code=Exit.NOT_FOUND,
    )


def show(target: "Console", values: dict[str, Any]) -> None:
    """Print a status for people."""
    print_rows(target, rows_of(values))
    for session in values["sessions"]:
        for line in lines_of(session):
            target.print(line, markup=False, soft_wrap=True)


def rows_of(values: dict[str, Any]) -> dict[str, str]:
    """Return what a status says, in words by name."""
    up = int(time.time()) - values["started"]
    listed = "listed" if values["listed"] else "by card"
    found = values["listeners"]
    draining = ", draining" if values["draining"] else ""
    rows = {
        "daemon": f"version {values['version']}, pid {values['pid']}, up {duration(up)}{draining}",
        "identity": f"{values['account']} ({listed})" if values["account"] else "none",
        "network": f"{values['relays']} relays ({values['mode']}), keys: {values['directory']}",
        "carries": (
            f"{values['streams']} streams in {len(values['sessions'])} sessions,"
            f" {values['circuits']} circuits over {values['links']} links,"
            f" {size(values['sent'])} sent, {size(values['received'])} received"
        ),
        "SOCKS, HTTP proxy": found["socks"] or "off",
        "pages": found["http"] or "off",
    }
    if values["services"]:
        rows["services"] = ", ".join(values["services"])
    return rows


def lines_of(session: dict[str, Any], rate: str = "") -> list[str]:
    """Return a session, and each of its ways drawn hop by hop, the carrying one first."""
    arrow = "from" if session["called"] else "to"
    who = session["peer"] or "a caller without a name"
    traffic = rate or f"{size(session['sent'])} sent, {size(session['received'])} received"
    head = (
        f"{arrow} {who}: {session['streams']} streams, {session['round_trip_ms']:.1f} ms, {traffic}"
    )
    lines = [head]
    for number, way in enumerate(session["ways"]):
        mark = "━━" if number == 0 else "──"
        hops = f" {mark} ".join(way)
        lines.append(f"  us {mark} {hops} {mark} ⋯  {'carries' if number == 0 else 'stands by'}")
    return lines


def size(count: float) -> str:
    """Return bytes in a unit that is short to read."""
    for unit in ("B", "kB", "MB"):
        if count < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} GB"


def duration(seconds: int) -> str:
    """Return a time in its two largest units."""
    for unit, name, below, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} {seconds % unit // below} {small}"
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
