"""What two floods cost: strangers at an address, garbage at a relay (docs/evidence/flood.md)."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import trio

from peerstream.node.lab.bench.meter import Meter, cpu_seconds, memory_of
from peerstream.node.lab.demo import Party, open_parties
from peerstream.node.lab.network import LabRelay, PrivateNetwork
from peerstream.node.lab.processes import LabProcess
from peerstream.node.lab.steps import Steps, step

STRANGERS: Final = 2  # processes of them
ATTACKERS: Final = 4  # each at an address of its own
QUIET_DIALS: Final = 5
BETWEEN_DIALS_S: Final = 0.5
BETWEEN_VISITS_S: Final = 1.0
FILES_IN_PEACE: Final = 3  # a round
FILE_MB: Final = 20
ANONYMOUS: Final = 2
_PROGRAM: Final = "peerstream.node.lab.flood.program"
_ACCOUNT: Final = 40  # the first of ours: no operator and no party has it
_MB: Final = 1_000_000


@dataclass(slots=True)
class IntroductionFigures:
    """A flood of introductions. cpu: the callee's share of a core while they came.

    quiet_ms, flood_ms: dials of a contact before and meanwhile; failed: those that did not connect.
    rss_before, rss_after: the callee's resident memory in MB.
    """

    count: int
    seconds: float = 0.0
    cpu: float = 0.0
    passed_on: int = 0
    refused: int = 0
    joined_in_vain: int = 0
    given_up: int = 0
    quiet_ms: list[float] = field(default_factory=list)
    flood_ms: list[float] = field(default_factory=list)
    failed: int = 0
    rss_before: float = 0.0
    rss_after: float = 0.0


@dataclass(slots=True)
class GarbageFigures:
    """A flood at the guard of a caller. quiet, flood: MB/s of files through it, in turn.

    quiet_cpu, flood_cpu: the relay's share of a core; attacker_s: CPU seconds that the flood cost
    its senders; shut: dials that the relay refused. newcomer_ms: link and circuit of an honest
    client at an address of its own meanwhile; turned_away: how often it got none.
    """

    sent: int = 0
    half_open: int = 0
    links: int = 0
    shut: int = 0
    quiet: list[float] = field(default_factory=list)
    flood: list[float] = field(default_factory=list)
    quiet_cpu: list[float] = field(default_factory=list)
    flood_cpu: list[float] = field(default_factory=list)
    attacker_s: float = 0.0
    newcomer_ms: list[float] = field(default_factory=list)
    turned_away: int = 0

    @property
    def kept(self) -> float:
        """Which share of the throughput is left."""
        return median(self.flood) / median(self.quiet)


async def flood_introductions(
    network: PrivateNetwork, count: int, per_second: float, steps: Steps
) -> IntroductionFigures:
    """Have strangers introduce themselves, and a contact dial meanwhile."""
    found = IntroductionFigures(count)
    with step(steps, "a callee, its contact, strangers"):
        contact = await _fork(network, "contact", "run_caller", 0, "127.201.0.1")
        account = (await contact.event("ready"))["account"]
        callee = await _fork(network, "called", "run_callee", 1, "127.202.0.1", contacts=[account])
        card = await callee.event("published")
        target = {"account": card["account"], "key": card["key"]}
        strangers = [
            await _fork(network, f"stranger-{n}", "run_caller", 2 + n, f"127.{203 + n}.0.1")
            for n in range(STRANGERS)
        ]
        for stranger in strangers:
            await stranger.event("ready")
    with step(steps, "a contact dials in peace"):
        for _ in range(QUIET_DIALS):
            await _dial(contact, target, found.quiet_ms, found)
            await trio.sleep(BETWEEN_DIALS_S)
    found.rss_before = memory_of(callee.pid).resident
    with (
        step(steps, f"{count} introductions of strangers"),
        Meter({"callee": [callee.pid]}, []) as meter,
    ):
        await _while_they_come(contact, strangers, target, found, per_second)
    found.seconds, found.cpu = meter.wall, meter.cpu["callee"] / meter.wall
    found.rss_after = memory_of(callee.pid).resident
    causes = (await callee.ask({"do": "tell"}, "statistics"))["refused"]
    found.joined_in_vain = causes.get("CommandRefusedError", 0)
    found.given_up = causes.get("flood", 0)
    return found


async def _while_they_come(
    contact: LabProcess,
    strangers: list[LabProcess],
    target: dict[str, str],
    found: IntroductionFigures,
    per_second: float,
) -> None:
    each = {"count": found.count // STRANGERS, "per_second": per_second / STRANGERS}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_dialling, contact, target, found)
        async with trio.open_nursery() as flood:
            for stranger in strangers:
                flood.start_soon(_introduce, stranger, {**target, **each}, found)
        nursery.cancel_scope.cancel()


async def _introduce(
    stranger: LabProcess, request: dict[str, Any], found: IntroductionFigures
) -> None:
    done = await stranger.ask({"do": "introduce", **request}, "introduced")
    found.passed_on += done["passed_on"]
    found.refused += done["refused"]


async def _keep_dialling(
    contact: LabProcess, target: dict[str, str], found: IntroductionFigures
) -> None:
    while True:
        await _dial(contact, target, found.flood_ms, found)
        await trio.sleep(BETWEEN_DIALS_S)


async def _dial(
    contact: LabProcess, target: dict[str, str], into: list[float], found: IntroductionFigures
) -> None:
    await contact.tell({"do": "dial", **target})
    came = await contact.event("dialled", "failed to dial")
    if came["event"] == "dialled":
        into.append(came["ms"])
    else:
        found.failed += 1


async def flood_relay(
    network: PrivateNetwork, garbage: int, half_open: int, rounds: int, steps: Steps
) -> GarbageFigures:
    """Have a client flood the guard of another one, whose files go through it in turn."""
    found = GarbageFigures(half_open=half_open)
    async with open_parties(network, ANONYMOUS, steps) as parties:
        crowd = await _Crowd.of(network)
        victim = await _Victim.of(network, parties)
        await victim.send(found.quiet, found.quiet_cpu)  # a first one, over links that are new
        found.quiet.clear()
        found.quiet_cpu.clear()
        for number in range(rounds):
            with step(steps, f"files in peace and under flood, {number + 1} of {rounds}"):
                for _ in range(FILES_IN_PEACE):
                    await victim.send(found.quiet, found.quiet_cpu)
                await crowd.flood(victim, garbage // rounds, found)
    return found


@dataclass(frozen=True, slots=True)
class _Victim:
    """A relay, and the parties whose files go through it."""

    relay: LabRelay
    parties: tuple[Party, Party]
    file: Path

    @property
    def relay_id(self) -> str:
        """In hexadecimal digits."""
        return self.relay.proven.relay_id.hex()

    @classmethod
    async def of(cls, network: PrivateNetwork, parties: tuple[Party, Party]) -> Self:
        """Return the guard of the caller, once it dialled."""
        file = network.options.directory / "flood.bin"
        await trio.Path(file).write_bytes(bytes(FILE_MB * _MB))
        caller, callee = parties
        whom = {"address": callee.account, "level": ANONYMOUS}
        await caller.process.ask({"do": "dial", **whom}, "dialled")
        await callee.process.event("called")
        guard = (await caller.process.ask({"do": "places"}, "places"))["ways"][0][0]
        relay = next(r for r in network.relays if r.proven.relay_id.hex() == guard)
        return cls(relay, parties, file)

    async def send(self, speeds: list[float], cpu: list[float]) -> None:
        """Send a file and add its MB/s and the relay's share of a core meanwhile."""
        caller, callee = self.parties
        request = {"do": "send", "file": str(self.file), "address": callee.account}
        with Meter({"relay": [self.relay.process.pid]}, []) as meter:
            await caller.process.tell({**request, "level": ANONYMOUS})
            while (sent := await caller.process.event("progress", "sent"))["event"] == "progress":
                pass
            await callee.process.event("received")
        speeds.append(sent["bytes"] / _MB / sent["seconds"])
        cpu.append(meter.cpu["relay"] / meter.wall)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Those who flood a relay, and an honest client that comes to it meanwhile."""

    attackers: list[LabProcess]
    newcomer: LabProcess

    @classmethod
    async def of(cls, network: PrivateNetwork) -> Self:
        """Start them."""
        attackers = [
            await _fork(network, f"attacker-{n}", "run_caller", 9 + n, f"127.{220 + n}.0.1")
            for n in range(ATTACKERS)
        ]
        newcomer = await _fork(network, "newcomer", "run_caller", 9 + ATTACKERS, "127.230.0.1")
        for process in (*attackers, newcomer):
            await process.event("ready")
        return cls(attackers, newcomer)

    async def flood(self, victim: _Victim, garbage: int, found: GarbageFigures) -> None:
        """Flood it while files go through it."""
        endpoint = victim.relay.proven.endpoint
        place = {"host": str(endpoint.address), "port": endpoint.port}
        holder = self.attackers[0]
        await holder.ask({"do": "hold", **place, "count": found.half_open}, "held")
        before = self._cpu_seconds()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_sending, victim, found)
            nursery.start_soon(self._keep_coming, victim.relay_id, found)
            async with trio.open_nursery() as flood:
                for attacker in self.attackers:
                    share = garbage // len(self.attackers)
                    flood.start_soon(_send_garbage, attacker, victim.relay_id, share, found)
            nursery.cancel_scope.cancel()
        await holder.ask({"do": "let go"}, "let go")
        found.attacker_s += self._cpu_seconds() - before

    def _cpu_seconds(self) -> float:
        return sum(cpu_seconds(attacker.pid) for attacker in self.attackers)

    async def _keep_coming(self, relay_id: str, found: GarbageFigures) -> None:
        while True:
            with trio.CancelScope(shield=True):  # a visit that is begun is counted
                came = await self.newcomer.ask({"do": "reach", "relay_id": relay_id}, "reached")
            if came["ms"] is None:
                found.turned_away += 1
            else:
                found.newcomer_ms.append(came["ms"])
            await trio.sleep(BETWEEN_VISITS_S)


async def _send_garbage(
    attacker: LabProcess, relay_id: str, count: int, found: GarbageFigures
) -> None:
    done = await attacker.ask({"do": "garbage", "relay_id": relay_id, "count": count}, "sent")
    found.sent += done["sent"]
    found.links += done["links"]
    found.shut += done["shut"]


async def _keep_sending(victim: _Victim, found: GarbageFigures) -> None:
    while True:
        with trio.CancelScope(shield=True):  # a file that is begun is measured to its end
            await victim.send(found.flood, found.flood_cpu)
        await trio.lowlevel.checkpoint()


async def _fork(
    network: PrivateNetwork, name: str, program: str, number: int, address: str, **more: Any
) -> LabProcess:
    options = {
        "network_file": str(network.rooted.network_file),
        "static_file": str(network.rooted.static_file),
        "state": str(network.options.directory / name),
        "account": _ACCOUNT + number,
        "source_address": address,
        **more,
    }
    return await network.processes.fork(name, f"{_PROGRAM}:{program}", options)
