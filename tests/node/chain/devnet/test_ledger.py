import pytest

from peerstream.node.chain.devnet.errors import (
    BlockNotFoundError,
    SnapshotNotFoundError,
    TransactionRefusedError,
)
from peerstream.node.chain.devnet.ledger import Ledger
from peerstream.node.chain.transactions import Fees, Plan, sign
from tests.node.chain.chains import ACCOUNTS, WALL, entropy

ALICE, BOB = ACCOUNTS[0], ACCOUNTS[1]
ETHER = 10**18


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(WALL, {ALICE.address.raw: ETHER}, entropy())


def pay(nonce: int = 0, value: int = 5, chain_id: int = 31337, gas: int = 21_000) -> bytes:
    plan = Plan(to=BOB.address, value=value, gas=gas)
    return sign(ALICE.secret, chain_id, nonce, plan, Fees(2 * 10**9, 1))


def balance(ledger: Ledger, account=BOB) -> int:
    return ledger.vm(ledger.head).state.get_balance(account.address.raw)


def test_a_block_for_each_transaction(ledger):
    for nonce in range(3):
        digest = ledger.send(pay(nonce), WALL + 5)
        block, index = ledger.transaction(digest)
        assert (block.header.block_number, index) == (nonce + 1, 0)
        assert ledger.block_by_hash(block.header.hash) is block
    assert balance(ledger) == 15


def test_ten_blocks_within_a_second_stay_within_it(ledger):
    for nonce in range(10):
        ledger.send(pay(nonce), WALL + 1)
    assert {block.header.timestamp for block in ledger.blocks[1:]} == {WALL + 1}


def test_time_never_goes_back(ledger):
    ledger.mine(WALL + 10)
    ledger.mine(WALL + 5)
    assert ledger.head.header.timestamp == WALL + 10


def test_every_block_has_its_own_chance(ledger):
    for _ in range(5):
        ledger.mine(WALL)
    assert len({block.header.mix_hash for block in ledger.blocks}) == 6


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\x02", b"\xc0", b"\x02\xc0", b"\x7f" * 100, pay(nonce=1), pay(value=2 * ETHER)),
        *(pay(chain_id=1), pay(gas=20_000), pay(gas=31_000_000), pay()[:-1] + b"\x00"),
    ],
)
def test_what_can_be_in_no_block(ledger, raw):
    head = ledger.head
    with pytest.raises(TransactionRefusedError):
        ledger.send(raw, WALL + 1)
    assert ledger.head is head
    ledger.send(pay(), WALL + 1)
    assert balance(ledger) == 5


def test_snapshots_and_what_is_taken_back(ledger):
    ledger.send(pay(0), WALL + 1)
    first = ledger.snapshot()
    digest = ledger.send(pay(1), WALL + 2)
    gone = ledger.head.header.hash
    second = ledger.snapshot()
    ledger.send(pay(2), WALL + 3)
    ledger.revert(first)
    assert balance(ledger) == 5
    assert len(ledger.blocks) == 2
    assert ledger.transaction(digest) is None
    assert ledger.block_by_hash(gone) is None
    for number in (first, second, 99):
        with pytest.raises(SnapshotNotFoundError):
            ledger.revert(number)
    assert ledger.send(pay(1), WALL + 2) == digest


def test_snapshots_are_bounded(ledger):
    numbers = [ledger.snapshot() for _ in range(1_030)]
    with pytest.raises(SnapshotNotFoundError):
        ledger.revert(numbers[0])
    ledger.revert(numbers[-1])


@pytest.mark.parametrize("number", [-1, 1, 10**30])
def test_blocks_that_do_not_exist(ledger, number):
    with pytest.raises(BlockNotFoundError):
        ledger.block(number)
    assert ledger.block_by_hash(bytes(32)) is None
    assert ledger.transaction(bytes(32)) is None


def test_replaying_gives_the_same_blocks(ledger):
    ledger.send(pay(0), WALL + 1)
    ledger.mine(WALL + 2)
    again = Ledger(WALL, {ALICE.address.raw: ETHER}, entropy(1_000))
    for block in ledger.blocks[1:]:
        raws = [transaction.encode() for transaction in block.transactions]
        again.replay(raws, block.header.timestamp, bytes(block.header.mix_hash))
    assert again.head.header.hash == ledger.head.header.hash
