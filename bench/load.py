"""Our network under load: many dials at once, and an echo beside transfers over the same relays.

    python bench/load.py [--dials 1000] [--flows 8] [--megabytes 320] [--rounds 3] [--page]

Prints a table on standard error and JSON. An echo of 100 bytes is timed alone and then, one after
the other, as long as the flows move; a percentile is taken within a round, of rounds the median.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import trio
from bars import add_page, tell

from peerstream.node.cli.progress import drawn_steps
from peerstream.node.lab.bench.applications import Bulk, Dials
from peerstream.node.lab.bench.machine import describe_machine
from peerstream.node.lab.bench.meter import MB, Meter
from peerstream.node.lab.bench.own_network import open_own
from peerstream.node.lab.bench.socks import Place
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.target import BLOCK
from peerstream.node.lab.processes import LabProcesses
from peerstream.node.lab.steps import Steps, step
from peerstream.node.services.ping import RoundTrips

TARGET = "peerstream.node.lab.bench.target:run"
AT_ONCE = 20
BATCH = 200
INTERACT = str(Path(__file__).resolve().parent / "interact.py")
SETTLE_S = 2.0
BARS = {
    "dials_failed": ("<=", 0),
    "dial_cpu_ms": ("<=", 20),
    "loaded_p50_of_idle": ("<=", 5),
    "loaded_p99_of_idle": ("<=", 10),
    "bulk_mb_s": (">=", 45),
}


def many_dials(own: Subject, forget: Any, count: int) -> dict[str, Any]:
    """Dial in batches: what stays open is a circuit each, of the 512 that a link has (SPEC 4.9)."""
    seconds, failures, wall, cpu = 0, set[str](), 0.0, 0.0
    for start in range(0, count, BATCH):
        dials = Dials()
        with Meter(own.roles, [os.getpid()]) as meter:
            dials.dial_all(own.places(min(BATCH, count - start)), AT_ONCE)
        dials.close()
        forget()
        seconds += len(dials.seconds)
        failures.update(dials.failures)
        wall += meter.wall
        cpu += meter.total
    return {
        "dials": count,
        "dials_failed": count - seconds,
        "dials_per_s": seconds / wall,
        "dial_cpu_ms": cpu / max(1, seconds) * 1e3,
        "dial_failures": sorted(failures),
    }


class Interaction:
    """An echo stream of a program of its own: who types does not move bulk in the same process."""

    def __init__(self, place: Place) -> None:
        command = [sys.executable, INTERACT, str(place.front), place.host, place.isolation]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise SystemExit("no pipes to the echo")
        self._input, self._output = self._process.stdin, self._process.stdout
        self.idle = self._times()

    def _times(self) -> RoundTrips:
        line = self._output.readline()
        if not line:
            raise SystemExit("the echo failed")
        return RoundTrips(json.loads(line))

    def begin(self) -> None:
        """Go on, one echo after the other, until `end`."""
        self._input.write("\n")
        self._input.flush()

    def end(self) -> RoundTrips:
        """Return the times since `begin`."""
        self._input.close()
        times = self._times()
        self._process.wait()
        return times


def beside_flows(own: Subject, flows: int, megabytes: int) -> dict[str, float]:
    interaction = Interaction(own.places(1)[0])
    bulk = Bulk(own.places(flows), upload=False)
    bulk.dial()
    interaction.begin()
    began = time.monotonic()
    moved = bulk.move(int(megabytes * MB) // flows // BLOCK)
    took = time.monotonic() - began
    loaded, base = interaction.end(), interaction.idle.percentile(50)
    if bulk.failures:
        raise SystemExit(f"flows failed: {bulk.failures}")
    return {
        "idle_p50_ms": base * 1e3,
        "loaded_p50_of_idle": loaded.percentile(50) / base,
        "loaded_p99_of_idle": loaded.percentile(99) / base,
        "loaded_echoes": len(loaded.seconds),
        "bulk_mb_s": moved / took / MB,
    }


def measure(own: Subject, forget: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    time.sleep(SETTLE_S)
    rounds = []
    for _ in range(arguments.rounds):
        rounds.append(beside_flows(own, arguments.flows, arguments.megabytes))
        forget()
        time.sleep(SETTLE_S)
    found: dict[str, Any] = {name: median(each[name] for each in rounds) for name in rounds[0]}
    return found | many_dials(own, forget, arguments.dials)


async def run(arguments: argparse.Namespace, steps: Steps) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="psp-load-") as home:
        logs, network = Path(home) / "logs", Path(home) / "own"
        logs.mkdir()
        network.mkdir(mode=0o700)
        async with LabProcesses.start(logs) as processes:
            target = await processes.fork("target", TARGET, {})
            port = int((await target.event("ready"))["port"])
            async with open_own(network, port, steps) as own:
                with step(steps, "flows and echoes, then dials"):

                    def forget() -> None:
                        trio.from_thread.run(own.forget)

                    return await trio.to_thread.run_sync(
                        measure, own, forget, arguments, abandon_on_cancel=True
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dials", type=int, default=1_000)
    parser.add_argument("--flows", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    add_page(parser)
    arguments = parser.parse_args()
    with drawn_steps() as steps:
        found = trio.run(run, arguments, steps)
    found = {"machine": describe_machine(), "load": os.getloadavg(), **found}
    tell("load", found, BARS, keep=arguments.page)


if __name__ == "__main__":
    main()
