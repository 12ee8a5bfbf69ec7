"""A relay's id is its raw Ed25519 host key; libp2p wraps it as a PeerID (SPEC 9.1)."""

from libp2p.crypto.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from libp2p.crypto.keys import KeyPair
from libp2p.peer.id import ID

from peerstream.node.network.errors import NegotiationError
from peerstream.node.protocol.wire.sizes import RELAY_ID_SIZE

# A PeerID of an Ed25519 key is the identity multihash of the 36-byte protobuf of the key:
# identity code, length; key type Ed25519, length of the key.
_PREFIX = bytes.fromhex("002408011220")


def peer_id_of(relay_id: bytes) -> ID:
    """Return the libp2p PeerID of a relay id of 32 bytes.

    Raises:
        ValueError: the id has another size.

    """
    if len(relay_id) != RELAY_ID_SIZE:
        raise ValueError("a relay id has 32 bytes")
    return ID(_PREFIX + relay_id)


def relay_id_of(peer_id: ID) -> bytes:
    """Return the 32-byte relay id inside a PeerID.

    Raises:
        NegotiationError: the key is none of Ed25519, which no node of ours has.

    """
    raw: bytes = peer_id.to_bytes()
    if len(raw) != len(_PREFIX) + RELAY_ID_SIZE or not raw.startswith(_PREFIX):
        raise NegotiationError("the peer's host key is not Ed25519")
    return raw[len(_PREFIX) :]


def host_key(seed: bytes) -> KeyPair:
    """Return the libp2p key pair of a 32-byte Ed25519 seed.

    Raises:
        ValueError: the seed has another size.

    """
    if len(seed) != RELAY_ID_SIZE:
        raise ValueError("an Ed25519 seed has 32 bytes")
    private = Ed25519PrivateKey.from_bytes(seed)
    return KeyPair(private, private.get_public_key())


def relay_id_of_key(key: KeyPair) -> bytes:
    """Return the relay id (32 bytes) of a host key pair."""
    public: Ed25519PublicKey = key.public_key
    raw: bytes = public.to_bytes()
    return raw
