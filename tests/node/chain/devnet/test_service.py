"""The devnet service within this process, on the embedded chain."""

import json
import os
import signal
from dataclasses import replace

import pytest
import trio

from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.devnet import service
from peerstream.node.chain.devnet.errors import BackendMissingError, StateFileError
from peerstream.node.chain.devnet.service import ServiceOptions, announce, catch_up, choose_backend
from peerstream.node.chain.devnet.state import SavedState
from peerstream.node.chain.quantities import Header
from peerstream.node.chain.rpc import RpcClient
from tests.node.chain.chains import CONSTANTS, EPOCH_S

NOW = 1_800_000_000


@pytest.fixture
def clock(monkeypatch):
    """The wall clock of the devnet, which stands still unless a test moves it."""
    monkeypatch.setattr("time.time", lambda: clock.now)
    clock.now = NOW
    return clock


class Running:
    def __init__(self, nursery, **options) -> None:
        self._nursery = nursery
        self._said: list[dict] = []
        self._ready = trio.Event()
        self._ended = trio.Event()
        reader, self._lifeline = os.pipe()
        self._options = replace(
            ServiceOptions("embedded", 0, None, False, CONSTANTS, reader, self._announced),
            **options,
        )

    def _announced(self, said: dict) -> None:
        self._said.append(said)
        self._ready.set()

    async def __aenter__(self):
        self._nursery.start_soon(self._run)
        await self._ready.wait()
        (self.said,) = self._said
        self.rpc = RpcClient(self.said["rpc_url"])
        self.deployment = Deployment.parse(json.dumps(self.said["deployment"]).encode())
        return self

    async def _run(self) -> None:
        await service.serve(self._options)
        self._ended.set()

    async def __aexit__(self, *_exception) -> None:
        await self.rpc.aclose()
        os.close(self._lifeline)
        await self._ended.wait()

    async def head(self) -> Header:
        return Header.read(await self.rpc.call("eth_getBlockByNumber", "latest", False))


async def test_it_is_in_the_present_when_it_is_ready(nursery, clock):
    async with Running(nursery) as devnet:
        assert (await devnet.head()).timestamp == NOW
        assert devnet.said["chain_id"] == 31337
        assert len(devnet.said["accounts"]) == 64
        assert set(devnet.said["contracts"]) == set(devnet.deployment.addresses)
        assert devnet.said["pid"] == os.getpid()


async def test_it_stays_in_the_past_until_told(nursery, clock):
    async with Running(nursery, past=True) as devnet:
        assert (await devnet.head()).timestamp <= NOW - 5 * EPOCH_S
        await catch_up(devnet.rpc, NOW)
        assert (await devnet.head()).timestamp == NOW
        blocks = (await devnet.head()).number
        await catch_up(devnet.rpc, NOW)
        assert (await devnet.head()).number == blocks


async def test_its_time_is_never_ahead_of_the_clock(nursery, clock):
    async with Running(nursery) as devnet:
        account = devnet.said["accounts"][0]
        for _ in range(20):
            await devnet.rpc.call("eth_sendTransaction", {"from": account, "to": account})
            assert (await devnet.head()).timestamp <= clock.now
        clock.now += 3
        await devnet.rpc.call("evm_mine")
        assert (await devnet.head()).timestamp == clock.now


async def test_a_heartbeat_keeps_its_time(nursery, clock, monkeypatch):
    monkeypatch.setattr(service, "HEARTBEAT_S", 0.0)
    async with Running(nursery) as devnet:
        clock.now += 25
        while (await devnet.head()).timestamp < clock.now:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_end_it(nursery, clock, number):
    async with Running(nursery) as devnet:
        os.kill(os.getpid(), number)
        with trio.fail_after(10):
            await devnet._ended.wait()


async def test_a_state_file_survives(nursery, clock, tmp_path):
    state = tmp_path / "chain.json"
    async with Running(nursery, state=state) as first:
        account = first.said["accounts"][1]
        await first.rpc.call("eth_sendTransaction", {"from": account, "to": account})
        head = await first.head()
    clock.now += 1_000
    async with Running(nursery, state=state) as second:
        assert second.deployment == first.deployment
        same = await second.rpc.call("eth_getBlockByNumber", hex(head.number), False)
        assert Header.read(same) == head
        assert (await second.head()).timestamp == clock.now


async def test_a_chain_from_a_file_is_in_the_present_at_once(nursery, clock, tmp_path):
    state = tmp_path / "chain.json"
    async with Running(nursery, state=state, past=True):
        pass
    async with Running(nursery, state=state, past=True) as second:
        await second.rpc.call("evm_mine")
        assert (await second.head()).timestamp == NOW


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"schema": "psp.devnet-state/0"}',
        b'{"schema": "psp.devnet-state/1", "genesis_time": 1, "blocks": [[1]], "deployment": {}}',
        b'{"schema": "psp.devnet-state/1", "genesis_time": 1, "blocks": [], "deployment": {}}',
    ],
)
def test_a_damaged_state_file(tmp_path, damage):
    state = tmp_path / "chain.json"
    state.write_bytes(damage)
    with pytest.raises(StateFileError, match=r"no psp\.devnet-state/1"):
        SavedState.load(state)
    with pytest.raises(StateFileError):
        SavedState.load(tmp_path / "nothing")


async def test_a_damaged_state_file_is_left_as_it_is(clock, tmp_path):
    state = tmp_path / "chain.json"
    state.write_bytes(b"precious")
    options = ServiceOptions("embedded", 0, state, False, CONSTANTS, None, print)
    with pytest.RaisesGroup(StateFileError, flatten_subgroups=True):
        await service.serve(options)
    assert state.read_bytes() == b"precious"


async def test_a_port_in_use(nursery, clock):
    async with Running(nursery) as devnet:
        port = int(devnet.said["rpc_url"].rsplit(":", 1)[1])
        options = ServiceOptions("embedded", port, None, False, CONSTANTS, None, print)
        with pytest.RaisesGroup(OSError, flatten_subgroups=True):
            await service.serve(options)


async def test_hardhat_keeps_no_state(tmp_path, monkeypatch):
    monkeypatch.setattr("peerstream.node.chain.devnet.programs.find_project", lambda: None)
    options = ServiceOptions("hardhat", 0, None, False, CONSTANTS, None, print)
    with pytest.RaisesGroup(BackendMissingError, flatten_subgroups=True):
        await service.serve(options)


def test_auto_is_what_is_installed(monkeypatch):
    for found, chosen in ((None, "embedded"), ("/somewhere/anvil", "anvil")):
        monkeypatch.setattr(service, "find_anvil", lambda found=found: found)
        assert choose_backend("auto") == chosen
    assert choose_backend("hardhat") == "hardhat"


def test_the_ready_line_goes_where_it_is_wanted(tmp_path, capfd):
    announce(None, None)({"a": 1})
    assert json.loads(capfd.readouterr().out) == {"a": 1}
    path = tmp_path / "ready"
    announce(None, path)({"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert list(tmp_path.iterdir()) == [path]
    reader, writer = os.pipe()
    announce(writer, None)({"a": 3})
    with os.fdopen(reader) as stream:
        assert json.loads(stream.read()) == {"a": 3}
    assert capfd.readouterr().out == ""
