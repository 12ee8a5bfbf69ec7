"""Targets for chapter 8: what an endpoint says, as JSON; RLP; storage proofs; events."""

import json

from fuzz.target import Target, codec
from peerstream.identity.address import Address
from peerstream.identity.keys import keccak256
from peerstream.node.chain.errors import BadProofError, MalformedAnswerError
from peerstream.node.chain.events import Log
from peerstream.node.chain.proof import storage_words
from peerstream.node.chain.quantities import Header, read_octets, read_quantity
from peerstream.node.chain.rlp import RlpError, decode

CONTRACT = Address(bytes(20))
LEAF = bytes.fromhex("e6a120") + keccak256(CONTRACT.raw) + bytes.fromhex("83c20101")
_LOG = {
    "address": str(CONTRACT), "topics": ["0x" + "11" * 32], "data": "0x", "blockNumber": "0x1",
    "logIndex": "0x0",
}  # fmt: skip
_HEADER = {
    "number": "0x1", "hash": "0x" + "22" * 32, "parentHash": "0x" + "33" * 32,
    "timestamp": "0x5", "stateRoot": "0x" + "44" * 32, "mixHash": "0x" + "55" * 32,
}  # fmt: skip
_PROOF = {"accountProof": ["0x" + LEAF.hex()], "storageProof": [{"proof": []}]}


def _json(data: bytes) -> object:
    """What a JSON parser makes of the bytes; no answer at all where it makes nothing."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedAnswerError("no JSON") from None


def _log(data: bytes) -> object:
    return Log.read(_json(data)).decode()


def _header(data: bytes) -> object:
    return Header.read(_json(data))


def _proof(data: bytes) -> object:
    return storage_words(_json(data), keccak256(LEAF), CONTRACT, [0])


def _numbers(data: bytes) -> None:
    value = _json(data)
    read_quantity(value)
    read_octets(value)


TARGETS: list[Target] = [
    codec("rlp", decode, [LEAF, b"\xc0", b"\x83abc", b"\xc3\x01\xc1\x02"], RlpError),
    codec("chain-log", _log, [json.dumps(_LOG).encode()], MalformedAnswerError),
    codec("chain-header", _header, [json.dumps(_HEADER).encode()], MalformedAnswerError),
    codec("chain-proof", _proof, [json.dumps(_PROOF).encode()], MalformedAnswerError,
          BadProofError),
    codec("chain-numbers", _numbers, [b'"0x10"', b'"0x"'], MalformedAnswerError),
]  # fmt: skip
