"""Files between two addresses while relays between them die or stand still (SPEC 14.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import trio

from peerstream.node.lab.demo import Party, sha256_of
from peerstream.node.lab.faults import Fault, Places, inflict, thaw
from peerstream.node.lab.network import LabRelay, PrivateNetwork
from peerstream.node.lab.steps import Steps, step

LIMIT_S: Final = 120.0  # for one file
SETTLE_S: Final = 2.0  # between the return of a relay and the next run
FILE: Final = "chaos.bin"
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault did to one file.

    target: a relay's name, at_s: when it was struck, since its round began; "nobody" and None when
    nobody served in that position. stall_s: the longest time in which nothing arrived at the
    receiver; None, as seconds, when the file never arrived. error: why not.
    """

    fault: Fault
    target: str
    at_s: float | None
    finished: bool = False
    sha256_ok: bool = False
    stall_s: float | None = None
    seconds: float | None = None
    error: str = ""


@dataclass(slots=True)
class Chaos:
    """Runs faults in a network between two parties, one file each. file_bytes: of a file."""

    network: PrivateNetwork
    parties: tuple[Party, Party]
    level: int
    file_bytes: int
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)

    async def run(self, faults: Sequence[Fault], steps: Steps, ends: float) -> None:
        """Send a file for each fault, but begin none after `ends` of trio's clock.

        Raises ProcessFailedError, ProcessEndedError.
        """
        started = trio.current_time()
        for number, fault in enumerate(faults):
            if trio.current_time() > ends:
                return
            text = f"{number + 1}/{len(faults)}: {fault.kind} {fault.role}"
            with step(steps, text) as shown:
                outcome = await self._run_one(number, fault, started, steps)
                self.outcomes.append(outcome)
                shown.result = f"{text}: {_summary(outcome)}"

    async def _run_one(self, number: int, fault: Fault, started: float, steps: Steps) -> Outcome:
        file = self.network.options.directory / FILE
        await trio.to_thread.run_sync(_write_file, file, self.file_bytes, f"{self.seed}/{number}")
        run = _Run(self, fault, file, steps)
        try:
            outcome = await run.go(started)
        finally:
            await run.heal()
            file.unlink()
        return outcome


@dataclass(slots=True)
class _Run:
    """One file and one fault."""

    chaos: Chaos
    fault: Fault
    file: Path
    steps: Steps
    struck: LabRelay | None = None
    struck_at: float = 0.0
    received: Mapping[str, Any] | None = None  # the callee's word that it has the file

    async def go(self, started: float) -> Outcome:
        caller, callee = (party.process for party in self.chaos.parties)
        whom = {"address": self.chaos.parties[1].account, "level": self.chaos.level}
        await caller.ask({"do": "hang up"}, "hung up")
        await caller.tell({"do": "send", "file": str(self.file), "unsent": True, **whom})
        ended: Mapping[str, Any] = {"event": "late", "message": f"not within {LIMIT_S:.0f} s"}
        with trio.move_on_after(LIMIT_S):
            ended = await self._follow()
        if ended["event"] == "late":
            await caller.ask({"do": "hang up"}, "unsent")
        name = "nobody" if self.struck is None else self.struck.process.name
        at_s = None if self.struck is None else self.struck_at - started
        if ended["event"] != "sent":
            return Outcome(self.fault, name, at_s, error=ended["message"])
        received = self.received or await callee.event("received")
        same = await trio.to_thread.run_sync(_check_and_remove, received["path"], ended["sha256"])
        return Outcome(
            self.fault,
            name,
            at_s,
            finished=True,
            sha256_ok=same,
            stall_s=received["stall_s"],
            seconds=ended["seconds"],
        )

    async def _follow(self) -> Mapping[str, Any]:
        """Strike when so much of the file is through; return how the sending ended."""
        caller = self.chaos.parties[0].process
        asked = False
        while True:
            event = await caller.event("progress", "places", "sent", "unsent")
            match event["event"]:
                case "progress":
                    self.steps.transferred(event["done"], event["total"])
                    if not asked and event["done"] >= self.fault.fraction * self.chaos.file_bytes:
                        await caller.tell({"do": "places"})
                        asked = True
                case "places":
                    await self._strike(event)
                case _:
                    return event

    async def _strike(self, of_caller: Mapping[str, Any]) -> None:
        target = Places.of(of_caller, await self._places_of_callee()).relay_at(self.fault.role)
        relays = self.chaos.network.relays
        self.struck = next((r for r in relays if r.proven.relay_id.hex() == target), None)
        if self.struck is not None:
            self.struck_at = trio.current_time()
            inflict(self.fault.kind, self.struck.process.pid)

    async def _places_of_callee(self) -> Mapping[str, Any]:
        """Ask the callee where it is reachable; the file may be through before it answers."""
        callee = self.chaos.parties[1].process
        await callee.tell({"do": "places"})
        while True:
            event = await callee.event("places", "received")
            if event["event"] == "places":
                return event
            self.received = event

    async def heal(self) -> None:
        """Bring the relay back."""
        if self.struck is None:
            return
        network = self.chaos.network
        if self.fault.kind == "kill":
            await network.restart_relay(network.relays.index(self.struck))
        else:
            thaw(self.struck.process.pid)
        await trio.sleep(SETTLE_S)


def _write_file(path: Path, size: int, seed: str) -> None:
    chance = Random(seed)  # noqa: S311 - it has to come out the same again
    with path.open("wb") as file:
        for start in range(0, size, _MB):
            file.write(chance.randbytes(min(_MB, size - start)))


def _check_and_remove(name: str, sha256: str) -> bool:
    path = Path(name)
    same = sha256_of(path) == sha256
    path.unlink()
    return same


def _summary(outcome: Outcome) -> str:
    if not outcome.finished or outcome.stall_s is None:
        return f"lost ({outcome.error})"
    return f"{outcome.target}, stall {outcome.stall_s:.2f} s"
