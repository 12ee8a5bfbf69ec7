"""Daemons as a user runs them: `psp up` on a state directory."""

import subprocess
import sys
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

import peerstream

PSP = [sys.executable, "-m", "peerstream.node.cli"]


@asynccontextmanager
async def daemon(network_file, state, source_address):
    """A daemon, and a client of it; it must end cleanly."""
    command = [
        *PSP, "up", "--network", network_file, "--state", state,
        "--source-address", source_address, "--socks", "off", "--gateway", "off",
    ]  # fmt: skip
    process = await _started(command, state)
    try:
        async with peerstream.Client(state) as client:
            yield client
    finally:
        process.terminate()
        _, said = await anyio.to_thread.run_sync(process.communicate)
    assert process.returncode == 0, said.decode()


async def _started(command, state):
    """Start it, again where the network does not answer yet: relays are slow on a busy machine."""
    while True:
        process = _start(command)
        try:
            if await _answers(process, state):
                return process
        except BaseException:
            process.kill()
            raise
        _, said = process.communicate()
        assert b"DirectoryUnavailableError" in said, said.decode()


def _start(command):
    return subprocess.Popen([str(word) for word in command], stderr=subprocess.PIPE)


async def _answers(process, state):
    while process.poll() is None:
        try:
            async with peerstream.Client(state):
                return True
        except peerstream.DaemonError:
            await anyio.sleep(0.1)  # another process: its clock is the real one
    return False
