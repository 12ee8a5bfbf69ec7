"""`psp demo`: the whole thing once, on this machine, with real processes (SPEC 13.8)."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import trio
from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError, FileMissingError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.levels import LEVELS, NAMES, RELAYS, Level
from peerstream.node.cli.report import Report
from peerstream.node.lab.demo import Party, Transfer, open_parties, transfer
from peerstream.node.lab.home import fresh_run
from peerstream.node.lab.network import NetworkOptions, PrivateNetwork, open_network

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.lab.steps import Steps

SCHEMA: Final = "psp.demo/1"
_DEFAULT_FILE: Final = "cryptography.hazmat.bindings._rust"
_MB: Final = 1e6
_LEAST_RELAYS: Final = 8


def demo(
    *,
    level: Level = "anonymous",
    file: Annotated[Path | None, Parameter(help="What to send; by default 14 MB of ours.")] = None,
    relays: Annotated[int, Parameter(help="How many relays to start.")] = 12,
    backend: Annotated[
        Literal["auto", "embedded", "anvil", "hardhat"], Parameter(help="What runs the chain.")
    ] = "auto",
    directory: Annotated[
        Literal["chain", "dht", "static"], Parameter(help="What roots the relay set.")
    ] = "chain",
    keep: Annotated[bool, Parameter(negative="", help="Leave it all running.")] = False,
) -> Report:
    """Start a private network, dial an address through it, and send it a file."""
    if relays < _LEAST_RELAYS:
        raise BadArgumentError(f"paths that exclude each other need {_LEAST_RELAYS} relays")
    sent = _default_file() if file is None else file
    if not sent.is_file():
        raise FileMissingError(f"{sent}")
    from peerstream.node.cli.progress import drawn_steps  # noqa: PLC0415 - rich, for people

    with _home(keep=keep) as home, fresh_run(home) as run, drawn_steps() as steps:
        options = NetworkOptions(directory=run, relays=relays, source=directory, backend=backend)
        plan = _Plan(options, LEVELS[level], sent.resolve(), home if keep else None)
        return trio.run(_run, plan, steps)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to show. home: where the network is recorded that goes on afterwards, None to end it."""

    options: NetworkOptions
    level: int
    file: Path
    home: Path | None


async def _run(plan: _Plan, steps: "Steps") -> Report:
    async with (
        open_network(plan.options, steps) as network,
        open_parties(network, plan.level, steps) as parties,
    ):
        found = await transfer(network, parties, plan.level, plan.file, steps)
        values = _values(network, parties, found, plan.file)
        kept = [] if plan.home is None else _keep(network, parties, plan.home)
    ok = _is_good(values, plan.level)
    return Report(
        SCHEMA,
        values,
        lambda target: _show(target, values, kept),
        ok=ok,
        code=Exit.OK if ok else Exit.FAILED,
    )


def _values(
    network: PrivateNetwork, parties: tuple[Party, Party], found: Transfer, file: Path
) -> dict[str, Any]:
    caller, callee = parties
    chain = network.chain or {"backend": "none", "chain_id": None}
    places, hops = found.hops
    return {
        "level": NAMES[found.level],
        "hops": hops,
        "places": places,
        "dials": found.dials,
        "relays": len(network.relays),
        "backend": chain["backend"],
        "directory": network.options.source,
        "chain_id": chain["chain_id"],
        "caller": caller.account,
        "callee": callee.account,
        "caller_verified": found.caller_seen == caller.account,
        "callee_verified": found.callee_seen == callee.account,
        "ready_s": round(network.ready_s, 3),
        "cold_dial_ms": round(found.cold_dial_ms, 3),
        "echo_ms": round(found.echo_ms, 3),
        "echo_p99_ms": round(found.echo_p99_ms, 3),
        "file": str(file),
        "file_bytes": found.file_bytes,
        "seconds": round(found.seconds, 3),
        "mb_s": round(found.file_bytes / _MB / found.seconds, 3),
        "sha256": found.sha256,
        "sha256_ok": found.sha256 == found.received_sha256,
    }


def _is_good(values: dict[str, Any], level: int) -> bool:
    verified = values["caller_verified"] and values["callee_verified"]
    reached = values["level"] == NAMES[level] and values["places"] == RELAYS[level]
    return bool(verified and reached and values["sha256_ok"])


def _show(target: "Console", values: dict[str, Any], kept: list[str]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only for people

    table = Table(show_header=False, title="A file between two addresses", title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(values).items():
        table.add_row(name, value)
    target.print(table)
    for line in kept:
        target.print(line, soft_wrap=True)


def _rows(values: dict[str, Any]) -> dict[str, str]:
    rooted = {
        "chain": f"contracts on a chain ({values['backend']})",
        "dht": "admissions in a DHT",
        "static": "a signed file",
    }[values["directory"]]
    return {
        "caller": f"{values['caller']}  {_mark(values['caller_verified'], 'verified')}",
        "callee": f"{values['callee']}  {_mark(values['callee_verified'], 'verified')}",
        "level": f"{values['level']}: {_hops(values)}, by the relays' own cell counters",
        "network": f"{values['relays']} relays from {rooted}, ready in {values['ready_s']:.1f} s",
        "dial": f"{values['cold_dial_ms']:.1f} ms to the first answer",
        "echo": f"{values['echo_ms']:.1f} ms, 99 of 100 within {values['echo_p99_ms']:.1f} ms",
        "file": f"{values['file_bytes'] / _MB:.1f} MB in {values['seconds']:.2f} s:"
        f" {values['mb_s']:.1f} MB/s",
        "SHA-256": f"{values['sha256'][:32]}…  {_mark(values['sha256_ok'], 'equal')}",
    }


def _hops(values: dict[str, Any]) -> str:
    twice = values["places"] - values["hops"]
    return f"{values['hops']} hops" + (f" in {values['places']} places" if twice else "")


def _mark(good: bool, word: str) -> str:  # noqa: FBT001 - one of two words
    return f"[green]✓ {word}[/green]" if good else f"[red]✗ not {word}[/red]"


def _default_file() -> Path:
    """Return the compiled module of `cryptography`: a real file of 14 MB that is always here."""
    found = find_spec(_DEFAULT_FILE)
    if found is None or found.origin is None:
        raise FileMissingError(f"{_DEFAULT_FILE}; give --file PATH")
    return Path(found.origin)


@contextmanager
def _home(*, keep: bool) -> Iterator[Path]:
    """Make a directory, and remove it at the end unless the network in it goes on."""
    path = Path(tempfile.mkdtemp(prefix="psp-demo-"))
    left = False
    try:
        yield path
        left = keep
    finally:
        if not left:
            shutil.rmtree(path)


def _keep(network: PrivateNetwork, parties: tuple[Party, Party], home: Path) -> list[str]:
    """Let the network go on; return the lines that say how to talk to it."""
    network.detach(home)
    static = network.rooted.static_file
    more = "" if static is None else f" --relay-file {static}"
    callee = parties[1]
    return [
        "",
        "It goes on. Talk to it from here:",
        f"  export PSP_NETWORK={network.rooted.network_file} PSP_STATE={home}/me",
        "  openssl rand -hex 32 > wallet.hex && chmod 600 wallet.hex",
        "  psp id new --wallet-key wallet.hex",
        f"  psp ping {callee.account}{more}",
        f"  psp send FILE {callee.account}{more}",
        f"What you send lands in {network.options.directory}/received. The callee's card is",
        f"  {callee.card}",
        "End it with",
        f"  psp devnet down --state-dir {home}",
    ]
