"""A private network on this machine: chain, contracts and relays as processes (SPEC 14.3)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import trio

from peerstream.node.chain.devnet.accounts import DevAccount, dev_accounts
from peerstream.node.config import committed_constants
from peerstream.node.lab.errors import NetworkStartError, TooManyRelaysError
from peerstream.node.lab.places import LOOPBACK, RELAYS_MAX, Addresses
from peerstream.node.lab.processes import SERVER, LabProcess, LabProcesses
from peerstream.node.lab.record import NetworkRecord
from peerstream.node.lab.roots import (
    DEPLOYMENT,
    ChainRoot,
    DhtRoot,
    ProvenRelay,
    Root,
    Rooted,
    StaticRoot,
)
from peerstream.node.lab.steps import Steps, step
from peerstream.node.roles.tasks import bare_errors

START_S: Final = 120.0
_CHAIN: Final = "peerstream.node.lab.chain_program"
_RELAY: Final = "peerstream.node.lab.relay_program"
_PARTY: Final = "peerstream.node.lab.party_program"
_DEVNET: Final = "peerstream.node.chain.devnet"
Source = Literal["chain", "dht", "static"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """What to start. directory: an empty one of mode 0700 for state, logs and the network file.

    source: what roots it. backend, port, chain_state: of the chain, as in `Devnet.start`. server:
    the fork server and its arguments, as in `LabProcesses.start`. addresses: where all live.
    """

    directory: Path
    relays: int = 12
    source: Source = "chain"
    backend: str = "auto"
    port: int = 0
    chain_state: Path | None = None
    server: tuple[str, ...] = (SERVER,)
    addresses: Addresses = LOOPBACK


@dataclass(frozen=True, slots=True)
class LabRelay:
    """A running relay. peer_id: its relay_id as libp2p writes it."""

    process: LabProcess
    proven: ProvenRelay
    peer_id: str

    async def statistics(self) -> dict[str, Any]:
        """Return its counters now. Raises ProcessEndedError."""
        answer = await self.process.ask({"do": "statistics"}, "statistics")
        found: dict[str, Any] = answer["statistics"]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what `psp devnet status` shows of it."""
        return {
            "relay_id": self.proven.relay_id.hex(),
            "peer_id": self.peer_id,
            "multiaddr": f"{self.proven.endpoint}/p2p/{self.peer_id}",
            "operator": str(self.proven.operator.address),
            "pid": self.process.pid,
        }


@dataclass(slots=True)
class PrivateNetwork:
    """A network that is ready. chain: what the devnet says of itself, None without one."""

    options: NetworkOptions
    processes: LabProcesses
    root: Root
    rooted: Rooted
    relays: list[LabRelay]
    chain: dict[str, Any] | None
    ready_s: float

    async def wait(self) -> None:
        """Wait until one of its processes ends by itself. Raises ProcessEndedError."""
        async with trio.open_nursery() as nursery:
            for process in self.processes.running:
                nursery.start_soon(process.event)

    def detach(self, home: Path) -> None:
        """Let all its processes outlive us, and record them in `home`."""
        processes = self.processes
        chain = [] if self.chain is None else [int(self.chain["pid"])]
        pids = [*processes.pids, *chain]
        NetworkRecord.of(processes.pid, pids, self.describe()).save(home)
        processes.detach()

    def describe(self) -> dict[str, Any]:
        """Return what `psp devnet status` shows, but for whether it runs."""
        chain = self.chain or {"contracts": {}, "accounts": []}
        deployment = None if self.chain is None else str(self.options.directory / DEPLOYMENT)
        names = ("backend", "rpc_url", "chain_id", "pid", "mnemonic")
        return {
            **{name: chain.get(name) for name in names},
            "accounts": chain["accounts"],
            "contracts": chain["contracts"],
            "network_file": str(self.rooted.network_file),
            "deployment_file": deployment,
            "state_dir": str(self.options.directory),
            "ready_s": round(self.ready_s, 3),
            "relays": [relay.to_json() for relay in self.relays],
        }

    async def fork_party(self, name: str, options: dict[str, Any]) -> LabProcess:
        """Start a node of this network that calls or is called. Raises ProcessEndedError."""
        static = self.rooted.static_file
        shared = {
            "network_file": str(self.rooted.network_file),
            "static_file": None if static is None else str(static),
            "relays": [relay.proven.relay_id.hex() for relay in self.relays],
        }
        return await self.processes.fork(name, f"{_PARTY}:run", {**shared, **options})

    async def restart_relay(self, number: int) -> None:
        """Start a relay again whose process is gone, from its own state; number counts from 0.

        Raises ProcessEndedError, ProcessFailedError.
        """
        gone = self.relays[number]
        self.processes.forget(gone.process)
        process = await _fork_relay(self.processes, self.options, number + 1, made=True)
        self.relays[number] = replace(gone, process=process)
        await _run_relays([self.relays[number]], self.rooted, len(self.relays))

    async def list_identities(self, listed: Sequence[tuple[DevAccount, bytes]]) -> None:
        """Have accounts list identity keys (32 B) where the network has a registry.

        Elsewhere the nodes publish grants. Raises TransactionError, EndpointError.
        """
        await self.root.list_identities(listed)


@asynccontextmanager
async def open_network(options: NetworkOptions, steps: Steps) -> AsyncIterator[PrivateNetwork]:
    """Start a private network; at the end of the block all its processes are gone.

    Unless they were detached. Raises LabError, ChainError, StoreError, as subclasses.
    """
    if not 0 <= options.relays <= RELAYS_MAX:
        raise TooManyRelaysError(f"{options.relays} relays")
    logs = options.directory / "logs"
    logs.mkdir(mode=0o700)
    async with LabProcesses.start(logs, program=options.server) as processes:
        yield await _start(processes, options, steps)


async def _start(processes: LabProcesses, options: NetworkOptions, steps: Steps) -> PrivateNetwork:
    started = trio.current_time()
    with trio.move_on_after(START_S):
        root = await _open_root(processes, options, steps)
        with step(steps, f"{options.relays} relay processes") as shown:
            made = await _fork_relays(processes, options)
            relays = [await _prove(*each, root.network_id, options.addresses) for each in made]
        with step(steps, "relays registered") as shown:
            rooted = await root.begin([relay.proven for relay in relays], options.directory)
            shown.result = f"{options.relays} relays registered, each by its own operator"
        with step(steps, "relays find each other") as shown:
            await _run_relays(relays, rooted, len(relays))
            shown.result = f"{options.relays} relays know each other: the network is usable"
        return PrivateNetwork(
            options,
            processes,
            root,
            rooted,
            relays,
            root.description if isinstance(root, ChainRoot) else None,
            trio.current_time() - started,
        )
    raise NetworkStartError(f"not ready within {START_S:.0f} s; see {options.directory}/logs")


async def _open_root(processes: LabProcesses, options: NetworkOptions, steps: Steps) -> Root:
    constants = committed_constants("devnet")
    # The chain is forked before libp2p is imported, so that both happen at the same time.
    if options.source != "chain":
        processes.preload([_RELAY, _PARTY])
        return StaticRoot(constants) if options.source == "static" else DhtRoot(constants)
    with step(steps, "chain and contracts") as shown:
        processes.preload([_CHAIN, _DEVNET])
        settings = {
            "backend": options.backend,
            "port": options.port,
            "state": None if options.chain_state is None else str(options.chain_state),
        }
        chain = await processes.fork("chain", f"{_CHAIN}:run", settings)
        processes.preload([_RELAY, _PARTY])
        description = (await chain.event("ready"))["description"]
        shown.result = (
            f"chain ({description['backend']}) with {len(description['contracts'])} contracts"
        )
    return ChainRoot(constants, description)


_Made = tuple[LabProcess, int, DevAccount]


async def _fork_relays(processes: LabProcesses, options: NetworkOptions) -> list[_Made]:
    operators = dev_accounts()[1:]
    made = []
    for number in range(1, options.relays + 1):
        process = await _fork_relay(processes, options, number, made=False)
        made.append((process, number, operators[number - 1]))
    return made


async def _fork_relay(
    processes: LabProcesses, options: NetworkOptions, number: int, *, made: bool
) -> LabProcess:
    name = f"relay-{number:02}"
    settings = {
        "state": str(options.directory / name),
        "key": str(options.directory / f"{name}.key"),
        "made": made,
    }
    return await processes.fork(name, f"{_RELAY}:run", settings)


async def _prove(
    process: LabProcess,
    number: int,
    operator: DevAccount,
    network_id: bytes,
    addresses: Addresses,
) -> LabRelay:
    question = {"network_id": network_id.hex(), "operator": str(operator.address)}
    answer = await process.ask({"do": "prove", **question}, "proved")
    proven = ProvenRelay(
        relay_id=bytes.fromhex(answer["relay_id"]),
        sign_key=bytes.fromhex(answer["sign_key"]),
        possession=bytes.fromhex(answer["possession"]),
        endpoint=addresses.relay(number),
        operator=operator,
    )
    return LabRelay(process, proven, answer["peer_id"])


async def _run_relays(relays: Sequence[LabRelay], rooted: Rooted, count: int) -> None:
    """Have relays run until each knows `count` of them, itself included."""
    static = rooted.static_file
    for relay in relays:
        admission = rooted.admissions.get(relay.proven.relay_id)
        await relay.process.tell(
            {
                "do": "run",
                "network_file": str(rooted.network_file),
                "static_file": None if static is None else str(static),
                "admission": None if admission is None else str(admission),
                "endpoint": str(relay.proven.endpoint),
                "relays": count,
            }
        )
    # All at once: none is complete while one is gone, and that one says so.
    with bare_errors():
        async with trio.open_nursery() as nursery:
            for relay in relays:
                nursery.start_soon(relay.process.event, "complete")
