"""`psp audit`: the threat model as a program (SPEC 13.10, 15)."""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import trio
from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.levels import LEVELS, NAMES, Level
from peerstream.node.cli.report import Report
from peerstream.node.lab.audit.play import play
from peerstream.node.lab.audit.scenarios import SCENARIOS
from peerstream.node.lab.audit.stage import StageOptions
from peerstream.node.lab.audit.verdict import Verdict, judge
from peerstream.node.lab.steps import step

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.lab.steps import Steps

SCHEMA: Final = "psp.audit/1"
_LEAST_RELAYS: Final = 12  # fewer cannot be parted into the guards of two
_SEEDS: Final = 2**32
_COLUMNS: Final = {
    "caller's IP": ("ip:caller",),
    "caller's name": ("address:caller", "key:caller."),
    "callee's IP": ("ip:callee",),
    "callee's name": ("address:callee", "key:callee."),
    "content": ("content:",),
}


def audit(
    *,
    level: Level = "anonymous",
    scenario: Annotated[
        list[str] | None,
        Parameter(negative="", help="What to play; can be given several times. By default all."),
    ] = None,
    relays: Annotated[int, Parameter(help="How many relays to start.")] = 12,
    seed: Annotated[
        int | None, Parameter(help="Of the file, and of the relay that is killed.")
    ] = None,
    plant: Annotated[
        Literal["identify", "log", "descriptor", "handshake", "socket", "rpc"] | None,
        Parameter(help="Leak something in this layer, to see that it is found."),
    ] = None,
) -> Report:
    """Play a private network, and print who knew what; fail if anybody knew too much."""
    from peerstream.node.cli.progress import drawn_steps  # noqa: PLC0415 - rich, for people

    if relays < _LEAST_RELAYS:
        raise BadArgumentError(f"guards of two that share none need {_LEAST_RELAYS} relays")
    names = scenario or []
    if unknown := sorted({*names} - {*SCENARIOS}):
        raise BadArgumentError(f"no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    drawn = secrets.randbelow(_SEEDS) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="psp-audit-") as home, drawn_steps() as steps:
        options = StageOptions(
            directory=Path(home), relays=relays, level=LEVELS[level], seed=drawn, plant=plant
        )
        return _report(_run(options, names, steps))


def _run(options: StageOptions, names: Sequence[str], steps: "Steps") -> Verdict:
    played = trio.run(play, options, names, steps)
    with step(steps, "read what they held") as shown:
        found = judge(played)
        records = sum(process.records for process in found.processes)
        shown.result = f"read {records} records of {len(found.processes)} processes"
    return found


def _report(found: Verdict) -> Report:
    options = found.played.options
    values = {
        "level": NAMES[options.level],
        "scenarios": [name for name, _ in found.played.scenes],
        "seed": options.seed,
        "relays": options.relays,
        "plant": options.plant,
        **found.to_json(),
    }
    code = Exit.OK if found.ok else Exit.FAILED
    return Report(SCHEMA, values, lambda to: _show(to, values, found), ok=found.ok, code=code)


def _show(target: "Console", values: dict[str, Any], found: Verdict) -> None:
    from rich.table import Table  # noqa: PLC0415 - only for people

    title = f"Who knew what: {values['level']}, {', '.join(values['scenarios'])}"
    table = Table(title=title, title_justify="left")
    for name in ("process", "at", "guard of", "records"):
        table.add_column(name, justify="right" if name == "records" else "left", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="center")
    for process in values["processes"]:
        table.add_row(*_row(process))
    target.print(table)
    size, checked = values["coalitions"]["size"], values["coalitions"]["checked"]
    exempt = values["coalitions"]["exempt"]
    target.print(
        "A name is an Ethereum address, or a key that belongs to it. What a relay knew of both"
        " parties counts when it can be linked.",
        f"Coalitions of {size}: {checked} without a guard; {exempt} with one, which may place its"
        " own client.",
        sep="\n",
        soft_wrap=True,
    )
    for finding in values["findings"]:
        target.print(_line(finding), soft_wrap=True, markup=False)
    for name in found.silent:
        target.print(f"{name} recorded nothing: what it knew, nobody can say", markup=False)
    target.print(_outcome(values, found))


def _row(process: dict[str, Any]) -> list[str]:
    marks = [
        "●" if any(fact.startswith(starts) for fact in process["knows"]) else ""
        for starts in _COLUMNS.values()
    ]
    guard_of = ", ".join(process["guard_of"])
    return [process["name"], process["ip"], guard_of, str(process["records"]), *marks]


def _line(finding: dict[str, Any]) -> str:
    who, facts = " + ".join(finding["who"]), " with ".join(finding["facts"])
    return f"{finding['scenario']}: {who} links {facts} through {finding['through']}"


def _outcome(values: dict[str, Any], found: Verdict) -> str:
    if found.ok:
        return "[green]✓ nobody but the two parties could link what nobody may[/green]"
    return f"[red]✗ {len(values['findings'])} findings; repeat with --seed {values['seed']}[/red]"
