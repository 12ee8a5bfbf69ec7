"""Commands to a circuit's last hop, in a SETUP payload or a control cell (SPEC 4)."""

from enum import IntEnum


class Command(IntEnum):
    """Forward commands are below 64, what a hop sends back is 64 and above."""

    OPEN = 1
    DIR_GET = 2
    DIR_PUT = 3
    INTRO_REGISTER = 4
    INTRODUCE = 5
    RDV_LISTEN = 6
    RDV_JOIN = 7
    INTRODUCE_WAIT = 8
    ECHO = 12
    PAD_DROP = 32
    CLOSE = 35
    PEER_LOST_SEEN = 36
    RESULT = 64
    DIR_RECORD = 65
    INTRODUCTION = 66
    JOINED = 67
    PEER_LOST = 69
