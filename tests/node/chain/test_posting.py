import json

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.chain.errors import (
    NonceError,
    NotMinedError,
    RequestFileError,
    TransactionRevertedError,
    WrongChainError,
    WrongKeyError,
)
from peerstream.node.chain.identities import Change, identity_change
from peerstream.node.chain.posting import SignedTransaction, preview
from peerstream.node.chain.registration import RelaySlots, withdrawal
from peerstream.node.chain.transactions import Fees, Plan, sign
from peerstream.node.chain.units import ether
from tests.hostile.chain_endpoints import LyingEndpoint
from tests.hostile.mempool import Mempool
from tests.node.chain.chains import ACCOUNTS, KEY, STAKE, registration, relay_id

ALICE = ACCOUNTS[1]


async def seen(chain, rpc, plan=None):
    plan = plan or identity_change(chain.deployment, Change.SET_IDENTITY, KEY)
    return await preview(rpc, ALICE.address, plan)


async def test_a_preview_changes_nothing(chain, rpc):
    head = chain.ledger.head
    found = await seen(chain, rpc)
    assert chain.ledger.head is head
    assert (found.nonce, found.chain_id) == (0, 31337)
    assert 90_000 < found.plan.gas < 200_000
    assert found.cost == found.plan.gas * found.fees.maximum


async def test_what_will_be_signed_in_words(chain, rpc):
    slots = await RelaySlots.read(rpc, chain.deployment)
    _, plan = slots.add(registration(chain, 1))
    lines = (await seen(chain, rpc, plan)).lines()
    assert f"register relay {relay_id(1).hex()} of operator {ALICE.address}" in lines
    assert f"from {ALICE.address} on chain 31337, nonce 0" in lines
    assert f"to {chain.deployment.relay_registry}, value 1 ether" in lines
    assert any(line.startswith("cost up to 1.0") for line in lines)


async def test_a_preview_of_what_would_fail(chain, rpc):
    with pytest.raises(WrongKeyError, match="RelayRegistryNotRegistered"):
        await seen(chain, rpc, withdrawal(chain.deployment, relay_id(1)))


async def test_signed_here_and_posted_there(chain, rpc):
    file = (await seen(chain, rpc)).sign(ALICE.secret).encode()
    receipt = await SignedTransaction.parse(file).post(chain.client())
    assert receipt.succeeded
    identities = (await chain.reader().read(chain.wall)).identities
    assert identities.identity_key(ALICE.address) == KEY


async def test_the_file_says_what_its_bytes_do(chain, rpc):
    found = json.loads((await seen(chain, rpc)).sign(ALICE.secret).encode())
    assert found["summary"] == [
        f"from {ALICE.address} on chain 31337, nonce 0",
        f"to {chain.deployment.identity_registry}, value 0 ether",
        "call IdentityRegistry.setIdentity",
        f"  identityKey: 0x{KEY.hex()}",
    ]
    forged = found | {"summary": ["nothing of importance"]}
    parsed = SignedTransaction.parse(json.dumps(forged).encode())
    assert list(parsed.lines()) == found["summary"]


async def test_posting_to_another_chain(chain, rpc):
    signed = (await seen(chain, rpc)).sign(ALICE.secret)
    other = LyingEndpoint(chain.handle, "eth_chainId", lambda *_: "0x1")
    with pytest.raises(WrongChainError, match="chain 31337"):
        await signed.post(chain.client(other))


async def test_posting_twice(chain, rpc):
    signed = (await seen(chain, rpc)).sign(ALICE.secret)
    await signed.post(rpc)
    with pytest.raises(NonceError):
        await signed.post(rpc)


async def test_posting_what_is_never_mined(chain, rpc, autojump_clock):
    signed = (await seen(chain, rpc)).sign(ALICE.secret)
    with pytest.raises(NotMinedError):
        await signed.post(chain.client(Mempool(chain.handle, takes=9)))


async def test_posting_what_fails_says_why(chain, rpc):
    plan = withdrawal(chain.deployment, relay_id(1))
    plan = Plan(to=plan.to, data=plan.data, gas=100_000)
    signed = (await seen(chain, rpc, plan)).sign(ALICE.secret)
    with pytest.raises(TransactionRevertedError, match="NotRegistered"):
        await signed.post(rpc)


def raw(**changes) -> bytes:
    plan = Plan(to=ALICE.address, value=3, gas=21_000, **changes)
    return sign(ALICE.secret, 31337, 5, plan, Fees(10, 1))


def test_fields_are_read_from_the_bytes():
    found = SignedTransaction.of_raw(raw(data=b"\x01\x02"))
    assert (found.sender, found.chain_id, found.nonce) == (ALICE.address, 31337, 5)
    assert (found.to, found.value, found.data) == (ALICE.address, 3, b"\x01\x02")
    assert found.lines()[-1] == "call with 2 bytes that are not for our contracts"


@given(st.data())
def test_damaged_bytes_are_refused_or_of_another_sender(data):
    good = raw()
    damaged = bytearray(good)
    damaged[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = SignedTransaction.of_raw(bytes(damaged))
    except RequestFileError:
        return
    assert found.sender != ALICE.address


def fields() -> list:
    return rlp.decode(raw()[1:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02",
        b"\x02\xc0",
        b"\x01" + raw()[1:],
        rlp.encode(fields()),
        b"\x02" + rlp.encode([*fields()[:5], b"\x01" * 19, *fields()[6:]]),
        b"\x02" + rlp.encode([*fields()[:8], [[b"\x01" * 20, []]], *fields()[9:]]),
        b"\x02" + rlp.encode([*fields()[:10], bytes(32), bytes(32)]),
        b"\x02" + rlp.encode([*fields(), b""]),
        raw() + b"\x00",
    ],
)
def test_what_is_no_transaction_of_ours(data):
    with pytest.raises(RequestFileError):
        SignedTransaction.of_raw(data)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"17", b"{}", b"[" * 100_000, b'{"schema":"psp.transaction/1","raw":"0x"}'),
        json.dumps({"schema": "psp.request/1", "raw": "0x" + raw().hex()}).encode(),
    ],
)
def test_files_of_strangers(data):
    with pytest.raises(RequestFileError):
        SignedTransaction.parse(data)


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        *((0, "0 ether"), (1, "0.000000000000000001 ether"), (STAKE * 10, "10 ether")),
        (STAKE + STAKE // 4, "1.25 ether"),
    ],
)
def test_amounts(wei, text):
    assert ether(wei) == text
