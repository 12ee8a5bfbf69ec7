"""Targets for chapter 3: SETUP, routing block, REPLY, KEM."""

from functools import cache

from fuzz.target import Target, codec
from peerstream.node.protocol.onion.errors import (
    CircuitRefusedError,
    KemError,
    ReplyError,
    SetupError,
)
from peerstream.node.protocol.onion.kem import KemPrivateKey, KemPublicKey
from peerstream.node.protocol.onion.reply import PendingCircuit
from peerstream.node.protocol.onion.routing import NextHop, Terms, decode_routing, encode_routing
from peerstream.node.protocol.onion.setup import (
    BuiltSetup,
    Hop,
    ProcessedSetup,
    build_setup,
    process_setup,
)
from peerstream.node.protocol.wire.status import Status

RELAY_ID = b"r" * 32
KEY = KemPrivateKey.from_seed(b"s" * 32)


@cache
def _built() -> BuiltSetup:
    hop = Hop(RELAY_ID, KEY.public)
    terms = {"cell_class": 2, "real_time": False, "bucket": 9}
    return build_setup([hop], b"payload", entropy=bytes, **terms)  # type: ignore[arg-type]


def _process(frame: bytes) -> ProcessedSetup:
    keys = {KEY.public.key_id: KEY}
    return process_setup(frame, relay_id=RELAY_ID, onion_keys=keys, entropy=lambda n: b"\1" * n)


@cache
def _reply() -> bytes:
    return _process(_built().frame).reply.seal(b"ok", status=Status.OK, entropy=bytes)


def _open_reply(frame: bytes) -> bytes:
    pending = _built().pending
    return PendingCircuit(_HOPS, pending.binding).open_reply(frame).message


def _routing(block: bytes) -> None:
    """What stands where a last hop has no next one is random: it is no part of the value."""
    terms, following = decode_routing(block)
    if encode_routing(terms, following, block[48:]) != block:
        raise AssertionError("two encodings of one routing block")


_HOPS = _built().pending._hops  # noqa: SLF001 - each owner opens one reply only
_NEXT = NextHop(b"n" * 32, b"okid", 1, b"t" * 16, b"c" * 1_120)
_BLOCKS = [encode_routing(Terms(2, False, 9), hop, b"f" * 1_136) for hop in (None, _NEXT)]

TARGETS: list[Target] = [
    codec("setup", _process, [_built().frame], SetupError),
    codec("routing", _routing, _BLOCKS, SetupError),
    codec("reply", _open_reply, [_reply()], ReplyError, CircuitRefusedError),
    codec("kem-public", lambda raw: KemPublicKey(raw).encapsulate(), [KEY.public.raw], KemError),
    codec("kem-ciphertext", KEY.decapsulate, [KEY.public.encapsulate().ciphertext], KemError),
]
