"""Reading calls to our contracts, encoded and decoded by hand (SPEC 8.4)."""

from typing import Final

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.quantities import WORD, read_octets
from peerstream.node.chain.rpc import Request


def selector(signature: str) -> bytes:
    """Return the 4 bytes that choose a function or an error by its ABI signature."""
    return keccak256(signature.encode())[:4]


ROOT_FOR: Final = selector("rootFor(uint256)")
LATEST_ROOT: Final = selector("latestRoot()")
NETWORK_ID: Final = selector("networkId()")
NETWORK_HASH: Final = selector("NETWORK_HASH()")
EPOCH_S: Final = selector("EPOCH_S()")
ANCHOR: Final = selector("ANCHOR()")
MINIMUM_STAKE: Final = selector("MINIMUM_STAKE()")
TERM_EPOCHS: Final = selector("TERM_EPOCHS()")
UNBONDING_S: Final = selector("UNBONDING_S()")


def view_call(contract: Address, function: bytes, *numbers: int, block: str) -> Request:
    """Return the request that calls a function with numbers at a block (0x number or tag)."""
    data = function + b"".join(number.to_bytes(WORD, "big") for number in numbers)
    return "eth_call", ({"to": str(contract), "data": "0x" + data.hex()}, block)


def read_word(answer: object) -> bytes:
    """Return the 32 bytes that such a call gave. Raises MalformedAnswerError."""
    return read_octets(answer, WORD)
