"""The roots of the relay set as the registry keeps them, asked for or proven (SPEC 8.4).

Storage of the registry: slot 0 is head u64 | epochs u48 x 4 (place 0 lowest), slots 1 to 4 are the
roots by place. The root of an epoch is that of the newest place that is not after it.
"""

from collections.abc import Sequence
from typing import Final

from peerstream.identity.address import Address
from peerstream.node.chain.contract_calls import ROOT_FOR, read_word, view_call
from peerstream.node.chain.errors import BadProofError, EndpointRefusedError
from peerstream.node.chain.proof import storage_words
from peerstream.node.chain.quantities import Header
from peerstream.node.chain.rpc import Request, RpcClient

PLACES: Final = 4
_EPOCH_BITS: Final = 48
_EPOCH_MASK: Final = 2**_EPOCH_BITS - 1
_EMPTY: Final = bytes(32)


async def read_roots(
    client: RpcClient, registry: Address, block: Header, epochs: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the root of each epoch at a block, 32 bytes, as an endpoint says.

    Where it can prove them (eth_getProof), what it says must be what it proves. Raises
    BadProofError, or another EndpointError.
    """
    tag = hex(block.number)
    requests = [view_call(registry, ROOT_FOR, epoch, block=tag) for epoch in epochs]
    *answers, proof = await client.batch([*requests, proof_request(registry, tag)])
    for answer in answers:
        if isinstance(answer, EndpointRefusedError):
            raise answer
    roots = tuple(read_word(answer) for answer in answers)
    if not isinstance(proof, EndpointRefusedError):
        words = storage_words(proof, block.state_root, registry, range(PLACES + 1))
        if roots != tuple(root_at(words, epoch) for epoch in epochs):
            raise BadProofError(f"{client.name} says other roots than it proves")
    return roots


def proof_request(registry: Address, tag: str) -> Request:
    """Return the request for the registry's first five words, proven, at a block."""
    # Words of full length: anvil and Hardhat refuse a slot given as 0x0.
    slots = [f"0x{slot:064x}" for slot in range(PLACES + 1)]
    return "eth_getProof", (str(registry), slots, tag)


def root_at(words: Sequence[bytes], epoch: int) -> bytes:
    """Return the root of an epoch from the registry's first five words. Raises BadProofError."""
    packed = int.from_bytes(words[0], "big")
    head = packed >> (PLACES * _EPOCH_BITS)
    for back in range(PLACES):
        place = (head - back) % PLACES
        since = packed >> (place * _EPOCH_BITS) & _EPOCH_MASK
        if since <= epoch and words[1 + place] != _EMPTY:
            return words[1 + place]
    raise BadProofError(f"no root of epoch {epoch}")
