"""SETUP: 16 384 bytes that open a circuit of up to five hops in one trip (SPEC 3).

frame = key id 4 | version 1 | reserved 3 | ciphertext 1 120 | tag 16 | body 15 240

Each hop opens the body with a key from the ciphertext, reads 1 184 bytes of routing block, appends
as many of its own keystream and sends the rest on: the size never changes, and since the tag covers
the whole body, the sender has computed those appended bytes (the filler) beforehand, as in Sphinx.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import (
    KemError,
    SetupForgedError,
    SetupKeyError,
    SetupLoopError,
    SetupMalformedError,
    SetupVersionError,
)
from peerstream.node.protocol.onion.kem import (
    X25519_SIZE,
    Encapsulation,
    KemPrivateKey,
    KemPublicKey,
    agree,
)
from peerstream.node.protocol.onion.keys import (
    HopKeys,
    SetupKeys,
    circuit_binding,
    circuit_keys,
    setup_keys,
    transcript_hash,
)
from peerstream.node.protocol.onion.reply import PendingCircuit, PendingHop, ReplySealer
from peerstream.node.protocol.onion.routing import NextHop, Terms, decode_routing, encode_routing
from peerstream.node.protocol.wire.sizes import (
    HOPS_MAX,
    KEM_CIPHERTEXT_SIZE,
    KEY_ID_SIZE,
    PAYLOAD_SIZE,
    RELAY_ID_SIZE,
    ROUTING_SIZE,
    SETUP_BODY_SIZE,
    SETUP_HEADER_SIZE,
    SETUP_SIZE,
    TAG_SIZE,
)

SETUP_VERSION: Final = 1
REPLAY_TAG_SIZE: Final = 16

_NONCE: Final = bytes(12)  # each body key seals once
_CLEAR_SIZE: Final = KEY_ID_SIZE + 4
_CIPHERTEXT_END: Final = _CLEAR_SIZE + KEM_CIPHERTEXT_SIZE
_FILLING_SIZE: Final = TAG_SIZE + KEM_CIPHERTEXT_SIZE
_ZERO_BODY: Final = bytes(SETUP_BODY_SIZE)


@dataclass(frozen=True, slots=True)
class Hop:
    """A relay as the builder of a path needs it: its id (32 bytes), onion key, SETUP version."""

    relay_id: bytes
    onion_key: KemPublicKey
    version: int = SETUP_VERSION

    def header(self) -> bytes:
        """Return the 8 bytes in clear with which a SETUP arrives there."""
        return self.onion_key.key_id + bytes((self.version, 0, 0, 0))


class BuiltSetup(NamedTuple):
    """The frame for the first hop, and what opens the REPLY."""

    frame: bytes
    pending: PendingCircuit


@dataclass(frozen=True, slots=True, repr=False)
class ProcessedSetup:
    """What one hop learns: where to send the rest, or (at the last hop) the payload of 9 320 bytes.

    Give `reply` to exactly one answer. `binding` (32 bytes) is known to the owner and this hop.
    """

    next_relay_id: bytes | None
    next_frame: bytes | None
    payload: bytes | None
    cell_class: int
    real_time: bool
    bucket: int
    keys: HopKeys
    reply: ReplySealer
    binding: bytes


def build_setup(
    path: Sequence[Hop],
    payload: bytes | Callable[[bytes], bytes],
    *,
    cell_class: int,
    real_time: bool,
    bucket: int,
    entropy: Callable[[int], bytes],
) -> BuiltSetup:
    """Make the SETUP for `path`, first hop first.

    `payload` is for the last hop (at most 9 320 bytes, filled up with random ones); a function
    gets the last hop's binding, for payloads that sign it. Raises LocalProtocolError for a path
    or payload that no hop would accept, KemError for an onion key that is none.
    """
    terms = Terms(cell_class, real_time, bucket)
    terms.check()
    _check_path(path)
    sealed = [hop.onion_key.encapsulate() for hop in path]
    keys = [
        setup_keys(hop.relay_id, secret.shared) for hop, secret in zip(path, sealed, strict=True)
    ]
    binding = circuit_binding(keys[-1].chain)
    message = payload(binding) if callable(payload) else payload
    frame = _seal_path(path, [s.ciphertext for s in sealed], keys, terms, (message, entropy))
    return BuiltSetup(frame, PendingCircuit(_pending(path, sealed, keys), binding))


def replay_tag(frame: bytes | memoryview) -> bytes:
    """Return the 16 bytes by which a replay filter knows a SETUP again."""
    return sha256(frame[_CLEAR_SIZE:_CIPHERTEXT_END]).digest()[:REPLAY_TAG_SIZE]


def process_setup(
    frame: bytes | memoryview,
    *,
    relay_id: bytes,
    onion_keys: Mapping[bytes, KemPrivateKey],
    entropy: Callable[[int], bytes],
) -> ProcessedSetup:
    """Take one hop's layer off a SETUP. Raises a SetupError, by cause, and nothing else.

    The caller asks its replay filter before, and inserts (bucket, tag) after.
    """
    raw = bytes(frame)
    keys, plain = _open(raw, relay_id, onion_keys)
    terms, following = decode_routing(plain[:ROUTING_SIZE])
    if following is not None and following.relay_id == relay_id:
        raise SetupLoopError("the next hop is this one")
    ciphertext = raw[_CLEAR_SIZE:_CIPHERTEXT_END]
    ephemeral = X25519PrivateKey.from_private_bytes(entropy(X25519_SIZE))
    point = ephemeral.public_key().public_bytes_raw()
    exchanged = agree(ephemeral, ciphertext[-X25519_SIZE:])
    circuit = circuit_keys(keys.chain, exchanged, transcript_hash(ciphertext, point, relay_id))
    return ProcessedSetup(
        next_relay_id=following.relay_id if following else None,
        next_frame=_frame(following, plain[ROUTING_SIZE:] + _appended(keys.filler))
        if following
        else None,
        payload=None if following else plain[ROUTING_SIZE : ROUTING_SIZE + PAYLOAD_SIZE],
        cell_class=terms.cell_class,
        real_time=terms.real_time,
        bucket=terms.bucket,
        keys=circuit.hop,
        reply=ReplySealer(circuit, point),
        binding=circuit_binding(keys.chain),
    )


def _open(
    raw: bytes, relay_id: bytes, onion_keys: Mapping[bytes, KemPrivateKey]
) -> tuple[SetupKeys, bytes]:
    if len(raw) != SETUP_SIZE:
        raise SetupMalformedError(f"a SETUP of {len(raw)} bytes")
    clear = raw[:_CLEAR_SIZE]
    if clear[KEY_ID_SIZE] != SETUP_VERSION:
        raise SetupVersionError(f"a SETUP of version {clear[KEY_ID_SIZE]}")
    if any(clear[KEY_ID_SIZE + 1 :]):
        raise SetupMalformedError("reserved bytes are set")
    private = onion_keys.get(clear[:KEY_ID_SIZE])
    if private is None:
        raise SetupKeyError("no such onion key")
    tag, body = raw[_CIPHERTEXT_END:SETUP_HEADER_SIZE], raw[SETUP_HEADER_SIZE:]
    try:
        keys = setup_keys(relay_id, private.decapsulate(raw[_CLEAR_SIZE:_CIPHERTEXT_END]))
        return keys, AESGCM(keys.body).decrypt(_NONCE, body + tag, clear)
    except (InvalidTag, KemError) as error:
        raise SetupForgedError("the body does not open") from error


def _frame(hop: NextHop, body: bytes) -> bytes:
    version = bytes((hop.version, 0, 0, 0))
    return b"".join((hop.key_id, version, hop.ciphertext, hop.tag, body))


def _check_path(path: Sequence[Hop]) -> None:
    if not 1 <= len(path) <= HOPS_MAX:
        raise LocalProtocolError(f"a path of {len(path)} hops")
    for number, hop in enumerate(path):
        if len(hop.relay_id) != RELAY_ID_SIZE or hop.version != SETUP_VERSION:
            raise LocalProtocolError(f"hop {number} cannot be written into a SETUP")
        if number and hop.relay_id == path[number - 1].relay_id:
            raise LocalProtocolError(f"hop {number} is its own neighbour")


def _pending(
    path: Sequence[Hop], sealed: Sequence[Encapsulation], keys: Sequence[SetupKeys]
) -> list[PendingHop]:
    return [
        PendingHop(hop.relay_id, secret.ephemeral, secret.ciphertext, key.chain)
        for hop, secret, key in zip(path, sealed, keys, strict=True)
    ]


def _seal_path(
    path: Sequence[Hop],
    ciphertexts: Sequence[bytes],
    keys: Sequence[SetupKeys],
    terms: Terms,
    content: tuple[bytes, Callable[[int], bytes]],
) -> bytes:
    """Seal from the last hop to the first; `content` = the payload and what draws its filling."""
    tail = _filler(keys)
    filling, inside = _innermost(content, len(tail))
    body = inside + tail
    following: NextHop | None = None
    for hop, ciphertext, key in zip(
        reversed(path), reversed(ciphertexts), reversed(keys), strict=True
    ):
        plain = encode_routing(terms, following, filling) + body[: SETUP_BODY_SIZE - ROUTING_SIZE]
        sealed = AESGCM(key.body).encrypt(_NONCE, plain, hop.header())
        body, tag = sealed[:SETUP_BODY_SIZE], sealed[SETUP_BODY_SIZE:]
        following = NextHop(hop.relay_id, hop.onion_key.key_id, hop.version, tag, ciphertext)
    if following is None:
        raise LocalProtocolError("a path without hops")
    return _frame(following, body)


def _innermost(
    content: tuple[bytes, Callable[[int], bytes]], tail_size: int
) -> tuple[bytes, bytes]:
    """Return the last routing block's filling, and the payload with random bytes up to the tail."""
    payload, entropy = content
    if len(payload) > PAYLOAD_SIZE:
        raise LocalProtocolError(f"a payload of {len(payload)} bytes")
    gap = SETUP_BODY_SIZE - ROUTING_SIZE - tail_size - len(payload)
    # One draw, stretched: reading 16 KiB from the system costs more than the rest of the frame.
    drawn = AESGCM(entropy(32)).encrypt(_NONCE, bytes(_FILLING_SIZE + gap), None)
    return drawn[:_FILLING_SIZE], payload + drawn[_FILLING_SIZE : _FILLING_SIZE + gap]


def _filler(keys: Sequence[SetupKeys]) -> bytes:
    """Return the end of the last hop's plaintext: what all hops before will have appended.

    Each hop appends 1 184 bytes and each later hop's opening xors its stream over them.
    """
    tail = b""
    for number, key in enumerate(keys):
        if tail:
            stream = AESGCM(key.body).encrypt(_NONCE, _ZERO_BODY, None)
            tail = _xor(tail, stream[SETUP_BODY_SIZE - len(tail) : SETUP_BODY_SIZE])
        if number < len(keys) - 1:
            tail += _appended(key.filler)
    return tail


def _appended(filler_key: bytes) -> bytes:
    return shake_256(filler_key).digest(ROUTING_SIZE)


def _xor(first: bytes, second: bytes) -> bytes:
    mixed = int.from_bytes(first, "little") ^ int.from_bytes(second, "little")
    return mixed.to_bytes(len(first), "little")
