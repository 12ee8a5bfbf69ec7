"""One suite of the chain client for all backends."""

import time
from dataclasses import replace
from hashlib import sha256

import pytest
import trio
from web3 import HTTPProvider, Web3

from peerstream.identity.signer import LocalSigner
from peerstream.node.chain.abi import encode_call
from peerstream.node.chain.artifacts import load_artifact
from peerstream.node.chain.blocks import read_header
from peerstream.node.chain.contract_calls import ROOT_FOR
from peerstream.node.chain.endpoints import Endpoints
from peerstream.node.chain.errors import (
    BadProofError,
    EndpointClosedError,
    EndpointRefusedError,
    NoFundsError,
    StakeTooLowError,
    StaleSiblingsError,
    TransactionRevertedError,
    WrongChainError,
    WrongContractError,
    WrongKeyError,
)
from peerstream.node.chain.identities import (
    Change,
    IdentityRequest,
    revoke_before,
    revoke_device,
    set_identity,
)
from peerstream.node.chain.posting import SignedTransaction, preview
from peerstream.node.chain.proof import storage_words
from peerstream.node.chain.reader import RegistryReader, read_registry
from peerstream.node.chain.registration import RelaySlots, register_relays
from peerstream.node.chain.roots import PLACES, proof_request, root_at
from peerstream.node.chain.rpc import RpcClient, RpcTiming
from peerstream.node.chain.sending import Sender
from peerstream.node.chain.transactions import Plan
from tests.hostile.chain_endpoints import LyingEndpoint
from tests.node.chain.chains import CONSTANTS, EPOCH_S, STAKE, registration, relay_id
from tests.system.chain.proxies import between, forwarding

KEY = sha256(b"identity").digest()
RELAYS = {relay_id(number) for number in range(1, 13)}


def wall() -> int:
    return int(time.time())


def anchor(devnet):
    return devnet.deployment.anchor(CONSTANTS.period_s)


async def read(devnet, rpc):
    return await read_registry(Endpoints.of([rpc]), anchor(devnet), wall())


def sender(devnet, rpc, number: int) -> Sender:
    return Sender(rpc, devnet.accounts[number].secret, devnet.deployment.chain_id)


async def test_relays_of_the_past_are_in_force(devnet, rpc):
    now = wall()
    snapshot = await read(devnet, rpc)
    (view,) = [view for view in snapshot.views if view.epoch == now // EPOCH_S]
    assert {entry.relay_id for entry in view} >= RELAYS
    assert view.in_force(now)


async def test_its_time_is_never_ahead_of_the_clock(devnet, rpc):
    paying = sender(devnet, rpc, 50)
    for _ in range(30):
        await paying.send(Plan(to=paying.address, gas=21_000))
        assert (await read_header(rpc, "latest")).timestamp <= time.time()
    for _ in range(10):
        await rpc.call("evm_mine")
        assert (await read_header(rpc, "latest")).timestamp <= time.time()


async def test_roots_are_proven(devnet, rpc):
    snapshot = await read(devnet, rpc)
    registry, head = devnet.deployment.relay_registry, await read_header(rpc, "latest")
    (answer,) = await rpc.batch([proof_request(registry, hex(head.number))])
    words = storage_words(answer, head.state_root, registry, range(PLACES + 1))
    for view in snapshot.views:
        assert root_at(words, view.epoch) == view.root


async def test_an_endpoint_that_lies_about_the_root_is_caught_by_its_own_proof(devnet):
    def lie(params, result):
        return "0x" + "ab" * 32 if ROOT_FOR.hex() in str(params) else result

    async with forwarding(devnet) as honest:
        liar = between(LyingEndpoint(honest, "eth_call", lie))
        with pytest.raises(BadProofError, match="other roots"):
            await read(devnet, liar)


async def test_two_readers_of_one_block_see_the_same(devnet, rpc):
    first, second = await read(devnet, rpc), await read(devnet, rpc)
    assert first.views == second.views
    assert first.randomness == second.randomness
    assert set(first.randomness) >= {wall() // CONSTANTS.period_s}


async def test_identities_are_listed_and_revoked(devnet, rpc):
    account = devnet.accounts[20]
    reader = RegistryReader(Endpoints.of([rpc]), anchor(devnet))
    await set_identity(rpc, devnet.deployment, account.secret, KEY)
    await revoke_device(rpc, devnet.deployment, account.secret, KEY)
    found = (await reader.read(wall())).identities
    assert found.identity_key(account.address) == KEY
    assert found.is_device_revoked(account.address, KEY)
    now = (await read_header(rpc, "latest")).timestamp
    await revoke_before(rpc, devnet.deployment, account.secret, now)
    later = (await reader.read(wall())).identities
    assert later.identity_key(account.address) is None
    assert later.revoked_before(account.address) == now
    fresh = (await read(devnet, rpc)).identities
    assert fresh.identity_key(account.address) is None


async def test_a_revocation_up_to_this_second(devnet, rpc):
    account = devnet.accounts[22]
    now = wall()
    await revoke_before(rpc, devnet.deployment, account.secret, now)
    found = (await read(devnet, rpc)).identities
    assert found.revoked_before(account.address) == now


async def test_somebody_else_posts_a_signed_request(devnet, rpc):
    account, payer = devnet.accounts[21], sender(devnet, rpc, 30)
    request = IdentityRequest.fresh(
        Change.SET_IDENTITY,
        account.address,
        KEY,
        deadline=wall() + 600,
        entropy=lambda size: sha256(str(wall()).encode()).digest()[:size],
    )
    signed = request.sign(LocalSigner(account.secret), devnet.deployment)
    await payer.send(signed.plan(devnet.deployment))
    assert (await read(devnet, rpc)).identities.identity_key(account.address) == KEY
    with pytest.raises(TransactionRevertedError, match="InvalidAccountNonce"):
        await payer.send(signed.plan(devnet.deployment))
    forged = replace(signed, request=replace(request, nonce=request.nonce + (1 << 64)))
    with pytest.raises(WrongKeyError, match="SigAuthInvalidSignature"):
        await payer.send(forged.plan(devnet.deployment))


async def test_a_relay_comes_renews_and_leaves(devnet, rpc):
    deployment, operator = devnet.deployment, devnet.accounts[13]
    (added,) = await register_relays(rpc, deployment, [registration(devnet, 13)])
    slots = await RelaySlots.read(rpc, deployment)
    changed = replace(added, sign_key=devnet.accounts[40].address.raw)
    await sender(devnet, rpc, 13).send(slots.renewal(operator.address, changed, STAKE))
    slots = await RelaySlots.read(rpc, deployment)
    assert slots.of_operator(operator.address, relay_id(13)) == replace(changed, weight=2 * STAKE)
    await sender(devnet, rpc, 13).send(slots.exit(operator.address, relay_id(13)))
    assert added.slot not in (await RelaySlots.read(rpc, deployment)).entries


async def test_what_is_signed_here_is_posted_there(devnet, rpc):
    account = devnet.accounts[23]
    data = encode_call("IdentityRegistry", "setIdentity", (KEY,))
    plan = Plan(to=devnet.deployment.identity_registry, data=data, summary=("list a key",))
    found = await preview(rpc, account.address, plan)
    assert found.lines()[0] == "list a key"
    assert 50_000 < found.plan.gas < 250_000
    file = found.sign(account.secret).encode()
    async with devnet.client() as other:
        assert (await SignedTransaction.parse(file).post(other)).succeeded
    assert (await read(devnet, rpc)).identities.identity_key(account.address) == KEY


# Every refusal by name


async def test_too_little_stake(devnet, rpc):
    with pytest.raises(StakeTooLowError):
        await register_relays(rpc, devnet.deployment, [registration(devnet, 14, STAKE - 1)])


async def test_stale_siblings(devnet, rpc):
    slots = await RelaySlots.read(rpc, devnet.deployment)
    _, plan = slots.add(registration(devnet, 15))
    await register_relays(rpc, devnet.deployment, [registration(devnet, 16)])
    with pytest.raises(StaleSiblingsError):
        await sender(devnet, rpc, 15).send(plan)


async def test_the_wrong_key(devnet, rpc):
    slots = await RelaySlots.read(rpc, devnet.deployment)
    plan = slots.exit(devnet.accounts[1].address, relay_id(1))
    with pytest.raises(WrongKeyError, match="RelayRegistryNotRegistered"):
        await sender(devnet, rpc, 2).send(plan)


async def test_no_funds(devnet, rpc):
    poor = Sender(rpc, b"\x77" * 32, devnet.deployment.chain_id)
    with pytest.raises(NoFundsError):
        await poor.send(Plan(to=devnet.accounts[0].address, value=1))
    with pytest.raises(NoFundsError):
        await poor.send(Plan(to=devnet.accounts[0].address, value=1, gas=21_000))


async def test_the_wrong_chain(devnet, rpc):
    other = replace(anchor(devnet), chain_id=1)
    with pytest.raises(WrongChainError):
        await read_registry(Endpoints.of([rpc]), other, wall())
    other = replace(anchor(devnet), genesis_hash=bytes(32))
    with pytest.raises(WrongChainError, match="first block"):
        await read_registry(Endpoints.of([rpc]), other, wall())
    with pytest.raises((EndpointRefusedError, TransactionRevertedError)):
        await Sender(rpc, devnet.accounts[0].secret, 1).send(
            Plan(to=devnet.accounts[0].address, gas=21_000)
        )


async def test_no_contract_of_ours(devnet, rpc):
    other = replace(anchor(devnet), relay_registry=devnet.accounts[0].address)
    with pytest.raises(WrongContractError):
        await read_registry(Endpoints.of([rpc]), other, wall())
    other = replace(anchor(devnet), parameters_hash=bytes(32))
    with pytest.raises(WrongContractError, match="another network"):
        await read_registry(Endpoints.of([rpc]), other, wall())


async def test_a_closed_endpoint(devnet):
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    async with RpcClient(url, own_node=True, timing=RpcTiming(tries=1)) as rpc:
        with pytest.raises(EndpointClosedError):
            await read_registry(Endpoints.of([rpc]), anchor(devnet), wall())


# Other people's tools


def test_web3_can_use_it(devnet):
    web3 = Web3(HTTPProvider(devnet.rpc_url))
    assert web3.eth.chain_id == 31337
    assert len(web3.eth.accounts) == 64
    registry = web3.eth.contract(
        str(devnet.deployment.relay_registry), abi=load_artifact("RelayRegistry").abi
    )
    assert registry.functions.networkId().call() == devnet.deployment.network_id
    assert registry.functions.epoch().call() <= wall() // EPOCH_S
    digest = web3.eth.send_transaction(
        {"from": web3.eth.accounts[60], "to": web3.eth.accounts[61], "value": 5}
    )
    assert web3.eth.wait_for_transaction_receipt(digest)["status"] == 1
    events = registry.events.RelaySet.get_logs(from_block=0)
    assert {event["args"]["relayId"] for event in events} >= RELAYS
