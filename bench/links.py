"""Our network over slow links: machines apart, joined by a shaper in user space (SPEC 14.7). Root.

    python bench/links.py [--delay-ms 20] [--mbit 100] [--loss 0.01] [--cold 8] [--megabytes 60]
                           [--page]

Two networks one after the other: links of that delay and rate with cards of 9 000 bytes, for speed;
the same with loss and cards of 1 500 bytes, for what fails. Prints a table on standard error and
JSON: cold dials to "connected" and to the first byte of an answer, echo, one stream and two flows
each way, each over a session of its own, how even two flows are, and what failed.
"""

import argparse
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import trio
from bars import add_page, tell

from peerstream.node.cli.progress import drawn_steps
from peerstream.node.lab.bench.applications import Bulk, dial, echo
from peerstream.node.lab.bench.machine import describe_machine
from peerstream.node.lab.bench.own_network import open_parties
from peerstream.node.lab.bench.socks import Place, connect_front, read_exactly, request_stream
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.bench.target import BLOCK
from peerstream.node.lab.shaped.machines import CUBIC, run_on
from peerstream.node.lab.shaped.network import (
    MTU_LARGE,
    MTU_ORDINARY,
    ShapedNetwork,
    ShapedOptions,
    open_shaped,
)
from peerstream.node.lab.shaped.shape import LinkShape
from peerstream.node.lab.steps import Steps, step

TARGET = "peerstream.node.lab.bench.target:run"
SETTLE_S = 3.0  # until guards and circuits in stock are there, as in everyday use
PAUSE_S = 2.0  # likewise, between cold dials
ECHOES = 20
ROUNDS = 3  # of one stream and of two flows, each way; the median counts
LOOK_S = 0.05
LOSSY_MEGABYTES = 5
MB = 1e6
# What the figures are to reach at 20 ms and 100 Mbit/s.
BARS = {
    "cold_connected_s": ("<=", 0.7),
    "down_mb_s": (">=", 8.0),
    "up_mb_s": (">=", 8.0),
    "share_down": (">=", 0.8),
    "share_up": (">=", 0.8),
    "lossy_failed": ("<=", 0),
}


@dataclass
class Found:
    """Times in seconds; shares: the slower flow's part of the faster one's bytes."""

    connected: list[float] = field(default_factory=list)
    first_byte: list[float] = field(default_factory=list)
    echo: list[float] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def cold_dial(place: Place) -> tuple[float, float]:
    stream = connect_front(place.front, place.isolation)
    with stream:
        began = time.perf_counter()
        request_stream(stream, place.host)
        connected = time.perf_counter() - began
        stream.sendall(b"E!")
        read_exactly(stream, 1)
        return connected, time.perf_counter() - began


def measure_dials(own: Subject, count: int, found: Found) -> None:
    time.sleep(SETTLE_S)
    for place in own.cold_places(0, count):
        time.sleep(PAUSE_S)
        try:
            connected, first_byte = cold_dial(place)
        except OSError as error:
            found.failures.append(f"cold dial: {error}")
            continue
        found.connected.append(connected)
        found.first_byte.append(first_byte)


def measure_echo(own: Subject, found: Found) -> None:
    stream, _ = dial(own.places(1)[0])
    with stream:
        found.echo += echo(stream, ECHOES)


def measure_one(own: Subject, megabytes: int, found: Found, *, upload: bool) -> float | None:
    bulk = Bulk(own.places(1), upload=upload)
    bulk.dial()
    began = time.monotonic()
    moved = 0 if bulk.failures else bulk.move(int(megabytes * MB) // BLOCK)
    found.failures += bulk.failures
    return None if bulk.failures else moved / (time.monotonic() - began) / MB


def measure_two(own: Subject, megabytes: int, found: Found, *, upload: bool) -> float | None:
    """Two flows with as much to move: what the slower one moved when the faster one had it all."""
    flows, share = Bulk(own.places(2), upload=upload), 0.0
    flows.dial()
    if not flows.failures:
        total = int(megabytes * MB) // BLOCK * BLOCK
        mover = Thread(target=flows.move, args=(total // BLOCK,), daemon=True)
        mover.start()
        while mover.is_alive() and max(flows.moving, default=0) < total:
            time.sleep(LOOK_S)
        share = min(flows.moving) / total
        mover.join()
    found.failures += flows.failures
    return None if flows.failures else share


def fast_part(own: Subject, arguments: argparse.Namespace, found: Found) -> None:
    measure_dials(own, arguments.cold, found)
    measure_echo(own, found)
    for name, upload in (("down", False), ("up", True)):
        rates = [measure_one(own, arguments.megabytes, found, upload=upload) for _ in range(ROUNDS)]
        size = 2 * arguments.megabytes
        shares = [measure_two(own, size, found, upload=upload) for _ in range(ROUNDS)]
        for key, values in ((f"{name}_mb_s", rates), (f"share_{name}", shares)):
            whole = [value for value in values if value is not None]
            if whole:
                found.rates[key] = median(whole)


def lossy_part(own: Subject, arguments: argparse.Namespace, found: Found) -> None:
    measure_dials(own, arguments.cold, found)
    for name, upload in (("down", False), ("up", True)):
        rate = measure_one(own, LOSSY_MEGABYTES, found, upload=upload)
        if rate is not None:
            found.rates[f"{name}_mb_s"] = rate


async def play(
    shape: LinkShape, mtu: int, part: Any, arguments: argparse.Namespace, steps: Steps
) -> dict[str, Any]:
    """Play a part. CUBIC where speed is measured, else what the machine has (see the page)."""
    found, congestion = Found(), "" if shape.loss else CUBIC
    with tempfile.TemporaryDirectory(prefix="psp-links-") as home:
        options = ShapedOptions(directory=Path(home), shape=shape, mtu=mtu, congestion=congestion)
        async with open_shaped(options, steps) as shaped:
            target = await shaped.network.processes.fork("target", TARGET, {})
            port = int((await target.event("ready"))["port"])
            async with open_parties(shaped.network, port, steps) as own:
                with step(steps, f"measuring, cards of {mtu} bytes, loss {shape.loss:.0%}"):
                    work = partial(part, own, arguments, found)
                    here = partial(run_on, shaped.namespaces["caller"], work)
                    await trio.to_thread.run_sync(here, abandon_on_cancel=True)
                return await describe(shaped, shape, mtu, found)


async def describe(
    shaped: ShapedNetwork, shape: LinkShape, mtu: int, found: Found
) -> dict[str, Any]:
    def p50(values: list[float]) -> float | None:
        return round(median(values), 3) if values else None

    return {
        "shape": asdict(shape),
        "mtu": mtu,
        "tcp": shaped.congestion,
        "cold_connected_s": p50(found.connected),
        "cold_first_byte_s": p50(found.first_byte),
        "echo_s": p50(found.echo),
        **{name: round(value, 2) for name, value in found.rates.items()},
        "packets": await shaped.counts(),
        "failures": found.failures,
    }


async def run(arguments: argparse.Namespace, steps: Steps) -> dict[str, Any]:
    ideal = LinkShape(delay_s=arguments.delay_ms / 1e3, rate=arguments.mbit * 125_000.0)
    lossy = LinkShape(delay_s=ideal.delay_s, rate=ideal.rate, loss=arguments.loss)
    fast = await play(ideal, MTU_LARGE, fast_part, arguments, steps)
    rough = await play(lossy, MTU_ORDINARY, lossy_part, arguments, steps)
    return {"machine": describe_machine(), "load": os.getloadavg(), "fast": fast, "lossy": rough}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=20.0)
    parser.add_argument("--mbit", type=float, default=100.0)
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--cold", type=int, default=8)
    parser.add_argument("--megabytes", type=int, default=60)
    add_page(parser)
    arguments = parser.parse_args()
    with drawn_steps() as steps:
        values = trio.run(run, arguments, steps)
    found = {**values, **values["fast"], "lossy_failed": len(values["lossy"]["failures"])}
    tell("links", found, BARS, keep=arguments.page)


if __name__ == "__main__":
    main()
