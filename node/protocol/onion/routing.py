"""The 1 184 bytes of instructions that one hop reads from a SETUP (SPEC 3).

next relay 32 | next key id 4 | flags 1 (bit 0 last, bit 1 real time) | cell class 1 | 0 2 |
bucket 4 | next version 1 | 0 3 | next tag 16 | next ciphertext 1 120
"""

from typing import Final, NamedTuple

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.onion.errors import SetupInstructionError
from peerstream.node.protocol.wire.reader import Reader
from peerstream.node.protocol.wire.sizes import (
    CELL_SIZES,
    KEM_CIPHERTEXT_SIZE,
    KEY_ID_SIZE,
    RELAY_ID_SIZE,
    TAG_SIZE,
)

_LAST: Final = 1
_REAL_TIME: Final = 2


class NextHop(NamedTuple):
    """Where a SETUP goes on, and the header that it has there."""

    relay_id: bytes  # 32
    key_id: bytes  # 4
    version: int
    tag: bytes  # 16
    ciphertext: bytes  # 1 120


class Terms(NamedTuple):
    """What holds for the whole circuit, told to each of its hops.

    `bucket` = unix seconds / 600. There is no lifetime: equal numbers would link distant relays.
    """

    cell_class: int
    real_time: bool
    bucket: int

    def check(self) -> None:
        """LocalProtocolError when our own terms cannot be written."""
        if self.cell_class not in range(len(CELL_SIZES)) or not 0 <= self.bucket < 1 << 32:
            raise LocalProtocolError(f"no circuit has class {self.cell_class}, time {self.bucket}")


def encode_routing(terms: Terms, following: NextHop | None, filling: bytes) -> bytes:
    """Return a routing block; `filling` (1 136 random bytes) stands where a last hop has no next.

    Random and not zero: what an honest hop's keystream turns zeros into could be recognised.
    """
    relay_id, key_id, version, tag, ciphertext = following or NextHop(
        bytes(RELAY_ID_SIZE), bytes(KEY_ID_SIZE), 0, filling[:TAG_SIZE], filling[TAG_SIZE:]
    )
    flags = (0 if following else _LAST) | (_REAL_TIME if terms.real_time else 0)
    fields = bytes((flags, terms.cell_class, 0, 0)) + terms.bucket.to_bytes(4, "big")
    return relay_id + key_id + fields + bytes((version, 0, 0, 0)) + tag + ciphertext


def decode_routing(block: bytes) -> tuple[Terms, NextHop | None]:
    """Return the terms and the next hop, None at the last; SetupInstructionError when senseless."""
    try:
        return _decode(Reader(block))
    except MalformedError as error:
        raise SetupInstructionError("a routing block that no client writes") from error


def _decode(reader: Reader) -> tuple[Terms, NextHop | None]:
    relay_id, key_id = reader.take(RELAY_ID_SIZE), reader.take(KEY_ID_SIZE)
    flags, cell_class = reader.u8(), reader.u8()
    reader.zeros(2)
    terms = Terms(cell_class, bool(flags & _REAL_TIME), reader.u32())
    version = reader.u8()
    reader.zeros(3)
    tag, ciphertext = reader.take(TAG_SIZE), reader.take(KEM_CIPHERTEXT_SIZE)
    reader.end()
    if flags & ~(_LAST | _REAL_TIME) or cell_class >= len(CELL_SIZES):
        raise MalformedError("unknown flag or class")
    if not flags & _LAST:
        if not version:
            raise MalformedError("a next hop without a version")
        return terms, NextHop(relay_id, key_id, version, tag, ciphertext)
    if any(relay_id) or any(key_id) or version:
        raise MalformedError("a last hop with a next one")
    return terms, None
