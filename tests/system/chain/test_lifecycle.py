"""A devnet ends with whoever started it, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from peerstream.node.chain.blocks import read_header
from peerstream.node.chain.devnet import Devnet, DevnetStartError
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan
from tests.system.chain.conftest import BACKENDS

PATIENCE_S = 20.0
PARENT = """
import json, sys, trio
from peerstream.node.chain.devnet import Devnet, DevnetStartError

async def main():
    async with await Devnet.start(backend=sys.argv[1]) as devnet:
        print(json.dumps(devnet.description), flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until_gone(pids: list[int]) -> list[int]:
    """Return those that are still there when patience ends."""
    end = time.monotonic() + PATIENCE_S
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        time.sleep(0.01)  # other processes: their clock is the real one
    return left


@pytest.fixture(params=BACKENDS)
def started(request):
    """A process that started a devnet: itself, and the pids of the devnet and its program."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, request.param],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        devnet = json.loads(parent.stdout.readline())["pid"]
        yield parent, devnet, children(devnet)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def kill_parent(parent, _devnet):
    parent.kill()


def kill_devnet(_parent, devnet):
    os.kill(devnet, signal.SIGKILL)


def interrupt_all(parent, _devnet):
    os.killpg(parent.pid, signal.SIGINT)  # what Ctrl-C does


def terminate_devnet(_parent, devnet):
    os.kill(devnet, signal.SIGTERM)


@pytest.mark.parametrize("end", [kill_parent, kill_devnet, interrupt_all, terminate_devnet])
def test_nothing_is_left(started, end):
    parent, devnet, programs = started
    assert all(is_alive(pid) for pid in (parent.pid, devnet, *programs))
    end(parent, devnet)
    assert wait_until_gone([devnet, *programs]) == []


async def test_they_live_longer_than_a_thread_of_their_starter():
    # trio's worker threads end after ten idle seconds; a child that one of them forked must not.
    async with trio.open_nursery() as nursery:
        for backend in BACKENDS:
            nursery.start_soon(live_for_twelve_seconds, backend)


async def live_for_twelve_seconds(backend):
    async with await Devnet.start(backend=backend) as devnet, devnet.client() as rpc:
        await trio.sleep(12)
        assert (await read_header(rpc, "latest")).number > 0
        assert devnet._process.poll() is None


@pytest.mark.parametrize("backend", ["anvil", "hardhat"])
async def test_a_program_that_ends_ends_the_devnet(backend):
    async with await Devnet.start(backend=backend) as devnet:
        (program,) = children(devnet.pid)
        os.kill(program, signal.SIGKILL)
        with trio.fail_after(PATIENCE_S):
            await devnet._process.wait()
        assert devnet._process.returncode == 1


@pytest.mark.parametrize("backend", ["embedded", "anvil"])
async def test_a_chain_goes_on_from_its_file(backend, tmp_path):
    state = tmp_path / "chain"
    async with await Devnet.start(backend=backend, state=state) as first, first.client() as rpc:
        account = first.accounts[1]
        await Sender(rpc, account.secret, 31337).send(Plan(to=account.address))
        before = await read_header(rpc, "latest")
    async with await Devnet.start(backend=backend, state=state, past=True) as second:
        assert second.deployment == first.deployment
        async with second.client() as rpc:
            assert (await read_header(rpc, hex(before.number))).hash == before.hash
            receipt = await Sender(rpc, account.secret, 31337).send(Plan(to=account.address))
            assert receipt.block > before.number
            after = await read_header(rpc, "latest")
            assert before.timestamp <= after.timestamp <= time.time()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_it_outlives_its_starter_when_told_to(backend):
    devnet = await Devnet.start(backend=backend, outlive=True)
    try:
        assert devnet._lifeline is None
        assert os.getsid(devnet.pid) == devnet.pid
    finally:
        programs = children(devnet.pid)
        await devnet.stop()
    assert wait_until_gone([devnet.pid, *programs]) == []


async def test_what_went_wrong_at_the_start_is_told(tmp_path):
    state = tmp_path / "state"
    state.write_bytes(b"no state")
    with pytest.raises(DevnetStartError, match=r"StateFileError.*psp.devnet-state/1"):
        await Devnet.start(backend="embedded", state=state)
    with pytest.raises(DevnetStartError, match="hardhat keeps no state file"):
        await Devnet.start(backend="hardhat", state=state)
