"""The positional keccak tree of depth 12, as the registry contract computes it (SPEC 6.2).

parent = keccak256(left || right); an empty leaf is 32 zero bytes, and so every empty subtree has
the constant root of its height. A leaf's slot is its place, so a proof also proves the slot.
"""

from collections.abc import Mapping
from typing import Final

from peerstream.identity.keys import keccak256
from peerstream.node.protocol.errors import LocalProtocolError

DEPTH: Final = 12
CAPACITY: Final = 1 << DEPTH
EMPTY_LEAF: Final = bytes(32)


def _empty_roots() -> tuple[bytes, ...]:
    roots = [EMPTY_LEAF]
    for _ in range(DEPTH):
        roots.append(keccak256(roots[-1] * 2))
    return tuple(roots)


EMPTY_ROOTS: Final = _empty_roots()  # by height; the last one is the root of an empty tree


def _levels(leaves: Mapping[int, bytes]) -> list[dict[int, bytes]]:
    if any(not 0 <= slot < CAPACITY for slot in leaves):
        raise LocalProtocolError(f"a slot outside 0..{CAPACITY - 1}")
    levels = [dict(leaves)]
    for height in range(DEPTH):
        below, empty = levels[-1], EMPTY_ROOTS[height]
        levels.append(
            {
                place: keccak256(below.get(2 * place, empty) + below.get(2 * place + 1, empty))
                for place in {slot >> 1 for slot in below}
            }
        )
    return levels


def merkle_root(leaves: Mapping[int, bytes]) -> bytes:
    """Root, 32 bytes, over leaves of 32 bytes by slot (0..4095); absent slots are empty."""
    return _levels(leaves)[DEPTH].get(0, EMPTY_ROOTS[DEPTH])


def merkle_siblings(leaves: Mapping[int, bytes], slot: int) -> list[bytes]:
    """Return the 12 siblings of a slot from the bottom up, as the contract asks for them."""
    levels = _levels(leaves)
    return [
        levels[height].get((slot >> height) ^ 1, EMPTY_ROOTS[height]) for height in range(DEPTH)
    ]
