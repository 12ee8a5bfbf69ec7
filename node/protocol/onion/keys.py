"""Keys of a hop, from the KEM's secret to the layer (SPEC 3).

Secrets here have no readable repr, are compared by nobody, and are dropped by whoever holds them
as soon as the step they serve is done.
"""

from hashlib import sha256, shake_256
from typing import Final, NamedTuple

from peerstream.identity.labels import CIRCUIT_BINDING, CIRCUIT_KEYS, SETUP_KEYS

KEY_SIZE: Final = 32
MARKER_SIZE: Final = 16
LAYER_KEYS_SIZE: Final = 4 * KEY_SIZE + MARKER_SIZE  # hash, block, stream, marker, chain
_ONE_WAY: Final = 3 * KEY_SIZE + MARKER_SIZE  # as above without the chain key
_CIRCUIT_SIZE: Final = 2 * KEY_SIZE + 2 * LAYER_KEYS_SIZE


class LayerKeys:
    """What one hop and direction starts from: 144 bytes.

    hash key 32 || block key 32 || stream key 32 || marker 16 || chain key 32, the same order in
    which a rekey draws them.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != LAYER_KEYS_SIZE:
            raise ValueError(f"layer keys of {len(raw)} bytes")
        self.raw = raw

    def __repr__(self) -> str:
        return "<LayerKeys>"


class HopKeys(NamedTuple):
    """Both directions of one hop: `forward` runs from the circuit's owner to its last hop."""

    forward: LayerKeys
    backward: LayerKeys


class SetupKeys(NamedTuple):
    """What a hop's SETUP layer is made with; all 32 bytes, all dropped after the REPLY."""

    body: bytes
    filler: bytes
    chain: bytes

    def __repr__(self) -> str:
        return "<SetupKeys>"


class CircuitKeys(NamedTuple):
    """What a hop has after both ephemerals met."""

    reply_stream: bytes  # 32
    reply_tag: bytes  # 32
    hop: HopKeys

    def __repr__(self) -> str:
        return "<CircuitKeys>"


def setup_keys(relay_id: bytes, shared: bytes) -> SetupKeys:
    """From the relay id and the KEM's secret, 32 bytes each."""
    drawn = shake_256(SETUP_KEYS + relay_id + shared).digest(3 * KEY_SIZE)
    return SetupKeys(drawn[:32], drawn[32:64], drawn[64:])


def circuit_binding(chain: bytes) -> bytes:
    """32 bytes that only the owner and this hop can know, for signatures about the circuit."""
    return shake_256(CIRCUIT_BINDING + chain).digest(32)


def circuit_keys(chain: bytes, exchanged: bytes, transcript: bytes) -> CircuitKeys:
    """From the SETUP's chain key, the ephemeral-ephemeral X25519 and the transcript hash."""
    drawn = shake_256(CIRCUIT_KEYS + chain + exchanged + transcript).digest(_CIRCUIT_SIZE)
    layers = drawn[2 * KEY_SIZE :]
    chains = layers[2 * _ONE_WAY :]
    forward = LayerKeys(layers[:_ONE_WAY] + chains[:KEY_SIZE])
    backward = LayerKeys(layers[_ONE_WAY : 2 * _ONE_WAY] + chains[KEY_SIZE:])
    return CircuitKeys(drawn[:32], drawn[32:64], HopKeys(forward, backward))


def transcript_hash(ciphertext: bytes, hop_point: bytes, relay_id: bytes) -> bytes:
    """Hash what both sides of one hop must have seen alike: H(ct || Y || relay id)."""
    return sha256(ciphertext + hop_point + relay_id).digest()
