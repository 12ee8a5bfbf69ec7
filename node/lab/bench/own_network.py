"""Our own network under measurement: relays as in the demonstration, a caller, a callee."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from peerstream.node.gateway.names import SUFFIX
from peerstream.node.lab.bench.subject import Subject
from peerstream.node.lab.network import NetworkOptions, PrivateNetwork, open_network
from peerstream.node.lab.processes import LabProcess
from peerstream.node.lab.steps import Steps, step

RELAYS: Final = 12
_CALLER: Final = ("caller", "peerstream.node.lab.bench.caller_program:run", -1)
_CALLEE: Final = ("callee", "peerstream.node.lab.bench.callee_program:run", -2)


@asynccontextmanager
async def open_own(
    directory: Path, target: int, steps: Steps, *, standby: bool = False
) -> AsyncIterator[Subject]:
    """Start it in an empty directory of mode 0700. target: the port the callee's service leads to.

    standby: whether sessions in use get a second path: upkeep that is no part of a dial.

    Raises LabError, as subclasses.
    """
    options = NetworkOptions(directory=directory, relays=RELAYS, source="static")
    async with (
        open_network(options, steps) as network,
        open_parties(network, target, steps, standby=standby) as own,
    ):
        yield own


@asynccontextmanager
async def open_parties(
    network: PrivateNetwork, target: int, steps: Steps, *, standby: bool = True
) -> AsyncIterator[Subject]:
    """Start a caller with a front and a callee in a network. target, standby: as in `open_own`.

    Raises LabError, as subclasses.
    """
    addresses = network.options.addresses
    with step(steps, "caller and callee") as shown:
        callee = await _fork(network, *_CALLEE, addresses.callee, target=target)
        caller = await _fork(network, *_CALLER, addresses.caller, standby=standby)
        card = await callee.event("published")
        front = int((await caller.event("ready"))["port"])
        known = {"account": card["account"], "key": card["key"]}
        await caller.ask({"do": "know", **known}, "known")
        shown.result = "callee published, caller ready"

    async def forget() -> None:
        await caller.ask({"do": "forget"}, "forgotten")

    yield Subject(
        name="peerstream",
        profile=None,
        version=version("peerstream"),
        front=front,
        host=f"{card['account']}{SUFFIX}",
        roles={
            "relay": [relay.process.pid for relay in network.relays],
            "caller": [caller.pid],
            "callee": [callee.pid],
        },
        ready_s=network.ready_s,
        forget=forget,
    )


async def _fork(
    network: PrivateNetwork, name: str, program: str, account: int, address: str, **more: Any
) -> LabProcess:
    options = {
        "network_file": str(network.rooted.network_file),
        "static_file": str(network.rooted.static_file),
        "state": str(network.options.directory / name),
        "account": account,
        "source_address": address,
        **more,
    }
    return await network.processes.fork(name, program, options)
