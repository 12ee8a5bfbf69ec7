"""Storage of a contract, proven from a block's state root (SPEC 8.4; EIP-1186, yellow paper D).

By hand: the libraries for it would cost every node 13 MB. Tests compare with one of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.errors import BadProofError
from peerstream.node.chain.quantities import WORD, read_list, read_octets, read_table
from peerstream.node.chain.rlp import Item, RlpError, decode

NODES_MAX: Final = 65  # one for each digit of a hash, and the leaf
NODE_MAX: Final = 1_024  # a full branch with an account has 647; RLP is read in quadratic time
EMPTY_TRIE: Final = keccak256(b"\x80")
_BRANCH: Final = 17
_SHORT: Final = 2
_ACCOUNT_FIELDS: Final = 4
_ODD, _LEAF = 1, 2


def storage_words(
    answer: Any, state_root: bytes, contract: Address, slots: Sequence[int]
) -> tuple[bytes, ...]:
    """Return the words of 32 bytes at slots of a contract, from the answer of eth_getProof.

    state_root: of the block that was asked about. Raises BadProofError, MalformedAnswerError.
    """
    table = read_table(answer)
    account = trie_value(state_root, contract.raw, _nodes(table.get("accountProof")))
    root = _storage_root(account)
    proofs = read_list(table.get("storageProof"))
    if len(proofs) != len(slots):
        raise BadProofError(f"{len(proofs)} proofs where {len(slots)} were asked for")
    return tuple(
        _word(trie_value(root, slot.to_bytes(WORD, "big"), _nodes(read_table(proof).get("proof"))))
        for slot, proof in zip(slots, proofs, strict=True)
    )


def trie_value(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes:
    """Return what a Merkle Patricia trie holds under the hash of a key; empty for nothing.

    root: 32 bytes; nodes: the RLP of the nodes on the way. Raises BadProofError.
    """
    if root == EMPTY_TRIE:
        return b""
    by_hash = {keccak256(node): node for node in nodes}
    place: Item = root
    path = keccak256(key).hex()
    while path:
        node = _node(place, by_hash)
        if len(node) == _BRANCH:
            part, place = path[0], node[int(path[0], 16)]
        else:
            part, is_leaf = _part(node[0])
            place = node[1]
            if is_leaf:
                return _octets(place) if part == path else b""
        if place == b"" or not path.startswith(part):
            return b""
        path = path[len(part) :]
    raise BadProofError("the path ends without a leaf")


def _node(place: Item, by_hash: Mapping[bytes, bytes]) -> list[Item]:
    # A node below 32 bytes stands in its parent itself.
    node = place if isinstance(place, list) else _decoded(by_hash.get(place))
    if not isinstance(node, list) or len(node) not in {_BRANCH, _SHORT}:
        raise BadProofError("a node of another shape")
    return node


def _decoded(node: bytes | None) -> Item:
    if node is None:
        raise BadProofError("a node is missing")
    try:
        return decode(node)
    except RlpError as error:
        raise BadProofError(f"a node is no RLP: {error}") from error


def _part(item: Item) -> tuple[str, bool]:
    digits = _octets(item).hex()
    flags = int(digits[0], 16) if digits else _ODD + _LEAF + 1
    part = digits[1:] if flags & _ODD else digits[2:]
    if flags > _ODD + _LEAF or not (part or flags & _LEAF):
        raise BadProofError("a node without its part of the path")
    return part, bool(flags & _LEAF)


def _storage_root(account: bytes) -> bytes:
    fields = _decoded(account or None)
    if not isinstance(fields, list) or len(fields) != _ACCOUNT_FIELDS:
        raise BadProofError("an account of another shape")
    return _octets(fields[2])


def _word(value: bytes) -> bytes:
    if not value:
        return bytes(WORD)
    word = _octets(_decoded(value))
    if len(word) > WORD:
        raise BadProofError("a word of more than 32 bytes")
    return word.rjust(WORD, b"\0")


def _nodes(value: Any) -> list[bytes]:
    nodes = read_list(value)
    if len(nodes) > NODES_MAX:
        raise BadProofError(f"a proof of {len(nodes)} nodes")
    return [_bounded(read_octets(node)) for node in nodes]


def _bounded(node: bytes) -> bytes:
    if len(node) > NODE_MAX:
        raise BadProofError(f"a node of {len(node)} bytes")
    return node


def _octets(item: Item) -> bytes:
    if not isinstance(item, bytes):
        raise BadProofError("a list where bytes belong")
    return item
