"""An endpoint whose storage proof is true and so large that reading it takes minutes."""

import pytest

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.errors import BadProofError
from peerstream.node.chain.proof import NODE_MAX, storage_words


def list_of(count):
    """A list of so many single bytes, in RLP: each item would move the whole rest."""
    length = count.to_bytes((count.bit_length() + 7) // 8, "big")
    return bytes((0xF7 + len(length),)) + length + b"\x01" * count


@pytest.mark.parametrize("size", [NODE_MAX, 1_000_000])
def test_a_node_larger_than_any_is_refused_before_it_is_read(size):
    heavy = list_of(size)
    answer = {"accountProof": ["0x" + heavy.hex()], "storageProof": [{"proof": []}]}
    with pytest.raises(BadProofError, match="bytes"):
        storage_words(answer, keccak256(heavy), Address(bytes(20)), [0])


def test_the_largest_real_node_is_below_the_bound():
    """A branch with sixteen hashes and a value of 110 bytes, as long as an account's."""
    branch = (
        b"".join(bytes((0xA0,)) + bytes(32) for _ in range(16)) + bytes((0xB8, 110)) + bytes(110)
    )
    assert len(branch) + 3 < NODE_MAX
