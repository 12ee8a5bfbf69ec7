"""The devnet process: a chain, our contracts on it, a heartbeat, a line that says ready (SPEC 8.7).

A devnet begins some epochs in the past. What is registered then has acted long ago when the chain
is brought to the present, so that a private network is usable at once, although changes act two
epochs later. The chain's time is never ahead of the clock.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from peerstream.node.chain.deploy import Deployment, RegistrySettings, deploy
from peerstream.node.chain.devnet.accounts import HD_PATH, MNEMONIC, dev_accounts
from peerstream.node.chain.devnet.backends import Backend, ChainOptions, RunningChain, embedded
from peerstream.node.chain.devnet.programs import anvil, find_anvil, hardhat
from peerstream.node.chain.errors import EndpointError
from peerstream.node.chain.quantities import Header
from peerstream.node.chain.rpc import RpcClient
from peerstream.node.config import NetworkConstants

BACKENDS: Final[dict[str, Backend]] = {"embedded": embedded, "anvil": anvil, "hardhat": hardhat}
PAST_EPOCHS: Final = 6
HEARTBEAT_S: Final = 30.0  # empty blocks, so that the chain's time follows the clock


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """backend: a key of BACKENDS or "auto". past: a new chain stays there until told to catch up.

    lifeline: descriptor of a pipe whose other end the starter holds; its end is ours. ready: called
    once with what `Devnet` shows.
    """

    backend: str
    port: int
    state: Path | None
    past: bool
    constants: NetworkConstants
    lifeline: int | None
    ready: Callable[[dict[str, Any]], None]


def choose_backend(name: str) -> str:
    """Return the backend that `auto` stands for: anvil where it is installed, else embedded."""
    if name != "auto":
        return name
    return "embedded" if find_anvil() is None else "anvil"


async def serve(options: ServiceOptions) -> None:
    """Run a devnet until SIGTERM, SIGINT or the end of the lifeline.

    Raises DevnetError or ChainError, as subclasses, in exception groups.
    """
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_on_signal, signals, nursery.cancel_scope)
            if options.lifeline is not None:
                nursery.start_soon(_end_with_lifeline, options.lifeline, nursery.cancel_scope)
            await _run(options)


async def _run(options: ServiceOptions) -> None:
    started = trio.current_time()
    name = choose_backend(options.backend)
    chain_options = ChainOptions(options.port, _start_time(options), options.state)
    async with BACKENDS[name](chain_options) as chain, RpcClient(chain.url) as rpc:
        deployment = chain.known or await _deploy(rpc, options.constants)
        if not options.past:
            await catch_up(rpc, int(time.time()))
        ready_s = trio.current_time() - started
        options.ready(describe(name, chain, deployment, ready_s))
        try:
            await _heartbeat(rpc)
        finally:
            chain.save(deployment)


def _start_time(options: ServiceOptions) -> int:
    # A chain from a file was in the present once: its time must not go back.
    is_new = options.state is None or not options.state.exists()
    return int(time.time()) - (PAST_EPOCHS * options.constants.epoch_s if is_new else 0)


async def _end_on_signal(signals: Any, scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


async def _end_with_lifeline(descriptor: int, scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(descriptor) as stream:
        await stream.receive_some(1)
    scope.cancel()


async def catch_up(rpc: RpcClient, wall: int) -> None:
    """Bring a devnet chain to the unix second `wall`, unless it is there already."""
    head = Header.read(await rpc.call("eth_getBlockByNumber", "latest", False))
    if head.timestamp < wall:
        await rpc.call("evm_setNextBlockTimestamp", hex(wall))
        await rpc.call("evm_mine")


def describe(
    name: str, chain: RunningChain, deployment: Deployment, ready_s: float
) -> dict[str, Any]:
    """Return what a devnet tells about itself, as JSON."""
    return {
        "backend": name,
        "rpc_url": chain.url,
        "chain_id": deployment.chain_id,
        "pid": os.getpid(),
        "mnemonic": MNEMONIC,
        "hd_path": HD_PATH,
        "accounts": [str(account.address) for account in dev_accounts()],
        "contracts": {key: str(address) for key, address in deployment.addresses.items()},
        "deployment": deployment.to_json(),
        "ready_s": round(ready_s, 3),
    }


async def _deploy(rpc: RpcClient, constants: NetworkConstants) -> Deployment:
    return await deploy(rpc, dev_accounts(1)[0].secret, RegistrySettings.of_devnet(constants))


async def _heartbeat(rpc: RpcClient) -> None:
    while True:
        await trio.sleep(HEARTBEAT_S)
        try:
            await rpc.call("evm_mine")
        except EndpointError as error:
            # A user's own evm_* call or a full machine can get in the way of one beat.
            sys.stderr.write(f"devnet: a heartbeat failed: {error}\n")


def announce(descriptor: int | None, path: Path | None) -> Callable[[dict[str, Any]], None]:
    """Return what writes the one ready line to a descriptor, a file, or else standard output."""

    def ready(found: dict[str, Any]) -> None:
        line = json.dumps(found) + "\n"
        if path is not None:
            fresh = path.with_name(path.name + ".new")
            fresh.write_text(line)
            fresh.replace(path)
        if descriptor is not None:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(line)
        if path is None and descriptor is None:
            sys.stdout.write(line)
            sys.stdout.flush()

    return ready
