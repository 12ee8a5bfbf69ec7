"""What only a real mempool, reorganisations and finality can show."""

import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import trio

from peerstream.node.chain.blocks import read_header
from peerstream.node.chain.contract_calls import ROOT_FOR
from peerstream.node.chain.deploy import RegistrySettings, deploy
from peerstream.node.chain.devnet import Devnet, dev_accounts
from peerstream.node.chain.devnet.programs import find_anvil
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    BadProofError,
    EndpointClosedError,
    EndpointsDisagreeError,
    StaleEndpointError,
    TooFewEndpointsError,
)
from peerstream.node.chain.identities import set_identity
from peerstream.node.chain.reader import RegistryReader, read_registry
from peerstream.node.chain.registration import register_relays
from peerstream.node.chain.rpc import RpcClient, RpcTiming
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Fees, Plan, sign, submit
from tests.hostile.chain_endpoints import HangingEndpoint, LyingEndpoint, RefusingEndpoint
from tests.node.chain.chains import CONSTANTS, registration, relay_id
from tests.system.chain.proxies import between, forwarding

KEY = b"\x07" * 32
ACCOUNTS = dev_accounts()
BOB = ACCOUNTS[2]


@pytest.fixture
async def devnet() -> AsyncIterator[Devnet]:
    async with await Devnet.start(backend="anvil") as found:
        yield found


@pytest.fixture
async def rpc(devnet):
    async with devnet.client() as client:
        yield client


def wall() -> int:
    return int(time.time())


def reader(devnet, *clients) -> RegistryReader:
    return RegistryReader(Endpoints.of(clients), devnet.deployment.anchor(CONSTANTS.period_s))


async def ids(following: RegistryReader) -> list[bytes]:
    return [entry.relay_id for entry in (await following.read(wall())).latest]


# Reorganisations


async def test_five_blocks_are_replaced(devnet, rpc):
    following = reader(devnet, rpc)
    await register_relays(rpc, devnet.deployment, [registration(devnet, 1)])
    assert await ids(following) == [relay_id(1)]
    for number in (2, 3, 4):
        await register_relays(rpc, devnet.deployment, [registration(devnet, number)])
    await set_identity(rpc, devnet.deployment, ACCOUNTS[20].secret, KEY)
    await rpc.call("evm_mine")
    snapshot = await following.read(wall())
    assert len(snapshot.latest) == 4
    assert snapshot.identities.identity_key(ACCOUNTS[20].address) == KEY
    before = snapshot.block
    await rpc.call("anvil_reorg", 5, [])
    assert (await read_header(rpc, hex(before.number))).hash != before.hash
    after = await following.read(wall())
    assert [entry.relay_id for entry in after.latest] == [relay_id(1)]
    assert after.identities.identity_key(ACCOUNTS[20].address) is None
    fresh = await reader(devnet, rpc).read(wall())
    assert (fresh.views, fresh.latest) == (after.views, after.latest)


async def test_a_sender_goes_on_after_a_reorganisation(devnet, rpc):
    sending = Sender(rpc, ACCOUNTS[1].secret, 31337, patience_s=2)
    for _ in range(3):
        await sending.send(Plan(to=BOB.address, gas=21_000))
    await rpc.call("anvil_reorg", 2, [])
    assert await sending.mined_nonce() < 3
    # What was dropped stands in the mempool again or is gone: either way the next one is mined.
    await rpc.call("anvil_dropAllTransactions")
    sending._next = None
    receipt = await sending.send(Plan(to=BOB.address, gas=21_000))
    assert receipt.succeeded


async def test_the_chain_loses_blocks(devnet, rpc):
    following = reader(devnet, rpc)
    await register_relays(rpc, devnet.deployment, [registration(devnet, 1)])
    snapshot = await rpc.call("evm_snapshot")
    await register_relays(rpc, devnet.deployment, [registration(devnet, 2)])
    assert await ids(following) == [relay_id(1), relay_id(2)]
    await rpc.call("evm_revert", snapshot)
    assert await ids(following) == [relay_id(1)]


# Finality


@asynccontextmanager
async def finalizing_chain() -> AsyncIterator[RpcClient]:
    """An anvil whose finalized block is two behind the newest."""
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [find_anvil(), "--port", str(port), "--silent", "--slots-in-an-epoch", "1"]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.DEVNULL, check=False)
        )
        timing = RpcTiming(tries=40, backoff_s=0.02)
        async with RpcClient(f"http://127.0.0.1:{port}", own_node=True, timing=timing) as client:
            yield client
        process.terminate()


async def test_only_what_is_final_is_used():
    async with finalizing_chain() as rpc:
        settings = RegistrySettings.of_devnet(CONSTANTS)
        deployment = await deploy(rpc, ACCOUNTS[0].secret, settings)
        await rpc.call("anvil_mine", "0x3")
        anchor = replace(deployment.anchor(), final_tag="finalized")
        following = RegistryReader(Endpoints.of([rpc]), anchor)
        await set_identity(rpc, deployment, ACCOUNTS[1].secret, KEY)
        account = ACCOUNTS[1].address
        seen = []
        for _ in range(4):
            seen.append((await following.read(wall())).identities.identity_key(account))
            await rpc.call("evm_mine")
        assert seen[0] is None
        assert seen[-1] == KEY
        head = await read_header(rpc, "latest")
        assert (await following.read(wall())).block.number < head.number


# The mempool


async def paying(rpc, **options) -> Sender:
    return Sender(rpc, ACCOUNTS[1].secret, 31337, **options)


async def stuck(rpc, value: int = 1) -> bytes:
    """Leave a transaction in the mempool that pays too little to be mined."""
    await rpc.call("evm_setAutomine", False)
    base = int((await rpc.call("eth_getBlockByNumber", "latest", False))["baseFeePerGas"], 16)
    plan = Plan(to=BOB.address, value=value, gas=21_000)
    return await submit(rpc, sign(ACCOUNTS[1].secret, 31337, 0, plan, Fees(2 * base, 10**9)))


async def test_a_stuck_nonce_is_outbid(devnet, rpc, nursery):
    hanging = await stuck(rpc)
    sending = await paying(rpc, patience_s=0.5)

    async def mine_later():
        while True:
            if await rpc.call("eth_getTransactionByHash", "0x" + hanging.hex()) is None:
                return await rpc.call("evm_mine")
            await trio.sleep(0.01)

    nursery.start_soon(mine_later)
    receipt = await sending.send(Plan(to=BOB.address, value=7, gas=21_000))
    assert receipt.succeeded
    assert receipt.hash != hanging
    assert await rpc.call("eth_getTransactionReceipt", "0x" + hanging.hex()) is None
    await rpc.call("evm_setAutomine", True)


async def test_our_own_hanging_transaction_is_replaced(devnet, rpc, nursery):
    await rpc.call("evm_setAutomine", False)
    sending = await paying(rpc, patience_s=0.2)
    seen = set()

    async def mine_after_three():
        while len(seen) < 3:
            pool = (await rpc.call("txpool_content"))["pending"]
            seen.update(t["hash"] for sent in pool.values() for t in sent.values())
            await trio.sleep(0.01)
        await rpc.call("evm_mine")

    nursery.start_soon(mine_after_three)
    receipt = await sending.send(Plan(to=BOB.address, value=7, gas=21_000))
    assert receipt.succeeded
    assert await sending.mined_nonce() == 1
    await rpc.call("evm_setAutomine", True)
    await sending.send(Plan(to=BOB.address, value=7, gas=21_000))
    assert await sending.mined_nonce() == 2


# Endpoints that lie, over a real chain


async def populated(devnet, rpc):
    await register_relays(rpc, devnet.deployment, [registration(devnet, n) for n in (1, 2)])


def root_lie(params, result):
    return "0x" + "ab" * 32 if ROOT_FOR.hex() in str(params) else result


async def test_one_of_two_lies_about_the_root(devnet, rpc):
    await populated(devnet, rpc)
    async with forwarding(devnet) as honest:
        good = between(honest, own_node=False)
        with pytest.raises(TooFewEndpointsError, match="other roots") as caught:
            await reader(
                devnet, good, between(LyingEndpoint(honest, "eth_call", root_lie), own_node=False)
            ).read(wall())
        assert len(caught.value.reasons) == 1
        proofless = RefusingEndpoint(LyingEndpoint(honest, "eth_call", root_lie), "eth_getProof")
        with pytest.raises(EndpointsDisagreeError):
            await reader(devnet, good, between(proofless, own_node=False)).read(wall())
        alone = between(LyingEndpoint(honest, "eth_call", root_lie))
        with pytest.raises(BadProofError):
            await reader(devnet, alone).read(wall())


async def test_one_of_two_serves_an_old_block(devnet, rpc):
    await populated(devnet, rpc)
    old = await rpc.call("eth_getBlockByNumber", "0x1", False)
    async with forwarding(devnet) as honest:
        stale = LyingEndpoint(
            honest, "eth_getBlockByNumber", lambda p, block: old if p[0] == "latest" else block
        )
        clients = between(honest, own_node=False), between(stale, own_node=False)
        with pytest.raises(StaleEndpointError, match="behind"):
            await reader(devnet, *clients).read(wall())


async def test_one_hangs(devnet, rpc):
    await populated(devnet, rpc)
    async with forwarding(devnet) as honest:
        good = [between(honest, own_node=False), between(honest, own_node=False)]
        hanging = between(HangingEndpoint(honest), own_node=False, timeout_s=0.3)
        assert len((await reader(devnet, *good, hanging).read(wall())).latest) == 2
        with pytest.raises(TooFewEndpointsError, match="in time"):
            await reader(devnet, good[0], hanging).read(wall())


async def test_the_chain_stops(devnet, rpc):
    await populated(devnet, rpc)
    following = reader(devnet, RpcClient(devnet.rpc_url, own_node=True, timing=RpcTiming(tries=1)))
    snapshot = await following.read(wall())
    await devnet.stop()
    with pytest.raises(EndpointClosedError):
        await following.read(wall())
    assert len(snapshot.latest) == 2


async def test_a_restart_from_state_is_the_same_network(tmp_path):
    state = tmp_path / "anvil"
    async with await Devnet.start(backend="anvil", state=state) as first, first.client() as rpc:
        await populated(first, rpc)
        before = await read_registry(Endpoints.of([rpc]), first.deployment.anchor(), wall())
    async with (
        await Devnet.start(backend="anvil", state=state) as second,
        second.client() as rpc,
    ):
        after = await read_registry(Endpoints.of([rpc]), second.deployment.anchor(), wall())
    assert after.latest == before.latest
    assert second.deployment.network_id == first.deployment.network_id
