"""eth_getProof of the embedded chain (SPEC 8.7; EIP-1186)."""

from collections.abc import Mapping, Sequence
from typing import Any

import rlp
from trie import HexaryTrie

from peerstream.identity.keys import keccak256
from peerstream.node.chain.devnet import values


def proof_json(
    nodes: Mapping[bytes, bytes], state_root: bytes, account: bytes, slots: Sequence[int]
) -> values.Json:
    """Return the proof of an account (20 bytes) and of slots of its storage.

    nodes: RLP of the chain's trie nodes by hash.
    """
    accounts = HexaryTrie(nodes, state_root)
    nonce, balance, storage_root, code_hash = _fields(accounts.get(keccak256(account)))
    return {
        "address": values.account(account),
        "accountProof": _proof(accounts, account),
        "balance": values.quantity(int.from_bytes(balance, "big")),
        "codeHash": values.octets(code_hash),
        "nonce": values.quantity(int.from_bytes(nonce, "big")),
        "storageHash": values.octets(storage_root),
        "storageProof": [_slot_json(HexaryTrie(nodes, storage_root), slot) for slot in slots],
    }


def _slot_json(storage: HexaryTrie, slot: int) -> values.Json:
    key = slot.to_bytes(32, "big")
    found = storage.get(keccak256(key))
    value = int.from_bytes(rlp.decode(found), "big") if found else 0
    return {
        "key": values.octets(key),
        "value": values.quantity(value),
        "proof": _proof(storage, key),
    }


def _proof(trie: HexaryTrie, key: bytes) -> list[str]:
    return [values.octets(rlp.encode(node)) for node in trie.get_proof(keccak256(key))]


def _fields(account: bytes) -> list[Any]:
    if not account:
        return [b"", b"", keccak256(b"\x80"), keccak256(b"")]
    found: list[Any] = rlp.decode(account)
    return found
