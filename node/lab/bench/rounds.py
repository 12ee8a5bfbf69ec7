"""One round of measurements of one network: the same for each (docs/performance.md)."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.lab.bench.applications import Bulk, Dials, dial, echo
from peerstream.node.lab.bench.meter import MB, Meter
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.target import BLOCK

DIRECTIONS: Final = ("down", "up")
HOPS: Final = 6
_APART_S: Final = 0.1  # between streams: Tor delays one that follows another's end at once


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure. rounds: of which medians are taken; the other counts are of one round.

    megabytes: what is moved by so many flows together. pause_s: between cold dials, so that a
    caller may build the circuits again that it keeps in stock.
    """

    rounds: int = 3
    cold: int = 10
    further: int = 20
    echoes: int = 300
    megabytes: Mapping[int, int] = field(default_factory=lambda: {1: 40, 4: 80, 16: 120})
    dials: int = 200
    at_once: int = 20
    pause_s: float = 1.0


QUICK: Final = Plan(
    rounds=1, cold=5, further=5, echoes=100, megabytes={1: 8, 4: 16, 16: 24}, dials=40, pause_s=0.3
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What flows moved. cpu: milliseconds per MB by role. others: cores used by everybody else."""

    mb_s: float
    cpu: dict[str, float]
    others: float


@dataclass(frozen=True, slots=True)
class DialRun:
    """What many dials at once cost. per_s: of those that worked, likewise cpu_ms."""

    n: int
    failed: int
    per_s: float
    cpu_ms: dict[str, float]
    seconds: Sequence[float]


@dataclass(slots=True)
class Round:
    """What one round found; times in seconds. load: of the machine, before it.

    rested: echoes as far apart as further streams.
    """

    load: float
    cold: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)
    echo: list[float] = field(default_factory=list)
    rested: list[float] = field(default_factory=list)
    transfers: dict[tuple[str, int], Transfer] = field(default_factory=dict)
    dials: DialRun | None = None
    failures: list[str] = field(default_factory=list)


class Measurement:
    """Measures one round. It blocks: run it in a thread.

    apart: the processes of the applications. forget: ends what dials left behind.
    """

    def __init__(
        self, subject: Subject, plan: Plan, apart: Sequence[int], forget: Callable[[], None]
    ) -> None:
        self._subject = subject
        self._plan = plan
        self._apart = (*apart, os.getpid())
        self._forget = forget
        self._found = Round(os.getloadavg()[0])

    def run(self, number: int) -> Round:
        """Measure round `number`, from 0."""
        self._latencies(number)
        self._forget()
        for flows in self._plan.megabytes:
            for direction in DIRECTIONS:
                self._transfer(direction, flows)
                self._forget()
        self._dials()
        self._forget()
        return self._found

    def _latencies(self, number: int) -> None:
        plan, found = self._plan, self._found
        last = None
        for place in self._subject.cold_places(number * plan.cold, plan.cold):
            time.sleep(plan.pause_s)
            try:
                stream, took = dial(place)
            except OSError as error:
                found.failures.append(f"cold dial: {error}")
                continue
            stream.close()
            found.cold.append(took)
            last = place
        if last is None:
            return
        try:
            stream, _ = dial(last)
            with stream:
                found.echo += echo(stream, plan.echoes)
                for _ in range(plan.further):
                    time.sleep(_APART_S)
                    found.rested += echo(stream, 1)
                for _ in range(plan.further):
                    time.sleep(_APART_S)
                    more, took = dial(last)
                    more.close()
                    found.further.append(took)
        except OSError as error:
            found.failures.append(f"echo: {error}")

    def _transfer(self, direction: str, flows: int) -> None:
        bulk = Bulk(self._subject.places(flows), upload=direction == "up")
        blocks = self._plan.megabytes[flows] * MB // flows // BLOCK
        bulk.dial()
        with Meter(self._subject.roles, self._apart) as meter:
            moved = 0 if bulk.failures else bulk.move(blocks) / MB
        if bulk.failures or not moved:
            self._found.failures.append(f"{flows} {direction}: {bulk.failures[:1]}")
            return
        cpu = {role: spent / moved * 1e3 for role, spent in meter.cpu.items()}
        cpu["relay"] /= HOPS
        cpu["all"] = meter.total / moved * 1e3
        self._found.transfers[direction, flows] = Transfer(
            moved / meter.wall, cpu, meter.others / meter.wall
        )

    def _dials(self) -> None:
        plan, dials = self._plan, Dials()
        with Meter(self._subject.roles, self._apart) as meter:
            dials.dial_all(self._subject.places(plan.dials), plan.at_once)
        dials.close()
        self._found.failures += [f"dial: {failure}" for failure in dials.failures]
        worked = len(dials.seconds)
        each = {role: spent / max(1, worked) * 1e3 for role, spent in meter.cpu.items()}
        each["all"] = meter.total / max(1, worked) * 1e3
        self._found.dials = DialRun(
            plan.dials, plan.dials - worked, worked / meter.wall, each, dials.seconds
        )
