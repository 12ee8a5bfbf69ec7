"""JSON-RPC forms of the embedded chain's blocks, transactions, receipts and logs (SPEC 8.7)."""

from collections.abc import Iterator
from typing import Any

from eth.abc import SignedTransactionAPI

from peerstream.identity.address import Address
from peerstream.node.chain.devnet.ledger import MinedBlock

Json = dict[str, Any]


def quantity(value: int) -> str:
    """Return a number as JSON-RPC writes it."""
    return hex(value)


def octets(value: bytes | bytearray | memoryview) -> str:
    """Return bytes as JSON-RPC writes them."""
    return "0x" + bytes(value).hex()


def account(value: bytes) -> str | None:
    """Return an address with its checksum, None for the empty one of a contract creation."""
    return str(Address(bytes(value))) if value else None


def block_json(block: MinedBlock, *, full: bool) -> Json:
    """Return a block with its transactions, or only their hashes."""
    header = block.header
    indexes = range(len(block.transactions))
    return {
        "number": quantity(header.block_number),
        "hash": octets(header.hash),
        "parentHash": octets(header.parent_hash),
        "sha3Uncles": octets(header.uncles_hash),
        "miner": account(header.coinbase),
        "stateRoot": octets(header.state_root),
        "transactionsRoot": octets(header.transaction_root),
        "receiptsRoot": octets(header.receipt_root),
        "logsBloom": octets(header.bloom.to_bytes(256, "big")),
        "difficulty": quantity(header.difficulty),
        "totalDifficulty": quantity(0),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": octets(header.extra_data),
        "mixHash": octets(header.mix_hash),
        "nonce": octets(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": octets(header.withdrawals_root),
        "withdrawals": [],
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": octets(header.parent_beacon_block_root),
        "requestsHash": octets(header.requests_hash),
        "size": quantity(0),
        "uncles": [],
        "transactions": [
            transaction_json(block, index) if full else octets(block.transactions[index].hash)
            for index in indexes
        ],
    }


def transaction_json(block: MinedBlock, index: int) -> Json:
    """Return a mined transaction."""
    transaction = block.transactions[index]
    kind = getattr(transaction, "type_id", None)
    found: Json = {
        "hash": octets(transaction.hash),
        "blockHash": octets(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "transactionIndex": quantity(index),
        "type": quantity(kind or 0),
        "nonce": quantity(transaction.nonce),
        "from": account(transaction.sender),
        "to": account(transaction.to),
        "value": quantity(transaction.value),
        "gas": quantity(transaction.gas),
        "gasPrice": quantity(_paid_price(block, transaction)),
        "input": octets(transaction.data),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
    }
    return found | (_legacy(transaction) if kind is None else _typed(transaction, kind))


def _legacy(transaction: SignedTransactionAPI) -> Json:
    chain = {} if transaction.chain_id is None else {"chainId": quantity(transaction.chain_id)}
    return {"v": quantity(transaction.v), **chain}


def _typed(transaction: SignedTransactionAPI, kind: int) -> Json:
    found = {
        "chainId": quantity(transaction.chain_id),
        "v": quantity(transaction.y_parity),
        "yParity": quantity(transaction.y_parity),
        "accessList": [
            {"address": account(to), "storageKeys": [octets(k.to_bytes(32, "big")) for k in keys]}
            for to, keys in transaction.access_list
        ],
    }
    if kind >= 2:
        found["maxFeePerGas"] = quantity(transaction.max_fee_per_gas)
        found["maxPriorityFeePerGas"] = quantity(transaction.max_priority_fee_per_gas)
    return found


def _paid_price(block: MinedBlock, transaction: SignedTransactionAPI) -> int:
    base = block.header.base_fee_per_gas
    tip = min(transaction.max_priority_fee_per_gas, transaction.max_fee_per_gas - base)
    return int(base + tip)


def receipt_json(block: MinedBlock, index: int) -> Json:
    """Return the receipt of a mined transaction."""
    transaction, receipt = block.transactions[index], block.receipts[index]
    before = block.receipts[index - 1].gas_used if index else 0
    created = block.created[index]
    return {
        "transactionHash": octets(transaction.hash),
        "transactionIndex": quantity(index),
        "blockHash": octets(block.header.hash),
        "blockNumber": quantity(block.header.block_number),
        "from": account(transaction.sender),
        "to": account(transaction.to),
        "contractAddress": account(created or b""),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "gasUsed": quantity(receipt.gas_used - before),
        "effectiveGasPrice": quantity(_paid_price(block, transaction)),
        "type": quantity(getattr(transaction, "type_id", None) or 0),
        "status": quantity(int.from_bytes(receipt.state_root, "big")),
        "logsBloom": octets(receipt.bloom.to_bytes(256, "big")),
        "logs": [log for log in logs_json(block) if log["transactionIndex"] == quantity(index)],
    }


def logs_json(block: MinedBlock) -> Iterator[Json]:
    """Yield the logs of a block in their order."""
    number = 0
    for index, (transaction, receipt) in enumerate(
        zip(block.transactions, block.receipts, strict=True)
    ):
        for log in receipt.logs:
            yield {
                "address": account(log.address),
                "topics": [octets(topic.to_bytes(32, "big")) for topic in log.topics],
                "data": octets(log.data),
                "blockNumber": quantity(block.header.block_number),
                "blockHash": octets(block.header.hash),
                "transactionHash": octets(transaction.hash),
                "transactionIndex": quantity(index),
                "logIndex": quantity(number),
                "removed": False,
            }
            number += 1
