"""A private network in which each relay and each party has a machine of its own (SPEC 14.7)."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from peerstream.node.lab.network import NetworkOptions, PrivateNetwork, Source, open_network
from peerstream.node.lab.places import Addresses
from peerstream.node.lab.processes import LabProcess, LabProcesses
from peerstream.node.lab.shaped.forkserver import FORKSERVER
from peerstream.node.lab.shaped.machines import require_root
from peerstream.node.lab.shaped.shape import CUT, LinkShape
from peerstream.node.lab.steps import Steps, step

# With 100 Mbit/s a packet of 1 500 bytes takes 0.12 ms on each of seven links; each costs the
# shaper some 10 us, so that throughput is measured with larger ones.
MTU_ORDINARY: Final = 1_500
MTU_LARGE: Final = 9_000
ADDRESSES: Final = Addresses(octet=10, port=9_001)
_PROGRAM: Final = "peerstream.node.lab.shaped.shaper_program:run"
_TARGET: Final = "target"  # a server behind the callee lives on the callee's machine


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapedOptions:
    """What to start. directory: an empty one of mode 0700. shape: of every link, each way.

    mtu: of every machine's card, in bytes. seed: of what is lost. congestion: how TCP reacts to
    loss, "" as this machine's does.
    """

    directory: Path
    shape: LinkShape
    relays: int = 12
    source: Source = "static"
    mtu: int = MTU_ORDINARY
    seed: int = 1
    congestion: str = ""


@dataclass(slots=True)
class ShapedNetwork:
    """A private network and what carries its packets.

    namespaces: a path for `run_on` by the name of a process. congestion: what TCP uses.
    """

    network: PrivateNetwork
    namespaces: dict[str, str]
    congestion: list[str]
    _shaper: LabProcess

    async def shape(self, one: str, other: str, shape: LinkShape | None) -> None:
        """Treat the link between two machines in another way, both directions; None: as before.

        one, other: names of processes, as `relay-01` or `caller`. Raises ProcessEndedError.
        """
        values = None if shape is None else asdict(shape)
        for source, target in ((one, other), (other, one)):
            request = {"do": "shape", "source": source, "target": target, "shape": values}
            await self._shaper.ask(request, "shaped")

    async def cut(self, one: str, others: Sequence[str]) -> None:
        """Let nothing through between a machine and others, until `mend`. Both stay up."""
        for other in others:
            await self.shape(one, other, CUT)

    async def mend(self, one: str, others: Sequence[str]) -> None:
        """Take `cut` or `shape` back."""
        for other in others:
            await self.shape(one, other, None)

    async def counts(self) -> dict[str, Any]:
        """Return how many packets were carried, lost, overflowed and stray so far."""
        answer = await self._shaper.ask({"do": "count"}, "counted")
        return {name: count for name, count in answer.items() if name != "event"}

    @property
    def shaper_pid(self) -> int:
        """The process that carries the packets: no part of the network."""
        return self._shaper.pid


@asynccontextmanager
async def open_shaped(options: ShapedOptions, steps: Steps) -> AsyncIterator[ShapedNetwork]:
    """Start a private network on machines apart; at the end of the block nothing is left of it.

    The machines are called `relay-01` and so on, `caller` and `callee`: whatever process of the
    network has such a name runs there, and `target` beside the callee. Raises NotRootError,
    NamespaceError, and what `open_network` does.
    """
    require_root()
    logs = options.directory / "shaper"
    logs.mkdir(mode=0o700)
    run = options.directory / "run"
    run.mkdir(mode=0o700)
    async with LabProcesses.start(logs) as processes:
        with step(steps, "machines") as shown:
            shaper, said = await _start_shaper(processes, options)
            shown.result = f"{len(said['namespaces'])} machines with links between them"
        namespaces = {**said["namespaces"], _TARGET: said["namespaces"]["callee"]}
        settings = NetworkOptions(
            directory=run,
            relays=options.relays,
            source=options.source,
            server=(FORKSERVER, json.dumps(namespaces)),
            addresses=ADDRESSES,
        )
        async with open_network(settings, steps) as network:
            yield ShapedNetwork(network, namespaces, said["congestion"], shaper)


async def _start_shaper(
    processes: LabProcesses, options: ShapedOptions
) -> tuple[LabProcess, dict[str, Any]]:
    numbers = range(1, options.relays + 1)
    machines = {f"relay-{number:02}": f"{ADDRESSES.octet}.{number}.0.1" for number in numbers}
    machines |= {"caller": ADDRESSES.caller, "callee": ADDRESSES.callee}
    settings = {
        "machines": machines,
        "mtu": options.mtu,
        "congestion": options.congestion,
        "shape": asdict(options.shape),
        "seed": options.seed,
    }
    shaper = await processes.fork("shaper", _PROGRAM, settings)
    return shaper, dict(await shaper.event("ready"))
