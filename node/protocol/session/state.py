"""The states of a session as a table; a pair that is absent is an error (SPEC 5.9)."""

from enum import Enum


class State(Enum):
    """Where a session stands."""

    PROVING = "proving"  # callee: the caller named itself and has not proved it yet
    OPEN = "open"
    STRANDED = "stranded"  # no path left; what was not acknowledged is kept
    CLOSED = "closed"


class Input(Enum):
    """What moves a session."""

    PROVED = "proved"
    PATHS_LOST = "paths lost"
    RESUMED = "resumed"
    CLOSE = "close"


TRANSITIONS = {
    (State.PROVING, Input.PROVED): State.OPEN,
    (State.PROVING, Input.PATHS_LOST): State.CLOSED,
    (State.PROVING, Input.CLOSE): State.CLOSED,
    (State.OPEN, Input.PATHS_LOST): State.STRANDED,
    (State.OPEN, Input.CLOSE): State.CLOSED,
    (State.STRANDED, Input.RESUMED): State.OPEN,
    (State.STRANDED, Input.CLOSE): State.CLOSED,
}
