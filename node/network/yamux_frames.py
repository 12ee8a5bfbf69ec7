"""Yamux frames, as in the specification of hashicorp/yamux that libp2p uses (SPEC 9.5)."""

from struct import Struct
from typing import Final

HEADER: Final = Struct("!BBHII")  # version, type, flags, stream, length
HEADER_SIZE: Final = HEADER.size
VERSION: Final = 0

DATA: Final = 0
WINDOW_UPDATE: Final = 1
PING: Final = 2
GO_AWAY: Final = 3

SYN: Final = 1
ACK: Final = 2
FIN: Final = 4
RST: Final = 8

NORMAL_END: Final = 0
PROTOCOL_ERROR: Final = 1

INITIAL_WINDOW: Final = 262_144
WINDOW_MAX: Final = 1 << 30  # a sending window is never believed beyond


def pack(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """Return a frame header, 12 bytes."""
    return HEADER.pack(VERSION, kind, flags, stream_id, length)
