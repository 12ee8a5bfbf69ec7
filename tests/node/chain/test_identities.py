import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.signer import LocalSigner
from peerstream.identity.wallet import recover
from peerstream.node.chain.errors import (
    RequestFileError,
    TransactionRevertedError,
    WrongKeyError,
)
from peerstream.node.chain.identities import (
    Change,
    IdentityRequest,
    SignedRequest,
    identity_change,
    revoke_before,
    revoke_device,
    set_identity,
)
from peerstream.node.chain.sending import Sender
from tests.node.chain.chains import ACCOUNTS, DEVICE, KEY, entropy

ALICE, PAYER = ACCOUNTS[21], ACCOUNTS[30]


async def identities(chain):
    return (await chain.reader().read(chain.wall)).identities


def request(chain, change=Change.SET_IDENTITY, value=KEY, **fields) -> IdentityRequest:
    made = IdentityRequest.fresh(
        change, ALICE.address, value, deadline=chain.wall + 60, entropy=entropy()
    )
    return replace(made, **fields)


def signed(chain, wanted: IdentityRequest, account=ALICE) -> SignedRequest:
    return wanted.sign(LocalSigner(account.secret), chain.deployment)


async def post(chain, rpc, found: SignedRequest):
    sender = Sender(rpc, PAYER.secret, chain.deployment.chain_id)
    return await sender.send(found.plan(chain.deployment))


@pytest.mark.parametrize(
    ("change", "value"),
    [(Change.SET_IDENTITY, KEY), (Change.REVOKE_DEVICE, DEVICE), (Change.REVOKE_BEFORE, 1_700_000)],
)
async def test_somebody_else_posts_and_pays(chain, rpc, change, value):
    before = chain.methods.call("eth_getBalance", [str(ALICE.address)])
    await post(chain, rpc, signed(chain, request(chain, change, value)))
    assert chain.methods.call("eth_getBalance", [str(ALICE.address)]) == before
    found = await identities(chain)
    assert found.identity_key(ALICE.address) == (KEY if change is Change.SET_IDENTITY else None)
    assert found.is_device_revoked(ALICE.address, DEVICE) == (change is Change.REVOKE_DEVICE)
    assert found.revoked_before(ALICE.address) == (value if change is Change.REVOKE_BEFORE else 0)


async def test_by_the_account_itself(chain, rpc):
    await set_identity(rpc, chain.deployment, ALICE.secret, KEY)
    await revoke_device(rpc, chain.deployment, ALICE.secret, DEVICE)
    found = await identities(chain)
    assert found.identity_key(ALICE.address) == KEY
    assert found.is_device_revoked(ALICE.address, DEVICE)
    chain.wall += 1
    await revoke_before(rpc, chain.deployment, ALICE.secret, chain.wall)
    assert (await identities(chain)).identity_key(ALICE.address) is None
    with pytest.raises(TransactionRevertedError, match="DeviceRevoked"):
        await revoke_device(rpc, chain.deployment, ALICE.secret, DEVICE)
    with pytest.raises(TransactionRevertedError, match="BadRevocation"):
        await revoke_before(rpc, chain.deployment, ALICE.secret, chain.wall + 1)


async def test_what_is_signed_is_what_the_contract_checks(chain):
    wanted = request(chain)
    found = signed(chain, wanted)
    assert recover(wanted.digest(chain.deployment), found.signature) == ALICE.address


async def test_a_request_counts_once(chain, rpc):
    found = signed(chain, request(chain))
    await post(chain, rpc, found)
    with pytest.raises(TransactionRevertedError, match="InvalidAccountNonce"):
        await post(chain, rpc, found)


async def test_a_request_ends(chain, rpc):
    found = signed(chain, request(chain))
    chain.advance(61)
    with pytest.raises(TransactionRevertedError, match="SigAuthExpired"):
        await post(chain, rpc, found)


async def test_somebody_else_s_signature(chain, rpc):
    with pytest.raises(WrongKeyError, match="SigAuthInvalidSignature"):
        await post(chain, rpc, signed(chain, request(chain), account=PAYER))


@pytest.mark.parametrize(
    "change", [{"value": DEVICE}, {"deadline": 2**40}, {"account": PAYER.address}, {"nonce": 0}]
)
async def test_a_changed_request(chain, rpc, change):
    found = signed(chain, request(chain))
    with pytest.raises(WrongKeyError):
        await post(chain, rpc, replace(found, request=replace(found.request, **change)))


async def test_another_network(chain):
    found = replace(signed(chain, request(chain)), network_id=bytes(32))
    with pytest.raises(RequestFileError, match="another network"):
        found.plan(chain.deployment)


def test_no_endpoint_is_needed_to_sign(chain):
    first = IdentityRequest.fresh(
        Change.SET_IDENTITY, ALICE.address, KEY, deadline=1, entropy=entropy()
    )
    second = IdentityRequest.fresh(
        Change.SET_IDENTITY, ALICE.address, KEY, deadline=1, entropy=entropy(1)
    )
    assert first.nonce != second.nonce
    assert first.nonce % 2**64 == second.nonce % 2**64 == 0


def test_summaries(chain):
    assert request(chain).summary() == (f"list identity key {KEY.hex()} for {ALICE.address}",)
    voided = identity_change(chain.deployment, Change.REVOKE_BEFORE, 17).summary
    assert voided == ("void what the sender issued up to unix second 17",)


# Files


VALUES = st.one_of(
    st.tuples(st.just(Change.REVOKE_BEFORE), st.integers(0, 2**64 - 1)),
    st.tuples(
        st.sampled_from([Change.SET_IDENTITY, Change.REVOKE_DEVICE]),
        st.binary(min_size=32, max_size=32),
    ),
)


@given(VALUES, st.integers(0, 2**256 - 1), st.integers(0, 2**40), st.binary(max_size=100))
def test_files_keep_requests(what, nonce, deadline, signature):
    wanted = IdentityRequest(what[0], ALICE.address, what[1], nonce, deadline)
    found = SignedRequest(wanted, bytes(32), signature)
    assert SignedRequest.parse(found.encode()) == found


@pytest.mark.parametrize("name", ["schema", "change", "account", "value", "nonce", "deadline"])
@pytest.mark.parametrize("value", [None, 1.5, "x", -1, [], {}, "0x" + "f" * 70])
def test_files_of_strangers(chain, name, value):
    good = json.loads(signed(chain, request(chain)).encode())
    for damaged in (good | {name: value}, {k: v for k, v in good.items() if k != name}):
        with pytest.raises(RequestFileError):
            SignedRequest.parse(json.dumps(damaged).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"[" * 300_000, b"\xff"])
def test_files_that_are_none(data):
    with pytest.raises(RequestFileError):
        SignedRequest.parse(data)


def test_a_signature_without_end(chain):
    found = replace(signed(chain, request(chain)), signature=bytes(10_000))
    with pytest.raises(RequestFileError):
        SignedRequest.parse(found.encode())
