"""REPLY: 1 024 bytes that come back through every hop of a SETUP (SPEC 3).

frame = Y 32 | HMAC-SHA-256(tag key, c[0:720])[0:16] | c 976
c     = AES-256-CTR of: status u8 | length u16 | random 13 | inner 960

`inner` is the message of the last hop or, at the others, the first 960 bytes of the frame from
downstream. What a hop cuts off the end is junk that no tag covers and nobody reads.
"""

from collections.abc import Callable, Sequence
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import BadReplyError, CircuitRefusedError, KemError
from peerstream.node.protocol.onion.kem import X25519_SIZE, agree
from peerstream.node.protocol.onion.keys import (
    CircuitKeys,
    HopKeys,
    circuit_keys,
    transcript_hash,
)
from peerstream.node.protocol.wire.sizes import (
    REPLY_AUTHENTICATED_SIZE,
    REPLY_BODY_SIZE,
    REPLY_HEADER_SIZE,
    REPLY_MESSAGE_MAX,
    REPLY_SIZE,
    TAG_SIZE,
)
from peerstream.node.protocol.wire.status import Status

_FIELDS_SIZE: Final = 16
_INNER_SIZE: Final = REPLY_BODY_SIZE - _FIELDS_SIZE


class ReplySealer:
    """A hop's one chance to answer; its keys are gone once it did."""

    __slots__ = ("_keys", "_point")

    def __init__(self, keys: CircuitKeys, point: bytes) -> None:
        self._keys: CircuitKeys | None = keys
        self._point = point

    def __repr__(self) -> str:
        return "<ReplySealer>"

    def seal(self, inner: bytes, *, status: Status, entropy: Callable[[int], bytes]) -> bytes:
        """Return the 1 024-byte frame for upstream.

        `inner` is either the frame from downstream (1 024 bytes, status OK) or this hop's own
        message (at most 448 bytes). LocalProtocolError when used twice: a second answer under the
        same key would give both away.
        """
        keys, self._keys = self._keys, None
        if keys is None:
            raise LocalProtocolError("this hop has answered already")
        plain = _plain(inner, status, entropy)
        sealed = _stream(keys.reply_stream, plain)
        return self._point + _tag(keys.reply_tag, sealed) + sealed


class PendingHop(NamedTuple):
    """What the owner keeps of one hop until the REPLY; all secret but the relay id."""

    relay_id: bytes
    ephemeral: X25519PrivateKey
    ciphertext: bytes
    chain: bytes

    def __repr__(self) -> str:
        return "<PendingHop>"


class OpenedReply(NamedTuple):
    """A circuit with keys, first hop first, and what its last hop said (at most 448 bytes)."""

    keys: list[HopKeys]
    message: bytes
    binding: bytes  # 32: the last hop's, see keys.circuit_binding

    def __repr__(self) -> str:
        return f"<OpenedReply of {len(self.keys)} hops>"


class PendingCircuit:
    """The owner's side between SETUP and REPLY."""

    __slots__ = ("_hops", "binding")

    def __init__(self, hops: Sequence[PendingHop], binding: bytes) -> None:
        self._hops = tuple(hops)
        self.binding = binding

    def __repr__(self) -> str:
        return f"<PendingCircuit of {len(self._hops)} hops>"

    def open_reply(self, frame: bytes | memoryview) -> OpenedReply:
        """Peel all layers; the secrets are gone afterwards, whatever came out.

        Raises CircuitRefusedError when a hop that proved its key refused, BadReplyError when a
        layer does not verify, LocalProtocolError when called twice.
        """
        hops, self._hops = self._hops, ()
        if not hops:
            raise LocalProtocolError("this circuit was answered already")
        keys = []
        inner = bytes(frame)
        if len(inner) != REPLY_SIZE:
            raise BadReplyError(0, f"a reply of {len(inner)} bytes")
        length = 0
        for number, hop in enumerate(hops):
            layer, length, inner = _peel(number, hop, inner, last=number == len(hops) - 1)
            keys.append(layer)
        return OpenedReply(keys, inner[:length], self.binding)


def _plain(inner: bytes, status: Status, entropy: Callable[[int], bytes]) -> bytes:
    if len(inner) == REPLY_SIZE and status is Status.OK:
        return bytes(3) + entropy(_FIELDS_SIZE - 3) + inner[:_INNER_SIZE]
    if len(inner) > REPLY_MESSAGE_MAX:
        raise LocalProtocolError(f"a reply message of {len(inner)} bytes with {status.name}")
    fields = bytes((status,)) + len(inner).to_bytes(2, "big") + entropy(_FIELDS_SIZE - 3)
    return fields + inner + entropy(_INNER_SIZE - len(inner))


def _peel(number: int, hop: PendingHop, frame: bytes, *, last: bool) -> tuple[HopKeys, int, bytes]:
    """Return the keys of one hop, the length of its message and what its layer held.

    `frame` shrinks by 64 bytes a layer; the part under the tag is always whole.
    """
    point, tag = frame[:X25519_SIZE], frame[X25519_SIZE:REPLY_HEADER_SIZE]
    sealed = frame[REPLY_HEADER_SIZE:]
    try:
        exchanged = agree(hop.ephemeral, point)
    except KemError as error:
        raise BadReplyError(number, "no usable ephemeral") from error
    transcript = transcript_hash(hop.ciphertext, point, hop.relay_id)
    keys = circuit_keys(hop.chain, exchanged, transcript)
    if not compare_digest(_tag(keys.reply_tag, sealed), tag):
        raise BadReplyError(number, "the tag does not verify")
    plain = _stream(keys.reply_stream, sealed)
    length = _checked_length(number, plain, last=last)
    return keys.hop, length, plain[_FIELDS_SIZE:]


def _checked_length(number: int, plain: bytes, *, last: bool) -> int:
    length = int.from_bytes(plain[1:3], "big")
    if length > REPLY_MESSAGE_MAX:
        raise BadReplyError(number, f"a message of {length} bytes")
    if plain[0] != Status.OK:
        message = plain[_FIELDS_SIZE : _FIELDS_SIZE + length]
        raise CircuitRefusedError(number, _status(number, plain[0]), message)
    if length and not last:
        raise BadReplyError(number, "an answer of its own from a hop in the middle")
    return length


def _status(number: int, code: int) -> Status:
    try:
        return Status(code)
    except ValueError as error:
        raise BadReplyError(number, f"status {code}") from error


def _tag(key: bytes, sealed: bytes) -> bytes:
    return hmac_digest(key, sealed[:REPLY_AUTHENTICATED_SIZE], "sha256")[:TAG_SIZE]


def _stream(key: bytes, data: bytes) -> bytes:
    # One key, one reply: a fixed counter block is right, and xor undoes itself.
    return Cipher(AES256(key), CTR(bytes(16))).encryptor().update(data)
