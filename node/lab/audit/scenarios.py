"""What is played: each scenario uses the network in one way, to the end (SPEC 15.1).

A scenario is a function on the stage; `scenario` adds it to the registry under its name. They are
played in the order of the registry: the callee publishes first, and what kills a relay comes last.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from peerstream.node.lab.audit import local_programs
from peerstream.node.lab.audit.stage import Stage
from peerstream.node.lab.demo import sha256_of
from peerstream.node.lab.errors import LabError

Play = Callable[[Stage], Awaitable[None]]
SCENARIOS: Final[dict[str, Play]] = {}
FIRST: Final = "publish"  # the others have nobody to call without it
ECHOES: Final = 30
_NOBODY: Final = "audit-nobody"


class ScenarioFailedError(LabError):
    """A scenario did not come to the end that it is about: please report it, with the message."""


def scenario(name: str) -> Callable[[Play], Play]:
    """Register a scenario under a name."""

    def register(play: Play) -> Play:
        SCENARIOS[name] = play
        return play

    return register


@scenario("publish")
async def publish(stage: Stage) -> None:
    """Have the callee take its points, put its grant and descriptor, and wait for calls."""
    directory = stage.options.directory / "received"
    directory.mkdir(mode=0o700)
    serve = {"do": "serve", "level": stage.level, "directory": str(directory)}
    await stage.parties["callee"].ask(serve, "published")


@scenario("lookup")
async def lookup(stage: Stage) -> None:
    """Have the caller fetch the callee's descriptor and call nobody."""
    await stage.parties["caller"].ask({"do": "look up", **stage.whom}, "found")


@scenario("refused")
async def refused(stage: Stage) -> None:
    """Have the caller introduce itself for a service that is not there."""
    knock = {"do": "knock", "service": _NOBODY, **stage.whom}
    await stage.parties["caller"].ask(knock, "refused")


@scenario("dial")
async def dial(stage: Stage) -> None:
    """Dial, and send echoes there and back."""
    caller, callee = stage.parties["caller"], stage.parties["callee"]
    dialled = await caller.ask({"do": "dial", **stage.whom}, "dialled")
    called = await callee.event("called")
    if dialled["level"] != stage.level or called["level"] != stage.level:
        raise ScenarioFailedError(f"level {dialled['level']} was reached, not {stage.level}")
    await caller.ask({"do": "echo", "count": ECHOES}, "echoed")


@scenario("file")
async def file(stage: Stage) -> None:
    """Send a file and compare what arrived."""
    send = {"do": "send", "file": str(stage.file), **stage.whom}
    sent = await stage.parties["caller"].ask(send, "sent")
    received = stage.options.directory / "received" / stage.file.name
    await stage.parties["callee"].event("received")
    if sha256_of(received) != sent["sha256"]:
        raise ScenarioFailedError("the file arrived as another")


scenario("expose")(local_programs.expose)
scenario("socks")(local_programs.socks)
scenario("gateway")(local_programs.gateway)


@scenario("resume")
async def resume(stage: Stage) -> None:
    """Kill a relay between the guards of a session, which goes on over another path."""
    caller, callee = stage.parties["caller"], stage.parties["callee"]
    await caller.ask({"do": "hang up"}, "hung up")
    await caller.ask({"do": "dial", **stage.whom}, "dialled")
    await callee.event("called")
    before = await _cells(stage)
    await caller.ask({"do": "echo", "count": ECHOES}, "echoed")
    after = await _cells(stage)
    carried = [
        relay
        for relay, first, last in zip(stage.network.relays, before, after, strict=True)
        if last - first >= 2 * ECHOES and relay.proven.relay_id not in stage.first_hops
    ]
    if not carried:
        raise ScenarioFailedError("only guards carry the session")
    killed = Random(stage.options.seed).choice(carried)  # noqa: S311 - to repeat a run
    os.kill(killed.process.pid, signal.SIGKILL)
    await caller.ask({"do": "echo", "count": ECHOES}, "echoed")


async def _cells(stage: Stage) -> list[int]:
    found = [await relay.statistics() for relay in stage.network.relays]
    return [int(statistics["cells_relayed"]) for statistics in found]
