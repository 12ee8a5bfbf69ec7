"""One link between two processes: MB/s, CPU ms per MB, echo round trip, for each data plane.

    python bench/link.py [--megabytes 400] [--cell-size 16368]

Cells of class 2 in frames of the link, without onion layers. MB = 10^6 bytes of cells. CPU is
process time of each side. Prints one line of JSON for each data plane.
"""

import argparse
import json
import multiprocessing
import os
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from multiaddr import Multiaddr

from peerstream.node.network.carrier import LinkPort
from peerstream.node.network.host import DataPlane, Host, HostOptions
from peerstream.node.network.links import P2PLinks

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER_SIZE = 8
ECHO_SIZE = 1_024
WARM_UP = 200
ECHOES = 2_000


class BenchLink:
    """Counts what comes and sends as much as it is told to, or echoes; no circuits."""

    def __init__(self, *, dialer: bool, peer: bytes, now: float) -> None:
        del dialer, peer, now
        self.on_output: Callable[[LinkPort], None] = lambda _link: None
        self.failure = None
        self.closed = False
        self.received = 0
        self.frame = b""
        self.left = 0
        self.echo = False
        self.goal = 0
        self.reached = trio.Event()
        self.started: tuple[float, float] | None = None
        self.output: list[bytes] = []

    @property
    def has_output(self) -> bool:
        return bool(self.left or self.output)

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        del now
        if self.started is None:
            self.started = (time.perf_counter(), time.process_time())
        self.received += len(data)
        if self.echo:
            self.output.append(bytes(data))
            self.on_output(self)
        if self.goal and self.received >= self.goal:
            self.goal = 0
            self.reached.set()

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        if self.output:
            parts, self.output = self.output, []
            return parts
        count = min(budget // len(self.frame), self.left) if self.left else 0
        self.left -= count
        return [self.frame] * count

    def tick(self, now: float) -> None:
        del now

    def close(self) -> None:
        self.closed = True


def rss_mb() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


async def serve(pipe: Connection, plane: DataPlane, total: int) -> None:
    links = P2PLinks(Host(os.urandom(32), HostOptions(data_plane=plane)), BenchLink)
    inbound: list[BenchLink] = []
    arrived = trio.Event()

    def accept(link: LinkPort, _relay_id: bytes) -> None:
        assert isinstance(link, BenchLink)
        inbound.append(link)
        link.goal = total
        arrived.set()

    links.on_inbound = accept
    async with links.listen([Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        idle = rss_mb()
        pipe.send((links.host.relay_id, str(links.addresses[0])))
        await arrived.wait()
        [link] = inbound
        await link.reached.wait()
        assert link.started is not None
        wall, cpu = time.perf_counter() - link.started[0], time.process_time() - link.started[1]
        link.echo = True
        pipe.send((wall, cpu, idle, rss_mb()))
        await trio.to_thread.run_sync(pipe.recv)


async def drive(pipe: Connection, plane: DataPlane, total: int, cell_size: int) -> dict[str, float]:
    relay_id, address = pipe.recv()
    links = P2PLinks(Host(os.urandom(32), HostOptions(data_plane=plane)), BenchLink)
    async with links.listen():
        start = time.perf_counter()
        link = await links.dial(relay_id, [Multiaddr(address)])
        dial = time.perf_counter() - start
        assert isinstance(link, BenchLink)
        link.frame = bytes(HEADER_SIZE + cell_size)
        link.left = total // len(link.frame) + 1
        cpu = time.process_time()
        link.on_output(link)
        wall, receiver_cpu, idle, busy = await trio.to_thread.run_sync(pipe.recv)
        cpu = time.process_time() - cpu
        times = await echo_times(link)
        pipe.send("done")
    megabytes = total / 1e6
    return {
        "dial_ms": round(dial * 1e3, 1),
        "mb_per_s": round(megabytes / wall, 1),
        "send_cpu_ms_per_mb": round(cpu / megabytes * 1e3, 2),
        "receive_cpu_ms_per_mb": round(receiver_cpu / megabytes * 1e3, 2),
        "echo_us_p50": round(times[len(times) // 2] * 1e6),
        "echo_us_p99": round(times[len(times) * 99 // 100] * 1e6),
        "idle_rss_mb": round(idle, 1),
        "busy_rss_mb": round(busy, 1),
    }


async def echo_times(link: BenchLink) -> list[float]:
    times = []
    for number in range(WARM_UP + ECHOES):
        link.received, link.goal, link.reached = 0, ECHO_SIZE, trio.Event()
        start = time.perf_counter()
        link.output.append(bytes(ECHO_SIZE))
        link.on_output(link)
        await link.reached.wait()
        if number >= WARM_UP:
            times.append(time.perf_counter() - start)
    return sorted(times)


def run_server(pipe: Connection, plane: DataPlane, total: int) -> None:
    trio.run(serve, pipe, plane, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--cell-size", type=int, default=16_368)
    parser.add_argument("--plane", choices=[plane.value for plane in DataPlane])
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for plane in DataPlane:
        if arguments.plane in (None, plane.value):
            near, far = context.Pipe()
            total = arguments.megabytes * 1_000_000
            process = context.Process(target=run_server, args=(far, plane, total))
            process.start()
            figures = trio.run(drive, near, plane, total, arguments.cell_size)
            process.join()
            print(json.dumps({"plane": plane.value, **figures}), flush=True)


if __name__ == "__main__":
    main()
