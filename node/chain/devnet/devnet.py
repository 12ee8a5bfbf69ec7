"""A devnet as other code sees it: start, catch up, stop (SPEC 8.7)."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import trio

from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet.accounts import DevAccount, dev_accounts
from peerstream.node.chain.devnet.errors import DevnetStartError
from peerstream.node.chain.devnet.service import catch_up
from peerstream.node.chain.rpc import RpcClient

_START_S: Final = 60.0
_ENDING_S: Final = 10.0  # it ends programs of its own, and writes its state
_MESSAGE_MAX: Final = 2_000


@dataclass(slots=True)
class Devnet:
    """A running devnet in a process of its own. `description` is what its ready line said.

    Use it with ``async with``, or call `stop`.
    """

    description: dict[str, Any]
    deployment: Deployment
    _process: trio.Process = field(repr=False)
    _lifeline: int | None = field(repr=False)

    @classmethod
    async def start(
        cls,
        *,
        backend: str = "auto",
        port: int = 0,
        state: Path | None = None,
        past: bool = False,
        outlive: bool = False,
    ) -> Self:
        """Start a devnet and deploy the contracts; return when it is ready.

        backend: "auto", "embedded", "anvil" or "hardhat". past: a new chain stays some epochs
        in the past until `catch_up`, so that relays registered meanwhile count at once.
        outlive: go on when this process ends. Raises DevnetStartError.
        """
        options = ["--backend", backend, "--port", str(port)]
        options += [] if state is None else ["--state", str(state)]
        options += ["--past"] if past else []
        with tempfile.TemporaryFile() as errors:
            child = await _open(options, errors, outlive=outlive)
            try:
                description = await _ready_line(child, errors)
                deployment = Deployment.parse(json.dumps(description["deployment"]).encode())
            except BaseException:
                await _end(child.process, child.lifeline)
                raise
        return cls(description, deployment, child.process, child.lifeline)

    @property
    def rpc_url(self) -> str:
        """Where its JSON-RPC answers."""
        return str(self.description["rpc_url"])

    @property
    def backend(self) -> str:
        """The backend that `auto` became."""
        return str(self.description["backend"])

    @property
    def pid(self) -> int:
        """The process that a SIGTERM ends."""
        return int(self.description["pid"])

    @property
    def accounts(self) -> tuple[DevAccount, ...]:
        """The funded accounts."""
        return dev_accounts()

    def client(self) -> RpcClient:
        """Return a new client of it, to be closed by the caller."""
        return RpcClient(self.rpc_url, own_node=True)

    async def catch_up(self) -> None:
        """Bring the chain to the present."""
        async with self.client() as rpc:
            await catch_up(rpc, int(time.time()))

    async def stop(self) -> None:
        """End it; return when all its processes are gone."""
        lifeline, self._lifeline = self._lifeline, None
        await _end(self._process, lifeline)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()


@dataclass(frozen=True, slots=True)
class _Child:
    process: trio.Process
    ready: trio.lowlevel.FdStream
    lifeline: int | None


async def _open(options: list[str], errors: Any, *, outlive: bool) -> _Child:
    ready, ready_end = os.pipe()
    lifeline_end, lifeline = os.pipe()
    inherited = (ready_end,) if outlive else (ready_end, lifeline_end)
    command = [sys.executable, "-m", "peerstream.node.chain.devnet", "--ready-fd", str(ready_end)]
    command += [] if outlive else ["--lifeline", str(lifeline_end)]
    try:
        process = await trio.lowlevel.open_process(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=inherited,
            start_new_session=outlive,
        )
    except BaseException:
        os.close(ready)
        os.close(lifeline)
        raise
    finally:
        os.close(ready_end)
        os.close(lifeline_end)
    if outlive:
        os.close(lifeline)
    return _Child(process, trio.lowlevel.FdStream(ready), None if outlive else lifeline)


async def _ready_line(child: _Child, errors: Any) -> dict[str, Any]:
    received = bytearray()
    async with child.ready:
        with trio.move_on_after(_START_S):
            async for chunk in child.ready:
                received += chunk
    if not received.endswith(b"\n"):
        await _end(child.process, None)
        errors.seek(0)
        said = errors.read()[-_MESSAGE_MAX:].decode(errors="replace").strip()
        raise DevnetStartError(said or f"it ended with {child.process.returncode}")
    found: dict[str, Any] = json.loads(received)
    return found


async def _end(process: trio.Process, lifeline: int | None) -> None:
    try:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.terminate()
            with trio.move_on_after(_ENDING_S):
                await process.wait()
                return
            process.kill()
            await process.wait()
    finally:
        if lifeline is not None:
            os.close(lifeline)
