"""One relay alone on one core; who feeds it and who takes its cells have the other.

    python bench/relay.py [--rounds 7] [--seconds 3] [--idle 5000] [--page]

Measured in turns, medians of the rounds: cells through the relay, with credits, over two real
connections; the same through a second one that has idle circuits besides; a bare relay of sockets
that seals 64 KiB once; and one that does to each cell what ours must, and nothing else. Then what
the second one holds while 16 circuits send and nobody reads on.
Prints a table on standard error and JSON. `per_core` is bytes by the relay's own CPU time, which
says the same on a busy machine; with more than one core it is also what the clock says.
"""

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from statistics import median
from typing import Any

import trio
from bars import add_page, tell
from multiaddr import Multiaddr
from relay_peers import Feeder, Taker, pin, sealed_between_sockets

from peerstream.node.lab.bench.machine import describe_machine
from peerstream.node.lab.bench.meter import cpu_seconds, memory_of
from peerstream.node.network.carrier import LinkPort
from peerstream.node.network.host import Host
from peerstream.node.network.links import P2PLinks
from peerstream.node.protocol.circuit.bodies import encode_payload
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.relay import RelayCore, RelayParts
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from peerstream.node.protocol.onion.replay import ReplayFilter, bucket_of
from peerstream.node.protocol.onion.setup import Hop, build_setup
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import DIALER_CIRCUITS, FrameType, encode_frame
from peerstream.node.protocol.wire.sizes import CELL_SIZES

EPOCH_S = 21_600
CELL_CLASS = 2
WINDOW = 32  # cells: what a circuit of the class begins with
CIRCUITS = 16
WARM_UP_S = 1.0
SETTLE_S = 2.0
TICK_S = 0.5
LIMITS = LinkLimits(10_000, 1e9, 1e9, closes_on_bad_setups=False)
CELL = CELL_SIZES[CELL_CLASS]
Started = tuple[Connection, SpawnProcess]
MB = 1e6
BARS = {
    "per_core_mb_s": (">=", 350.0),
    "of_bare": (">=", 0.65),
    "idle_circuit_bytes": ("<=", 4_096),
    "with_idle": (">=", 0.95),
    "held_of_windows": ("<=", 1.0),
}


# The relay


async def relay(pipe: Connection) -> None:
    """Relay until the pipe ends, and say on it how things are."""
    keys, pool = OnionKeyRing(EPOCH_S), BufferPool()
    wall = int(time.time())
    keys.rotate(wall, os.urandom)
    host = Host(os.urandom(32))
    parts = RelayParts(
        host.relay_id, keys, ReplayFilter(), lambda _record: None, os.urandom, pool=pool
    )
    core = RelayCore(parts, now=trio.current_time(), wall=wall)

    def make_link(*, dialer: bool, peer: bytes, now: float) -> LinkPort:
        link = Link(dialer=dialer, peer=peer, limits=LIMITS, now=now, pool=pool)
        link.on_setup = core.setup_received
        core.link_ready(peer, link)
        return link

    links = P2PLinks(host, make_link)
    links.on_closed = lambda link, _peer, _error: core.link_closed(link)  # type: ignore[arg-type]
    async with links.listen([Multiaddr("/ip4/127.0.0.1/tcp/0")]), trio.open_nursery() as nursery:
        nursery.start_soon(tick, core)
        pipe.send((host.relay_id, str(links.addresses[0]), keys.key(wall // EPOCH_S).public))
        while await trio.to_thread.run_sync(pipe.recv, abandon_on_cancel=True) == "how":
            pipe.send((core.circuits, core.held_bytes))
        nursery.cancel_scope.cancel()


async def tick(core: RelayCore) -> None:
    while True:
        core.tick(trio.current_time(), int(time.time()))
        await trio.sleep(TICK_S)


def run_relay(pipe: Connection, core: int) -> None:
    pin(core)
    trio.run(relay, pipe)


# Who measures


class Measurement:
    """Feeds and takes, on the other core, and reads the relay's CPU and memory from /proc."""

    def __init__(self, pipe: Connection, pid: int) -> None:
        self.pipe, self.pid = pipe, pid
        self.relay_id, self.address, self.onion_key = pipe.recv()
        self.feeder, self.taker = Feeder(CELL, WINDOW), Taker(WINDOW)
        self.circuits = 0

    async def connect(self, nursery: trio.Nursery) -> bytes:
        """Connect both sides; return who takes."""
        ids = []
        for played in (self.taker, self.feeder):
            links = P2PLinks(Host(os.urandom(32)), played.make)
            await nursery.start(self._hold, links)
            ids.append(links.host.relay_id)
        return ids[0]

    async def _hold(
        self, links: P2PLinks, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with links.listen():
            await links.dial(self.relay_id, [Multiaddr(self.address)])
            task_status.started()
            await trio.sleep_forever()

    async def open(self, number: int, taker: bytes) -> list[int]:
        """Open circuits that go on to the taker; return their ids on the feeder's link."""
        far = OnionKeyRing(EPOCH_S)
        wall = int(time.time())
        far.rotate(wall, os.urandom)
        path = [Hop(self.relay_id, self.onion_key), Hop(taker, far.key(wall // EPOCH_S).public)]
        found = []
        for _ in range(number):
            self.circuits += 1
            built = build_setup(
                path,
                encode_payload(Command.OPEN, b""),
                cell_class=CELL_CLASS,
                real_time=False,
                bucket=bucket_of(wall),
                entropy=os.urandom,
            )
            found.append(DIALER_CIRCUITS + self.circuits)
            self.feeder.say(encode_frame(found[-1], FrameType.SETUP, built.frame))
            await trio.lowlevel.checkpoint()
        while self.how()[0] < self.circuits:  # noqa: ASYNC110 - another process
            await trio.sleep(0.1)
        return found

    def how(self) -> tuple[int, int]:
        """Return how many circuits the relay has, and how many bytes of cells it holds."""
        self.pipe.send("how")
        found: tuple[int, int] = self.pipe.recv()
        return found

    async def throughput(self, seconds: float) -> dict[str, float]:
        """Return MB/s by the clock and by the relay's CPU."""
        self.feeder.go()
        await trio.sleep(WARM_UP_S)
        began, cpu, cells = time.monotonic(), cpu_seconds(self.pid), self.taker.cells
        await trio.sleep(seconds)
        moved = (self.taker.cells - cells) * CELL / MB
        found = {
            "mb_s": moved / (time.monotonic() - began),
            "per_core_mb_s": moved / (cpu_seconds(self.pid) - cpu),
        }
        self.feeder.stop()
        await trio.sleep(WARM_UP_S)
        return found

    async def held(self, seconds: float) -> dict[str, float]:
        """Return what the relay holds at most while nobody reads on: bytes, MB of memory."""
        before = memory_of(self.pid).resident
        self.taker.slow = True
        self.feeder.go()
        most, resident = 0, before
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            most = max(most, self.how()[1])
            resident = max(resident, memory_of(self.pid).resident)
            await trio.sleep(0.05)
        self.feeder.stop()
        return {"held_bytes": most, "grown_mb": resident - before}


async def measure(
    relays: Sequence[Started], arguments: argparse.Namespace, bare: Callable[[float, int], float]
) -> dict[str, Any]:
    ours, beside, raw, raw_cells = [], [], [], []
    async with trio.open_nursery() as nursery:
        it, laden = (Measurement(pipe, process.pid or 0) for pipe, process in relays)
        for each in (it, laden):
            taker = await each.connect(nursery)
            each.feeder.circuits = await each.open(CIRCUITS, taker)
        before = memory_of(laden.pid).resident
        await laden.open(arguments.idle, taker)
        await trio.sleep(SETTLE_S)
        grown = memory_of(laden.pid).resident - before
        for _ in range(arguments.rounds):
            ours.append(await it.throughput(arguments.seconds))
            beside.append(await laden.throughput(arguments.seconds))
            raw.append(await trio.to_thread.run_sync(bare, arguments.seconds, 0))
            raw_cells.append(await trio.to_thread.run_sync(bare, arguments.seconds, CELL))
        held = await laden.held(arguments.seconds)
        nursery.cancel_scope.cancel()
    alone, loaded = medians(ours), medians(beside)
    return {
        **alone,
        "bare_per_core_mb_s": median(raw),
        "of_bare": alone["per_core_mb_s"] / median(raw),
        "bare_cells_of_bare": median(raw_cells) / median(raw),
        "idle_circuits": arguments.idle,
        "idle_circuit_bytes": grown * MB / max(1, arguments.idle),
        "with_idle": loaded["per_core_mb_s"] / alone["per_core_mb_s"],
        "held_bytes": held["held_bytes"],
        "held_of_windows": held["held_bytes"] / (CIRCUITS * WINDOW * (CELL + 24)),
        "held_grown_mb": held["grown_mb"],
    }


def start(context: SpawnContext, core: int) -> Started:
    near, far = context.Pipe()
    process = context.Process(target=run_relay, args=(far, core), daemon=True)
    process.start()
    return near, process


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--idle", type=int, default=5_000)
    add_page(parser)
    arguments = parser.parse_args()
    machine, cores = describe_machine(), sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    relays = [start(context, cores[0]) for _ in range(2)]
    pin(cores[-1])

    def bare(seconds: float, cell: int) -> float:
        return sealed_between_sockets(context, (cores[0], cores[-1]), seconds, cell)

    found = trio.run(measure, relays, arguments, bare)
    for pipe, process in relays:
        pipe.send("end")
        process.join()
    found = {"machine": machine, "load": os.getloadavg(), **found}
    tell("relay", found, BARS, keep=arguments.page)


if __name__ == "__main__":
    main()
