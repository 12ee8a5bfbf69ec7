"""`psp chaos`: files between two addresses while relays between them die (SPEC 13.11)."""

import math
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import trio
from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.levels import LEVELS, Level
from peerstream.node.cli.report import Report
from peerstream.node.lab.chaos import Chaos, Outcome
from peerstream.node.lab.demo import open_parties
from peerstream.node.lab.faults import KINDS, Fault, Kind, plan_faults, roles_of
from peerstream.node.lab.home import fresh_run
from peerstream.node.lab.kernel import is_alive, start_ticks
from peerstream.node.lab.network import NetworkOptions, open_network

if TYPE_CHECKING:
    from rich.console import Console

    from peerstream.node.lab.steps import Steps

SCHEMA: Final = "psp.chaos/1"
STALL_KILL_MAX_S: Final = 3.0
STALL_FREEZE_MAX_S: Final = 6.0
STALL_P50_MAX_S: Final = 1.5
_LEAST_RELAYS: Final = 8
_MB: Final = 1_000_000


def chaos(  # noqa: PLR0913 - the flags of the command
    *,
    runs: Annotated[int, Parameter(help="How many files, and faults.")] = 16,
    minutes: Annotated[float | None, Parameter(help="Begin no run after so long.")] = None,
    relays: Annotated[int, Parameter(help="How many relays to start.")] = 16,
    level: Level = "anonymous",
    megabytes: Annotated[int, Parameter(help="Size of each file.")] = 50,
    only: Annotated[
        Literal["kill", "freeze"] | None, Parameter(help="SIGKILL alone, or SIGSTOP alone.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="What faults, and when.")] = None,
) -> Report:
    """Send files through a private network while its relays are killed and frozen."""
    if relays < _LEAST_RELAYS:
        raise BadArgumentError(f"paths that exclude each other need {_LEAST_RELAYS} relays")
    if runs < 1 or megabytes < 1:
        raise BadArgumentError("at least one file of one megabyte")
    drawn = secrets.randbelow(1 << 32) if seed is None else seed
    kinds: Sequence[Kind] = KINDS if only is None else (only,)
    plan = _Plan(
        plan_faults(runs, LEVELS[level], kinds, drawn),
        LEVELS[level],
        megabytes * _MB,
        drawn,
        minutes,
    )
    from peerstream.node.cli.progress import drawn_steps  # noqa: PLC0415 - rich, for people

    with (
        tempfile.TemporaryDirectory(prefix="psp-chaos-") as home,
        fresh_run(Path(home)) as run,
        drawn_steps() as steps,
    ):
        options = NetworkOptions(directory=run, relays=relays, source="static")
        found, pids = trio.run(_run, options, plan, steps)
        left = [pid for pid, ticks in pids.items() if ticks is not None and is_alive(pid, ticks)]
    values = _values(found, plan, relays, level, len(left))
    ok = _is_good(values)
    return Report(
        SCHEMA,
        values,
        lambda target: _show(target, values),
        ok=ok,
        code=Exit.OK if ok else Exit.FAILED,
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to do. minutes: after which no run begins, None for all of them."""

    faults: Sequence[Fault]
    level: int
    file_bytes: int
    seed: int
    minutes: float | None


_Pids = dict[int, int | None]


async def _run(options: NetworkOptions, plan: _Plan, steps: "Steps") -> tuple[list[Outcome], _Pids]:
    """Return what came of the runs, and the processes with their start ticks.

    Each position once is a round, and each round has a network of its own: else relays would kill
    in minutes what a callee may publish, and how often it may come back, in an hour (SPEC 14.6).
    """
    outcomes: list[Outcome] = []
    pids: _Pids = {}
    ends = trio.current_time() + (math.inf if plan.minutes is None else plan.minutes * 60)
    size = len(roles_of(plan.level)) * len(KINDS)
    for first in range(0, len(plan.faults), size):
        if trio.current_time() > ends:
            break
        directory = options.directory / f"round-{first // size + 1}"
        await trio.Path(directory).mkdir(mode=0o700)
        async with (
            open_network(replace(options, directory=directory), steps) as network,
            open_parties(network, plan.level, steps) as parties,
        ):
            found = Chaos(network, parties, plan.level, plan.file_bytes, plan.seed + first)
            await found.run(plan.faults[first : first + size], steps, ends)
            outcomes += found.outcomes
            pids |= {pid: start_ticks(pid) for pid in network.processes.pids}
    return outcomes, pids


def _values(
    found: list[Outcome], plan: _Plan, relays: int, level: Level, left: int
) -> dict[str, Any]:
    whole = [o for o in found if o.finished and o.sha256_ok]
    spoilt = sum(o.finished and not o.sha256_ok for o in found)
    finished = sum(o.finished for o in found)
    stalls = {
        kind: [o.stall_s for o in whole if o.fault.kind == kind and o.stall_s is not None]
        for kind in KINDS
    }
    both = [stall for each in stalls.values() for stall in each]
    return {
        "seed": plan.seed,
        "minutes": plan.minutes,
        "relays": relays,
        "level": level,
        "file_bytes": plan.file_bytes,
        "events": [_event(outcome) for outcome in found],
        "transfers": {
            "started": len(found),
            "finished": finished,
            "failed": len(found) - finished,
        },
        "bytes": {
            "acknowledged": finished * plan.file_bytes,
            "lost": spoilt * plan.file_bytes,
        },
        "stall_s": {
            "p50": round(median(both), 3) if both else None,
            "max_kill": round(max(stalls["kill"]), 3) if stalls["kill"] else None,
            "max_freeze": round(max(stalls["freeze"]), 3) if stalls["freeze"] else None,
        },
        "sha256_mismatches": spoilt,
        "leftover_processes": left,
    }


def _event(outcome: Outcome) -> dict[str, Any]:
    return {
        "t_s": None if outcome.at_s is None else round(outcome.at_s, 3),
        "kind": outcome.fault.kind,
        "target": outcome.target,
        "role": outcome.fault.role,
        "finished": outcome.finished,
        "sha256_ok": outcome.sha256_ok,
        "stall_s": None if outcome.stall_s is None else round(outcome.stall_s, 3),
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 3),
        "error": outcome.error or None,
    }


def _is_good(values: dict[str, Any]) -> bool:
    """Whether every file arrived as it was, and no stall was longer than SPEC 14.6 allows."""
    stall = values["stall_s"]
    return (
        values["transfers"]["failed"] == 0
        and values["sha256_mismatches"] == 0
        and values["leftover_processes"] == 0
        and (stall["p50"] or 0) < STALL_P50_MAX_S
        and (stall["max_kill"] or 0) < STALL_KILL_MAX_S
        and (stall["max_freeze"] or 0) < STALL_FREEZE_MAX_S
    )


def _show(target: "Console", values: dict[str, Any]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only for people

    table = Table(title=f"Seed {values['seed']}", title_justify="left")
    for name in ("role", "fault", "relay", "whole", "stall s", "seconds"):
        table.add_column(name, justify="right" if name in {"stall s", "seconds"} else "left")
    for event in values["events"]:
        whole = "✓" if event["sha256_ok"] else "✗"
        numbers = [_number(event["stall_s"]), _number(event["seconds"])]
        table.add_row(event["role"], event["kind"], event["target"], whole, *numbers)
    target.print(table)
    transfers, stall = values["transfers"], values["stall_s"]
    target.print(f"{transfers['finished']} of {transfers['started']} files arrived;")
    target.print(
        f"longest stall: p50 {_number(stall['p50'])} s, kill {_number(stall['max_kill'])} s,"
        f" freeze {_number(stall['max_freeze'])} s"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"
