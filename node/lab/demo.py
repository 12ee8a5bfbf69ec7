"""The demonstration: a file between two addresses, through a private network (SPEC 14.5)."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from peerstream.node.chain.devnet.accounts import dev_accounts
from peerstream.node.lab.errors import DemoFailedError
from peerstream.node.lab.network import PrivateNetwork
from peerstream.node.lab.processes import LabProcess
from peerstream.node.lab.steps import Steps, step

LEVELS: Final = {"private": 1, "anonymous": 2}
ECHOES: Final = 100
PROBES: Final = 30  # more than the upkeep of a network sends in the while
DIALS_MAX: Final = 12
_MB: Final = 1e6
_CALLER_ACCOUNT: Final = -1  # of the devnet's accounts; the first ones deploy and operate relays
_CALLEE_ACCOUNT: Final = -2


@dataclass(frozen=True, slots=True)
class Party:
    """A node of the demonstration: its process and what it said of its identity."""

    process: LabProcess
    account: str
    identity_key: bytes
    card: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the demonstration measured.

    caller_seen: whom the callee verified, callee_seen: whom the caller did. Times in milliseconds
    and seconds as named. cells: by how much the echoes raised each relay's cell counter. dials:
    how often was dialled until no relay stood in both halves of the path; cold_dial_ms is of the
    first.
    """

    level: int
    caller_seen: str | None
    callee_seen: str | None
    cold_dial_ms: float
    dials: int
    echo_ms: float
    echo_p99_ms: float
    seconds: float
    file_bytes: int
    sha256: str
    received_sha256: str
    cells: Sequence[int]

    @property
    def hops(self) -> tuple[int, int]:
        """How many places of the path there were, and how many relays stood in them."""
        return hops_of(self.cells, 2 * ECHOES)


def hops_of(cells: Sequence[int], least: int) -> tuple[int, int]:
    """Return in how many places echoes were relayed, and by how many relays.

    By how much the relays' counters rose: each hop forwards `least` cells or more, one for each
    echo there and one back; padding and upkeep of the others stay far below. Not by the file's: a
    session may move on to its second path while that waits in a queue, and both count then.
    Caller and callee draw their halves of the path without knowing the other's, so that a relay
    may stand in both: its counter rises twice as much as others, and it has two places.
    """
    rises = [count for count in cells if count >= least]
    return sum(round(count / min(rises)) for count in rises), len(rises)


@asynccontextmanager
async def open_parties(
    network: PrivateNetwork, level: int, steps: Steps
) -> AsyncIterator[tuple[Party, Party]]:
    """Make the wallets and identities of a caller and a callee, and publish the callee.

    Raises ProcessFailedError, ProcessEndedError.
    """
    with step(steps, "two wallets, two identities") as shown:
        addresses = network.options.addresses
        caller = await _fork(network, "caller", 0, _CALLER_ACCOUNT, addresses.caller)
        callee = await _fork(network, "callee", 1, _CALLEE_ACCOUNT, addresses.callee)
        accounts = dev_accounts()
        await network.list_identities(
            [
                (accounts[_CALLER_ACCOUNT], caller.identity_key),
                (accounts[_CALLEE_ACCOUNT], callee.identity_key),
            ]
        )
        shown.result = "two wallets, each with an identity of its own"
    with step(steps, "callee publishes a descriptor") as shown:
        for party in (caller, callee):
            await party.process.tell({"do": "open"})
        await callee.process.event("open")
        directory = trio.Path(network.options.directory / "received")
        await directory.mkdir(mode=0o700)
        serve = {"do": "serve", "level": level, "directory": str(directory)}
        await callee.process.ask(serve, "published")
        await caller.process.event("open")
        shown.result = "callee published its descriptor"
    yield caller, callee


async def _fork(
    network: PrivateNetwork, name: str, party: int, account: int, address: str
) -> Party:
    options = {
        "state": str(network.options.directory / name),
        "party": party,
        "account": account,
        "source_address": address,
    }
    process = await network.fork_party(name, options)
    said = await process.event("identity")
    return Party(process, said["account"], bytes.fromhex(said["identity_key"]), said["card"])


async def transfer(
    network: PrivateNetwork, parties: tuple[Party, Party], level: int, file: Path, steps: Steps
) -> Transfer:
    """Dial the callee by its address, time the way, send the file and check it.

    Raises ProcessFailedError, ProcessEndedError, DemoFailedError.
    """
    caller, callee = parties
    whom = {"address": callee.account, "level": level}
    with step(steps, f"dial {callee.account}") as shown:
        dialled = await caller.process.ask({"do": "dial", **whom}, "dialled")
        called = await callee.process.event("called")
        shown.result = f"dialled {callee.account}"
    dials = await _until_parted(network, parties, whom, steps)
    before = await _cells(network)
    with step(steps, f"{ECHOES} echoes"):
        echoed = await caller.process.ask({"do": "echo", "count": ECHOES}, "echoed")
    after = await _cells(network)
    with step(steps, f"send {file.name}") as shown:
        sent = await _send(caller.process, {"do": "send", "file": str(file), **whom}, steps)
        received = await callee.process.event("received")
        shown.result = f"sent {file.name}, {sent['bytes'] / _MB:.1f} MB"
    if received["sender"] != caller.account:
        raise DemoFailedError(f"the file came from {received['sender']}")
    return Transfer(
        level=dialled["level"],
        caller_seen=called["peer"],
        callee_seen=dialled["peer"],
        cold_dial_ms=dialled["ms"],
        dials=dials,
        echo_ms=echoed["p50_ms"],
        echo_p99_ms=echoed["p99_ms"],
        seconds=sent["seconds"],
        file_bytes=sent["bytes"],
        sha256=await trio.to_thread.run_sync(sha256_of, file),
        received_sha256=await trio.to_thread.run_sync(sha256_of, Path(received["path"])),
        cells=[b - a for a, b in zip(before, after, strict=True)],
    )


async def _until_parted(
    network: PrivateNetwork, parties: tuple[Party, Party], whom: dict[str, Any], steps: Steps
) -> int:
    """Dial anew while a relay stands in both halves of the path; return how often was dialled.

    Each side draws its half without a look at the other's: so it happens, and should (SPEC 6.9).
    """
    caller, callee = parties
    for dials in range(1, DIALS_MAX + 1):
        before = await _cells(network)
        await caller.process.ask({"do": "echo", "count": PROBES}, "echoed")
        after = await _cells(network)
        rises = [b - a for a, b in zip(before, after, strict=True)]
        places, relays = hops_of(rises, 2 * PROBES)
        if places == relays:
            return dials
        with step(steps, "dial again") as shown:
            await caller.process.ask({"do": "hang up"}, "hung up")
            await caller.process.ask({"do": "dial", **whom}, "dialled")
            await callee.process.event("called")
            shown.result = f"dialled again: {relays} relays had {places} places of the path"
    return DIALS_MAX


async def _send(process: LabProcess, request: dict[str, Any], steps: Steps) -> Mapping[str, Any]:
    await process.tell(request)
    while (event := await process.event("progress", "sent"))["event"] == "progress":
        steps.transferred(event["done"], event["total"])
    return event


async def _cells(network: PrivateNetwork) -> list[int]:
    found = [await relay.statistics() for relay in network.relays]
    return [int(statistics["cells_relayed"]) for statistics in found]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
