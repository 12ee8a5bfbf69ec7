import pytest
from eth_account import Account

from peerstream.identity.keys import keccak256
from peerstream.node.chain.devnet.errors import (
    BadParametersError,
    BlockNotFoundError,
    CallFailedError,
    MethodNotFoundError,
    TransactionRefusedError,
)
from tests.node.chain.chains import ACCOUNTS, WALL

ALICE, BOB = str(ACCOUNTS[1].address), str(ACCOUNTS[2].address)


@pytest.fixture
def call(populated):
    return lambda method, *params: populated.methods.call(method, list(params))


def test_what_tools_ask_first(call):
    assert call("eth_chainId") == "0x7a69"
    assert call("net_version") == "31337"
    assert "PeerStream" in call("web3_clientVersion")
    assert call("web3_sha3", "0x1234") == "0x" + keccak256(b"\x12\x34").hex()
    assert call("eth_syncing") is False
    assert call("eth_accounts")[1] == ALICE
    assert call("net_listening") is True
    assert call("net_peerCount") == "0x0"


def test_the_accounts_are_those_of_every_tool(call):
    Account.enable_unaudited_hdwallet_features()
    mnemonic = "test test test test test test test test test test test junk"
    for index in (0, 9):
        path = f"m/44'/60'/0'/0/{index}"
        known = Account.from_mnemonic(mnemonic, account_path=path)
        assert call("eth_accounts")[index] == known.address
    assert int(call("eth_getBalance", call("eth_accounts")[50]), 16) == 10_000 * 10**18


def test_blocks_by_number_tag_and_hash(call, populated):
    number = call("eth_blockNumber")
    block = call("eth_getBlockByNumber", number, True)
    assert call("eth_getBlockByNumber", "latest", True) == block
    assert call("eth_getBlockByHash", block["hash"], True) == block
    assert int(block["timestamp"], 16) == populated.wall
    assert call("eth_getBlockByNumber", "earliest")["number"] == "0x0"
    assert call("eth_getBlockByNumber", hex(int(number, 16) + 1)) is None
    assert call("eth_getBlockByHash", "0x" + "11" * 32) is None
    one = call("eth_getBlockByNumber", "0x1", False)
    assert one["transactions"] == [
        call("eth_getBlockByNumber", "0x1", True)["transactions"][0]["hash"]
    ]
    assert call("eth_getBlockTransactionCountByNumber", "0x1") == "0x1"


def test_a_block_s_parent_is_the_one_before(call):
    for number in range(1, int(call("eth_blockNumber"), 16) + 1):
        block = call("eth_getBlockByNumber", hex(number))
        assert block["parentHash"] == call("eth_getBlockByNumber", hex(number - 1))["hash"]


def test_state_at_earlier_blocks(call):
    before = call("eth_getBalance", BOB)
    number = call("eth_blockNumber")
    call("eth_sendTransaction", {"from": ALICE, "to": BOB, "value": "0x5"})
    assert int(call("eth_getBalance", BOB), 16) == int(before, 16) + 5
    assert call("eth_getBalance", BOB, number) == before
    digest = call("eth_getBlockByNumber", number)["hash"]
    assert call("eth_getBalance", BOB, {"blockHash": digest}) == before
    assert call("eth_getBalance", BOB, {"blockNumber": number}) == before


def test_transactions_and_receipts(call):
    digest = call("eth_sendTransaction", {"from": ALICE, "to": BOB, "value": "0x5"})
    found, receipt = (
        call("eth_getTransactionByHash", digest),
        call("eth_getTransactionReceipt", digest),
    )
    assert (found["from"], found["to"], found["value"]) == (ALICE, BOB, "0x5")
    assert (receipt["status"], receipt["gasUsed"], receipt["logs"]) == ("0x1", "0x5208", [])
    assert receipt["blockHash"] == found["blockHash"]
    for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt"):
        assert call(method, "0x" + "11" * 32) is None


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_transactions_of_all_types(call, kind):
    fees = (
        {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1} if kind == 2 else {"gasPrice": 10**10}
    )
    fields = {"nonce": int(call("eth_getTransactionCount", BOB), 16), "gas": 30_000, "value": 1}
    fields |= fees | {"to": ALICE, "chainId": 31337} | ({"type": kind} if kind else {})
    fields |= {"accessList": []} if kind == 1 else {}
    signed = Account.sign_transaction(fields, ACCOUNTS[2].secret)
    digest = call("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
    assert digest == "0x" + signed.hash.hex()
    found = call("eth_getTransactionByHash", digest)
    assert (found["type"], found["from"]) == (hex(kind), BOB)
    assert int(found["gasPrice"], 16) > 0


def test_logs_by_address_topic_and_block(call, populated):
    registry = str(populated.deployment.relay_registry)
    logs = call("eth_getLogs", {"fromBlock": "0x0", "address": registry})
    assert len(logs) == 3
    operator = logs[1]["topics"][1]
    assert call("eth_getLogs", {"fromBlock": "0x0", "topics": [None, operator]}) == [logs[1]]
    either = [None, [operator, logs[0]["topics"][1]]]
    assert len(call("eth_getLogs", {"fromBlock": "0x0", "topics": either})) == 2
    assert call("eth_getLogs", {"blockHash": logs[0]["blockHash"]}) == [logs[0]]
    assert call("eth_getLogs", {"fromBlock": "latest"}) == []
    receipt = call("eth_getTransactionReceipt", logs[2]["transactionHash"])
    assert receipt["logs"] == [logs[2]]


def test_an_estimate_suffices_and_is_close(call):
    request = {"from": ALICE, "to": BOB, "value": "0x1"}
    assert int(call("eth_estimateGas", request), 16) == 21_000
    many = {"from": ALICE, "data": "0x" + "00" * 1_000, "to": BOB}
    estimate = int(call("eth_estimateGas", many), 16)
    digest = call("eth_sendTransaction", many | {"gas": hex(estimate)})
    used = int(call("eth_getTransactionReceipt", digest)["gasUsed"], 16)
    assert used <= estimate <= used * 1.1


def test_a_call_sees_the_time_of_its_block(call, populated):
    registry = str(populated.deployment.relay_registry)
    epoch = {"to": registry, "data": "0x" + keccak256(b"epoch()")[:4].hex()}
    before = int(call("eth_call", epoch, "latest"), 16)
    populated.wall += 700
    assert int(call("eth_call", epoch, "latest"), 16) == before
    assert int(call("eth_call", epoch, "pending"), 16) == before + 1


def test_code_may_be_called_before_it_is_deployed(call):
    assert call("eth_call", {"data": "0x600160005360016000f3"}, "latest") == "0x01"


def test_fees(call):
    history = call("eth_feeHistory", "0x4", "latest", [25, 75])
    assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1 == 5
    assert history["reward"][0] == ["0x3b9aca00"] * 2
    assert int(call("eth_gasPrice"), 16) > int(call("eth_maxPriorityFeePerGas"), 16)


def test_time_is_set_as_tools_set_it(call, populated):
    call("evm_increaseTime", 100)
    call("evm_mine")
    assert int(call("eth_getBlockByNumber", "latest")["timestamp"], 16) == populated.wall + 100
    call("evm_setNextBlockTimestamp", hex(populated.wall + 500))
    call("evm_mine")
    assert int(call("eth_getBlockByNumber", "latest")["timestamp"], 16) == populated.wall + 500
    with pytest.raises(BadParametersError):
        call("evm_setNextBlockTimestamp", hex(WALL - 1))


def test_snapshots(call):
    number = call("evm_snapshot")
    call("eth_sendTransaction", {"from": ALICE, "to": BOB, "value": "0x5"})
    head = call("eth_blockNumber")
    assert call("evm_revert", number) is True
    assert int(call("eth_blockNumber"), 16) == int(head, 16) - 1
    assert call("evm_revert", number) is False


@pytest.mark.parametrize(
    ("error", "method", "params"),
    [
        (MethodNotFoundError, "eth_nothing", []),
        (MethodNotFoundError, "__init__", []),
        (BadParametersError, "eth_chainId", [1]),
        (BadParametersError, "eth_getBalance", []),
        (BadParametersError, "eth_getBalance", ["0x00"]),
        (BadParametersError, "eth_getBalance", [BOB, []]),
        (BadParametersError, "eth_getBalance", [BOB, {"blockNumber": {"blockNumber": "0x0"}}]),
        (BadParametersError, "eth_getBalance", [BOB, {"blockHash": "0x" + "11" * 32}]),
        (BlockNotFoundError, "eth_getBalance", [BOB, "0xffff"]),
        (BadParametersError, "eth_getBlockByNumber", [{}, False]),
        (BadParametersError, "eth_getBlockByNumber", ["0x0", 1]),
        (BadParametersError, "eth_getBlockByNumber", ["-1", False]),
        (BadParametersError, "eth_call", ["0x"]),
        (BadParametersError, "eth_call", [{"to": BOB, "value": "0x" + "f" * 65}]),
        (BadParametersError, "eth_call", [{"to": BOB, "gas": hex(10**9)}]),
        (CallFailedError, "eth_call", [{"to": BOB, "from": ALICE, "value": hex(10**30)}]),
        (CallFailedError, "eth_call", [{"to": BOB, "gas": "0x1"}]),
        (CallFailedError, "eth_call", [{"data": "0xfe"}]),
        (CallFailedError, "eth_call", [{"data": "0x5b600056", "gas": hex(100_000)}]),
        (CallFailedError, "eth_estimateGas", [{"data": "0x60006000fd"}]),
        (BadParametersError, "eth_getLogs", [[]]),
        (BadParametersError, "eth_getLogs", [{"address": [BOB] * 65}]),
        (BadParametersError, "eth_getLogs", [{"topics": [None] * 5}]),
        (BadParametersError, "eth_getLogs", [{"topics": [["0x" + "00" * 32] * 65]}]),
        (BadParametersError, "eth_getLogs", [{"topics": "0x00"}]),
        (BadParametersError, "eth_getProof", [BOB, ["0x0"] * 65, "latest"]),
        (BadParametersError, "eth_getProof", [BOB, "0x0", "latest"]),
        (BadParametersError, "eth_feeHistory", ["0xffff", "latest"]),
        (BadParametersError, "eth_feeHistory", ["0x1", "latest", [1] * 101]),
        (BadParametersError, "eth_sendRawTransaction", ["0x" + "00" * 300_000]),
        (TransactionRefusedError, "eth_sendRawTransaction", ["0x02"]),
        (TransactionRefusedError, "eth_sendTransaction", [{"from": "0x" + "11" * 20}]),
        (BadParametersError, "evm_revert", ["x"]),
        (BadParametersError, "evm_increaseTime", [-1]),
        (BadParametersError, "evm_increaseTime", [2**64]),
        (BadParametersError, "web3_sha3", ["0xabc"]),
    ],
)
def test_requests_of_strangers(call, error, method, params):
    with pytest.raises(error):
        call(method, *params)


def test_more_logs_than_one_answer_holds(call, monkeypatch):
    monkeypatch.setattr("peerstream.node.chain.devnet.methods.LOGS_MAX", 2)
    with pytest.raises(BadParametersError, match="fewer blocks"):
        call("eth_getLogs", {"fromBlock": "0x0"})


def test_a_block_at_a_given_time(call, populated):
    call("evm_mine", hex(populated.wall + 9))
    assert int(call("eth_getBlockByNumber", "latest")["timestamp"], 16) == populated.wall + 9
