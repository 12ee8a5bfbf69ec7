from itertools import pairwise

import pytest
import trio

from peerstream.node.chain.errors import (
    EndpointClosedError,
    EndpointRefusedError,
    FeeTooLowError,
    MalformedAnswerError,
    NoFundsError,
    NonceError,
    NotMinedError,
    TransactionRevertedError,
)
from peerstream.node.chain.sending import Sender, send_batch
from peerstream.node.chain.transactions import Fees, Plan, Receipt, current_fees, sign, simulate
from tests.hostile.chain_endpoints import (
    BreakingEndpoint,
    ClosedEndpoint,
    LyingEndpoint,
    RefusingEndpoint,
    body_of,
)
from tests.hostile.mempool import Mempool
from tests.node.chain.chains import ACCOUNTS

ALICE, BOB = ACCOUNTS[1], ACCOUNTS[2]
PAY = Plan(to=BOB.address, value=7)


def sender(chain, handler=None, **options) -> Sender:
    return Sender(chain.client(handler), ALICE.secret, 31337, **options)


def nonce(chain, account=ALICE) -> int:
    return int(chain.methods.call("eth_getTransactionCount", [str(account.address)]), 16)


def received(chain) -> int:
    found = int(chain.methods.call("eth_getBalance", [str(BOB.address)]), 16)
    return found - 10_000 * 10**18


async def test_one_after_another(chain):
    alice = sender(chain)
    receipts = [await alice.send(PAY) for _ in range(3)]
    assert [r.block for r in receipts] == list(range(receipts[0].block, receipts[0].block + 3))
    assert all(r.succeeded and r.gas_used == 21_000 for r in receipts)
    assert (nonce(chain), received(chain)) == (3, 21)


async def test_many_at_once_share_the_nonces(chain, nursery):
    alice = sender(chain)
    for _ in range(5):
        nursery.start_soon(alice.send, PAY)
    while received(chain) < 35:
        await trio.lowlevel.checkpoint()
    assert nonce(chain) == 5


async def test_a_nonce_that_somebody_else_used(chain, autojump_clock):
    alice = sender(chain)
    await alice.send(PAY)
    await sender(chain).send(PAY)
    await alice.send(PAY)
    assert (nonce(chain), received(chain)) == (3, 21)


async def test_a_connection_that_breaks_after_it_was_taken(chain, autojump_clock):
    alice = sender(chain, BreakingEndpoint(chain.handle, "eth_sendRawTransaction"))
    receipt = await alice.send(PAY)
    assert receipt.succeeded
    assert (nonce(chain), received(chain)) == (1, 7)  # once, not twice


async def test_an_endpoint_that_closes_for_good(chain, autojump_clock):
    with pytest.raises(EndpointClosedError):
        await sender(chain, ClosedEndpoint(chain.handle)).send(PAY)


async def test_a_transaction_that_hangs_is_replaced_at_a_higher_fee(chain, autojump_clock):
    mempool = Mempool(chain.handle, takes=3)
    receipt = await sender(chain, mempool, patience_s=10).send(PAY)
    assert receipt.succeeded
    assert [t.nonce for t in mempool.seen] == [0, 0, 0]
    fees = [t.fee for t in mempool.seen]
    assert all(b >= a * 11 // 10 for a, b in pairwise(fees))
    assert received(chain) == 7


async def test_somebody_s_hanging_transaction_is_outbid(chain, autojump_clock):
    mempool = Mempool(chain.handle, takes=1)
    stuck = sign(
        ALICE.secret, 31337, 0, Plan(to=BOB.address, value=1, gas=21_000), Fees(10**11, 10**10)
    )
    mempool.put(stuck)
    receipt = await sender(chain, mempool, patience_s=10).send(PAY)
    assert receipt.succeeded
    assert received(chain) == 7
    assert mempool.refused > 1


async def test_one_that_is_never_mined(chain, autojump_clock):
    alice = sender(chain, Mempool(chain.handle, takes=1_000), patience_s=10, replacements=2)
    with pytest.raises(NotMinedError, match="after 3 submissions"):
        await alice.send(PAY)
    assert alice._next is None  # the next one replaces it


async def test_the_first_of_several_forms_may_be_mined(chain, autojump_clock):
    mempool = Mempool(chain.handle, takes=2, mines=0)
    receipt = await sender(chain, mempool, patience_s=10).send(PAY)
    assert receipt.hash == mempool.seen[0].hash
    assert received(chain) == 7


async def test_a_nonce_that_another_used_while_ours_hung(chain, autojump_clock):
    mempool = Mempool(chain.handle, takes=9)
    alice = sender(chain, mempool, patience_s=10)
    mempool.before_second = lambda: chain.methods.call(
        "eth_sendTransaction", [{"from": str(ALICE.address), "to": str(BOB.address)}]
    )
    with pytest.raises(NonceError, match="used by another"):
        await alice.send(PAY)
    assert received(chain) == 0  # not sent again: who knows what the other one was


async def test_what_would_fail_is_not_sent(chain):
    registry = chain.deployment.relay_registry
    with pytest.raises(TransactionRevertedError):
        await sender(chain).send(Plan(to=registry, data=b"\x12\x34\x56\x78"))
    assert nonce(chain) == 0


async def test_what_fails_when_mined_says_why(chain):
    registry = chain.deployment.relay_registry
    withdraw = bytes.fromhex("8e19899e") + bytes(32)
    with pytest.raises(TransactionRevertedError):
        await sender(chain).send(Plan(to=registry, data=withdraw, gas=200_000))
    assert nonce(chain) == 1


async def test_no_funds(chain):
    with pytest.raises(NoFundsError):
        await sender(chain).send(Plan(to=BOB.address, value=10**30))


async def test_the_endpoint_names_another_transaction(chain):
    liar = LyingEndpoint(chain.handle, "eth_sendRawTransaction", lambda *_: "0x" + "11" * 32)
    with pytest.raises(MalformedAnswerError, match="another transaction"):
        await sender(chain, liar).send(PAY)


async def test_the_receipt_of_another_transaction(chain):
    def lie(_params, receipt):
        return receipt and receipt | {"transactionHash": "0x" + "11" * 32}

    liar = LyingEndpoint(chain.handle, "eth_getTransactionReceipt", lie)
    with pytest.raises(MalformedAnswerError, match="receipt of another"):
        await sender(chain, liar).send(PAY)


@pytest.mark.parametrize("name", ["transactionHash", "blockNumber", "gasUsed", "status"])
def test_receipts_of_strangers(chain, name):
    sent = chain.methods.call(
        "eth_sendTransaction", [{"from": str(ALICE.address), "to": str(BOB.address)}]
    )
    good = chain.methods.call("eth_getTransactionReceipt", [sent])
    assert Receipt.read(good).succeeded
    for value in (None, 1, "x"):
        with pytest.raises(MalformedAnswerError):
            Receipt.read(good | {name: value})


async def test_an_inflated_base_fee_raises_no_tip(chain):
    def lie(_params, block):
        return block | {"baseFeePerGas": hex(10**15)}

    rpc = chain.client(LyingEndpoint(chain.handle, "eth_getBlockByNumber", lie))
    honest = await current_fees(chain.client())
    assert (await current_fees(rpc)).tip == honest.tip


REFUSALS = {
    "nonce too low": NonceError,
    "Nonce too high. Expected nonce to be 2": NonceError,
    "replacement transaction underpriced": FeeTooLowError,
    "max fee per gas less than block base fee": FeeTooLowError,
    "insufficient funds for gas * price + value": NoFundsError,
    "Sender doesn't have enough funds to send tx": NoFundsError,
}


@pytest.mark.parametrize("message", REFUSALS)
async def test_refusals_by_name(chain, message):
    refusing = RefusingEndpoint(chain.handle, "eth_estimateGas", message)
    with pytest.raises(REFUSALS[message]):
        await simulate(chain.client(refusing), ALICE.address, PAY)


async def test_already_known_is_taken(chain):
    async def twice(request):
        # What a retry meets: the first copy was taken, the second one is refused.
        if b"eth_sendRawTransaction" in request.content:
            await body_of(chain.handle, request)
        return await known(request)

    known = RefusingEndpoint(chain.handle, "eth_sendRawTransaction", "already known")
    assert (await sender(chain, twice).send(PAY)).succeeded
    assert received(chain) == 7


async def test_a_batch_from_many_accounts(chain):
    plans = [
        (account.secret, Plan(to=BOB.address, value=1, gas=21_000)) for account in ACCOUNTS[3:9]
    ]
    receipts = await send_batch(chain.client(), 31337, plans)
    assert len({r.block for r in receipts}) == 6
    assert received(chain) == 6


async def test_a_batch_that_is_never_mined(chain, autojump_clock):
    plans = [(ALICE.secret, Plan(to=BOB.address, value=1, gas=21_000))]
    mempool = Mempool(chain.handle, takes=9)
    with pytest.raises(NotMinedError, match=str(ALICE.address)):
        await send_batch(chain.client(mempool), 31337, plans)


def test_a_secret_is_never_shown(chain):
    assert ALICE.secret.hex() not in repr(sender(chain))
    assert repr(ALICE.secret) not in repr(sender(chain))


async def test_a_batch_that_the_endpoint_refuses(chain):
    plans = [(ALICE.secret, Plan(to=BOB.address, value=1, gas=21_000))]
    refusing = RefusingEndpoint(chain.handle, "eth_getTransactionCount", "the database is locked")
    with pytest.raises(EndpointRefusedError, match="locked"):
        await send_batch(chain.client(refusing), 31337, plans)


async def test_a_batch_of_which_one_fails_says_which_error(chain):
    withdraw = bytes.fromhex("8e19899e") + bytes(32)
    registry = chain.deployment.relay_registry
    plans = [(ALICE.secret, Plan(to=registry, data=withdraw, gas=200_000))]
    with pytest.raises(TransactionRevertedError, match="RelayRegistryNotRegistered"):
        await send_batch(chain.client(), 31337, plans)


async def test_a_failure_whose_reason_is_gone(chain):
    withdraw = bytes.fromhex("8e19899e") + bytes(32)
    plan = Plan(to=chain.deployment.relay_registry, data=withdraw, gas=200_000)
    amnesiac = LyingEndpoint(chain.handle, "eth_call", lambda *_: "0x")
    with pytest.raises(TransactionRevertedError, match="no reason given: in block"):
        await sender(chain, amnesiac).send(plan)
