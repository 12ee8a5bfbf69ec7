"""Networks measured in turns, in one go (docs/performance.md)."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from trio import from_thread, to_thread

from peerstream.node.lab.bench.figures import describe, memory_by_role, ratios
from peerstream.node.lab.bench.machine import describe_machine
from peerstream.node.lab.bench.meter import memory_of
from peerstream.node.lab.bench.own_network import open_own
from peerstream.node.lab.bench.ports import free_ports
from peerstream.node.lab.bench.rounds import Measurement, Plan, Round
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.tor_config import PORTS_OF_A_NODE, Profile
from peerstream.node.lab.bench.tor_network import NODES, RELAYS, TorOptions, start_tor, tor_version
from peerstream.node.lab.processes import LabProcesses
from peerstream.node.lab.steps import Steps, step

NOTE: Final = (
    "A cell of ours holds 16 368 bytes where Tor's holds 498: fewer, larger cells are part of why "
    "it is faster, and they hide sizes more coarsely."
)
_TARGET: Final = "peerstream.node.lab.bench.target:run"


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure: ours or not, Tor with these profiles, how much. directory: an empty one."""

    directory: Path
    plan: Plan
    ours: bool = True
    profiles: tuple[Profile, ...] = ()


async def compare(options: Options, steps: Steps) -> dict[str, Any]:
    """Start all networks, measure them in turns, end them; return the values of psp.bench.onion/1.

    Raises LabError, as subclasses.
    """
    if options.profiles:
        await tor_version()  # before anything is started
    machine, before = describe_machine(), list(os.getloadavg())
    systems = await _measure(options, steps)
    return {
        "machine": machine,
        "load": {"before": before, "after": list(os.getloadavg())},
        "note": NOTE,
        "systems": systems,
        "ratios": _ratios(systems),
    }


async def _measure(options: Options, steps: Steps) -> list[dict[str, Any]]:
    logs = options.directory / "logs"
    logs.mkdir(mode=0o700)
    async with LabProcesses.start(logs) as processes:
        target = await processes.fork("target", _TARGET, {})
        port = int((await target.event("ready"))["port"])
        async with _subjects(processes, options, port, steps) as subjects:
            return await _in_turns(subjects, options.plan, target.pid, steps)


@asynccontextmanager
async def _subjects(
    processes: LabProcesses, options: Options, target: int, steps: Steps
) -> AsyncIterator[list[Subject]]:
    """Start the networks; all of them run until the end."""
    found = await _start_tors(processes, options, target, steps)
    if not options.ours:
        yield found
        return
    async with open_own(_inside(options, "own"), target, steps) as own:
        yield [own, *found]


async def _start_tors(
    processes: LabProcesses, options: Options, target: int, steps: Steps
) -> list[Subject]:
    """Start a Tor network for each profile; two that start at once miss their votes."""
    profiles, each = options.profiles, NODES * PORTS_OF_A_NODE
    ports = free_ports(each * len(profiles))
    fresh = options.plan.rounds * options.plan.cold
    found = []
    for number, profile in enumerate(profiles):
        its_ports = ports[number * each : (number + 1) * each]
        tor = TorOptions(profile, _inside(options, profile), its_ports, target, fresh)
        with step(steps, f"private Tor network, {profile}") as shown:
            found.append(await start_tor(processes, tor))
            shown.result += f": {RELAYS} relays, callee published"
    return found


def _inside(options: Options, name: str) -> Path:
    path = options.directory / name
    path.mkdir(mode=0o700)
    return path


async def _in_turns(
    subjects: Sequence[Subject], plan: Plan, target: int, steps: Steps
) -> list[dict[str, Any]]:
    memory = [memory_by_role(_memory(subject)) for subject in subjects]
    rounds: list[list[Round]] = [[] for _ in subjects]
    for number in range(plan.rounds):
        for subject, found in zip(subjects, rounds, strict=True):
            with step(steps, f"round {number + 1} of {plan.rounds}: {subject.label}") as shown:
                found.append(await _round(subject, plan, target, number))
                shown.result += f", load {found[-1].load:.1f}"
    return [
        describe(subject, plan, found, {**idle, **_after(subject)})
        for subject, found, idle in zip(subjects, rounds, memory, strict=True)
    ]


async def _round(subject: Subject, plan: Plan, target: int, number: int) -> Round:
    forget = partial(from_thread.run, subject.forget)
    measurement = Measurement(subject, plan, [target], forget)
    # Given up at Ctrl-C: its streams have timeouts, and its threads end with us.
    return await to_thread.run_sync(measurement.run, number, abandon_on_cancel=True)


def _memory(subject: Subject) -> dict[str, Any]:
    return {role: [memory_of(pid) for pid in pids] for role, pids in subject.roles.items()}


def _after(subject: Subject) -> dict[str, Any]:
    found = memory_by_role(_memory(subject))
    return {f"{name}_after": values for name, values in found.items()}


def _ratios(systems: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ours = [found for found in systems if found["profile"] is None]
    theirs = [found for found in systems if found["profile"] is not None]
    return {
        f"{found['name']}_{found['profile']}": ratios(own, found)
        for own in ours
        for found in theirs
    }
