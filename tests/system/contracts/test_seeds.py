"""The seed of an epoch is proven by the real headers of a chain."""

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from web3.exceptions import ContractCustomError

from tests.system.contracts import chain as chains

NAMES = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot"),
    *("logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData"),
    *("mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot", "blobGasUsed", "excessBlobGas"),
    *("parentBeaconBlockRoot", "requestsHash"),
)
NUMBERS = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas")


@pytest.fixture(scope="module")
def chain(npm_packages: None) -> Iterator[chains.Chain]:
    with chains.anvil("--hardfork", "prague") as web3:
        yield chains.Chain(web3)


def header(chain: chains.Chain, number: int) -> bytes:
    """Return a block's header as the chain hashes it."""
    found = rpc(chain, "eth_getBlockByNumber", hex(number), False)
    fields = []
    for name in NAMES:
        octets = found[name][2:]
        if name in (*NUMBERS, "blobGasUsed", "excessBlobGas"):
            octets = octets.lstrip("0")
        fields.append(bytes.fromhex(octets if len(octets) % 2 == 0 else "0" + octets))
    encoded = bytes(rlp.encode(fields))
    assert chain.web3.keccak(encoded).hex() == found["hash"][2:]
    return encoded


def rpc(chain: chains.Chain, method: str, *parameters: Any) -> Any:
    answer = chain.web3.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


def test_anybody_proves_the_seed_from_the_first_block_of_an_epoch(chain: chains.Chain) -> None:
    epoch = chain.relays.functions.epoch().call() + 1
    rpc(chain, "evm_setNextBlockTimestamp", epoch * chains.EPOCH_S - 1)
    rpc(chain, "evm_mine")
    rpc(chain, "evm_setNextBlockTimestamp", epoch * chains.EPOCH_S + 3)
    rpc(chain, "evm_mine")
    first = chain.web3.eth.block_number
    rpc(chain, "evm_mine")
    prove = chain.relays.functions.proveSeed
    chain.send(prove(epoch, header(chain, first), header(chain, first - 1)))
    seed = chain.relays.functions.seedFor(epoch).call()
    assert seed == bytes(chain.web3.eth.get_block(first)["mixHash"])
    with pytest.raises(ContractCustomError):
        prove(epoch, header(chain, first + 1), header(chain, first)).call()
    forged = header(chain, first).replace(seed, b"\x01" * 32)
    with pytest.raises(ContractCustomError):
        prove(epoch, forged, header(chain, first - 1)).call()
