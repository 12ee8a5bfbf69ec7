"""The network identifier: 32 bytes that tie every signature to one network (SPEC 1.4)."""

import hashlib
from enum import IntEnum
from typing import Final

from peerstream.identity import labels
from peerstream.identity.address import Address
from peerstream.identity.errors import KeyMaterialError

NETWORK_ID_SIZE: Final = 32
_KEY_SIZE: Final = 32


class NetworkMode(IntEnum):
    """Where the relay set and the keys come from."""

    CHAIN = 1
    STATIC = 2
    DHT = 3


def chain_network_id(chain_id: int, registry: Address, genesis_hash: bytes) -> bytes:
    """Name the network of one relay registry on one chain; the contract computes the same."""
    if not 0 < chain_id < 1 << 64 or len(genesis_hash) != _KEY_SIZE:
        raise KeyMaterialError("a chain id is an u64, a genesis hash 32 bytes")
    return _network_id(NetworkMode.CHAIN, chain_id.to_bytes(8) + registry.raw + genesis_hash)


def static_network_id(signer_key: bytes) -> bytes:
    """Name the network whose relay file the Ed25519 key ``signer_key`` of 32 bytes signs."""
    return _network_id(NetworkMode.STATIC, _checked_key(signer_key))


def dht_network_id(admission_key: bytes) -> bytes:
    """Name the network whose relays the Ed25519 key ``admission_key`` of 32 bytes admits."""
    return _network_id(NetworkMode.DHT, _checked_key(admission_key))


def _checked_key(key: bytes) -> bytes:
    if len(key) != _KEY_SIZE:
        raise KeyMaterialError("an Ed25519 key is 32 bytes")
    return key


def _network_id(mode: NetworkMode, origin: bytes) -> bytes:
    return hashlib.sha256(labels.NETWORK + mode.to_bytes() + origin).digest()
