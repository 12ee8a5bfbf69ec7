"""One hash over all relay descriptors of an epoch, to compare with others (SPEC 6.5).

A guard that serves one client other descriptors than the rest cannot make the client's hash equal
to what three relays answer over circuits.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from peerstream.identity.keys import keccak256
from peerstream.identity.labels import DIRECTORY_LEAF
from peerstream.node.protocol.directory.errors import MalformedDocumentError, ViewMismatchError
from peerstream.node.protocol.directory.merkle import merkle_root, merkle_siblings

ANSWERS_WANTED: Final = 3
PAGE_PAIRS: Final = 128  # 8 KiB: half of what a control message carries


def _leaves(epoch: int, hashes: Mapping[bytes, bytes]) -> dict[int, bytes]:
    prefix = DIRECTORY_LEAF + epoch.to_bytes(8, "big")
    return {
        place: keccak256(prefix + relay_id + hashes[relay_id])
        for place, relay_id in enumerate(sorted(hashes))
    }


def directory_hash(epoch: int, hashes: Mapping[bytes, bytes]) -> bytes:
    """Merkle root, 32 bytes, over (relay_id, hash of its descriptor) sorted by relay_id."""
    return merkle_root(_leaves(epoch, hashes))


def directory_proof(epoch: int, hashes: Mapping[bytes, bytes], relay_id: bytes) -> list[bytes]:
    """Return the 12 siblings that prove a relay's descriptor; it must be among them."""
    place = sorted(hashes).index(relay_id)
    return merkle_siblings(_leaves(epoch, hashes), place)


def require_majority(own: bytes, answers: Sequence[bytes]) -> None:
    """Raise ViewMismatchError unless more than half of the answers equal our own hash.

    `answers` come from different weighted-random relays over circuits of our own, never only from
    the guard; fewer than three are no comparison.
    """
    equal = sum(answer == own for answer in answers)
    if len(answers) < ANSWERS_WANTED or 2 * equal <= len(answers):
        raise ViewMismatchError(f"{equal} of {len(answers)} relays have our directory hash")


def directory_page(hashes: Mapping[bytes, bytes], page: int) -> bytes:
    """Return the page'th 128 pairs relay_id | descriptor hash, 64 bytes each; may be empty."""
    chosen = sorted(hashes)[page * PAGE_PAIRS : (page + 1) * PAGE_PAIRS]
    return b"".join(relay_id + hashes[relay_id] for relay_id in chosen)


def read_directory_page(data: bytes) -> dict[bytes, bytes]:
    """Descriptor hashes by relay_id from one page. Raises MalformedDocumentError."""
    if len(data) % 64 or len(data) > 64 * PAGE_PAIRS:
        raise MalformedDocumentError(f"a page of {len(data)} bytes")
    pairs = [(data[i : i + 32], data[i + 32 : i + 64]) for i in range(0, len(data), 64)]
    if any(a[0] >= b[0] for a, b in pairwise(pairs)):
        raise MalformedDocumentError("a page that is not sorted")
    return dict(pairs)


def disputed(own: Mapping[bytes, bytes], others: Sequence[Mapping[bytes, bytes]]) -> set[bytes]:
    """Relays whose descriptor, as we hold it, is not the one that most others hold.

    A relay that others have not heard of yet is not disputed: it was late. Fetch the other
    descriptor; both are signed, and together they are the evidence against the relay.
    """
    wrong = set()
    for relay_id, digest in own.items():
        seen = [other[relay_id] for other in others if relay_id in other]
        if 2 * sum(answer != digest for answer in seen) > len(seen):
            wrong.add(relay_id)
    return wrong
