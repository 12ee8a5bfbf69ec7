"""Status codes of replies, results and closings (SPEC 0)."""

from enum import IntEnum


class Status(IntEnum):
    """Why something was refused or ended; one byte on the wire."""

    OK = 0
    INTERNAL = 1
    PROTO = 2
    VERSION = 3
    BUSY = 4
    HIBERNATE = 5
    NO_ROUTE = 6
    CONNECT = 7
    TIMEOUT = 8
    KEY = 9
    REPLAY = 10
    EXPIRED = 11
    CLASS = 12
    FLOW = 13
    LIMIT = 14
    PUZZLE = 15
    NOT_FOUND = 16
    EXISTS = 17
    BAD_RECORD = 18
    STALE_REVISION = 19
    NOT_RESPONSIBLE = 20
    SIGNATURE = 21
    DENIED = 22
    CLOSED = 23
    FINISHED = 24
    NO_SAFE_PATH = 25
    VIEW_MISMATCH = 26
    AUTH_REQUIRED = 64
    AUTH_FAILED = 65
    REVOKED = 66
    NO_SERVICE = 67
    STREAM_LIMIT = 68
    AEAD = 69
    REKEY_FAILED = 70
    IDLE = 71
    LEVEL = 72


DESTROY_REASONS = frozenset(
    {Status.PROTO, Status.BUSY, Status.TIMEOUT, Status.FLOW, Status.LIMIT, Status.CLOSED}
)
