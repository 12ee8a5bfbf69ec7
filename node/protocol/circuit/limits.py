"""What one neighbour may do to us (SPEC 4.9)."""

from dataclasses import dataclass

from peerstream.node.protocol.circuit.errors import BadSetupsError
from peerstream.node.protocol.circuit.token_bucket import TokenBucket

CIRCUIT_RATE = 25_000_000  # bytes a second that one circuit shall reach at any distance
SCALE_MAX = 16.0  # 8 MiB in the default class: 25 MB/s over 160 ms
BASE_WINDOW = 524_288  # bytes; the initial window of the default class
BAD_SETUPS_MAX = 3  # an honest client may meet a key change once; not three times
BAD_SETUPS_SECONDS = 10.0
CLIENT_CIRCUITS_MAX = 512
SPARE_SETUPS = 250.0  # a second, for all clients of a relay: a fifth of a core
RELAY_CIRCUITS_MAX = 16_384  # what one relay sends through another: all its clients' circuits


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Limits of one link.

    `circuits_max`: circuits that the neighbour may have open here. `setups_per_second` and
    `setups_burst`: SETUPs it may send. `closes_on_bad_setups`: whether three bad SETUPs in ten
    seconds end the link; not for relays, which pass on what their clients made.
    """

    circuits_max: int
    setups_per_second: float
    setups_burst: float
    closes_on_bad_setups: bool
    real_time_bytes_per_second: float = 1_000_000.0
    real_time_burst: float = 131_072.0

    @classmethod
    def for_client(cls) -> "LinkLimits":
        """Return those of a neighbour that is no relay we know."""
        return cls(CLIENT_CIRCUITS_MAX, 10.0, 40.0, closes_on_bad_setups=True)

    @classmethod
    def for_relay(cls) -> "LinkLimits":
        """Return those of a neighbour that proved to be a relay of our set."""
        return cls(RELAY_CIRCUITS_MAX, 1_000.0, 4_000.0, closes_on_bad_setups=False)


def credit_scale(round_trip: float | None, *, held_bytes: int, held_max: int) -> float:
    """Return what to set as a link's `credit_scale`.

    Two bandwidth-delay products at CIRCUIT_RATE for a round trip in seconds; 1 when it is not
    known, or when the process holds more than half of the `held_max` bytes of cells it may.
    """
    if round_trip is None or held_bytes > held_max // 2:
        return 1.0
    return min(SCALE_MAX, max(1.0, 2 * round_trip * CIRCUIT_RATE / BASE_WINDOW))


def spare_setups(now: float) -> TokenBucket:
    """Return what all clients of a relay share, beyond what each may send in any case."""
    return TokenBucket(SPARE_SETUPS, SPARE_SETUPS, now)


class SetupAdmission:
    """Counts one neighbour's SETUPs, good and bad.

    `spare`: what it shares with others. A busy client goes on where nobody else needs it; a flood
    takes from nobody what is his own.
    """

    __slots__ = ("_bad", "_bucket", "_limits", "_spare")

    def __init__(self, limits: LinkLimits, now: float, spare: TokenBucket | None = None) -> None:
        self._limits = limits
        self._bucket = TokenBucket(limits.setups_per_second, limits.setups_burst, now)
        self._spare = spare
        self._bad: list[float] = []

    def admits(self, now: float, open_circuits: int) -> bool:
        """Whether one more SETUP may be looked at."""
        if open_circuits >= self._limits.circuits_max:
            return False
        return self._bucket.take(now) or (self._spare is not None and self._spare.take(now))

    def bad_setup(self, now: float) -> None:
        """Count one that did not open; BadSetupsError when it was one too many."""
        if not self._limits.closes_on_bad_setups:
            return
        self._bad = [at for at in self._bad if now - at < BAD_SETUPS_SECONDS]
        self._bad.append(now)
        if len(self._bad) >= BAD_SETUPS_MAX:
            raise BadSetupsError(f"{BAD_SETUPS_MAX} SETUPs in {BAD_SETUPS_SECONDS:.0f} s were bad")
