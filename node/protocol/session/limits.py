"""What one side of a session holds at most (SPEC 5.7)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session; sizes in bytes, times in seconds.

    The first two are told to the peer. A caller's are the defaults, as message 1 has no field.
    """

    streams: int = 256  # opened by the peer at one time; their first windows fill the budget
    stream_window: int = 262_144  # 16 cells: a request or a first flight waits for no credit
    window_max: int = 8_388_608  # 60 MB/s at 140 ms
    receive_budget: int = 67_108_864  # sum of all windows; windows stop growing there
    send_buffer: int = 8_388_608  # of one stream: what the widest window lets go
    send_ahead: int = 2_097_152  # of that, what did not go yet
    send_budget: int = 33_554_432  # of all streams
    idle_timeout: float = 600.0  # without an open stream
    keep_warm: float = 15.0  # a standby path shows that it lives
    dead_after: float = 30.0  # a suspect path is given up
    resume_time: float = 600.0
    silent_after: float = 1.5  # without a sign of life on any path the caller calls again
    curious_after: float = 1.0  # the caller asks whether a path is alive that fell silent
    standby_after: float = 0.5  # a session in use that has one path gets a second


DEFAULT_LIMITS = SessionLimits()


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What the handshake settled: the level, our limits and the peer's first window of a stream."""

    level: int
    limits: SessionLimits = DEFAULT_LIMITS
    peer_window: int = DEFAULT_LIMITS.stream_window
