"""Who may connect, how often, and whose handshake is next (SPEC 9.2).

A handshake costs a stranger less than it costs us. So it begins only when the stranger has said
something, and so many begin in a second, however many wait: what is left of the loop belongs to
the circuits that are open. Who waits is served by how quiet his place was, so that a place that
floods stands behind everybody else.
"""

import ipaddress
from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Final

import trio

from peerstream.node.protocol.circuit.token_bucket import TokenBucket

PACES_MAX: Final = 4_096  # places remembered before those at rest are forgotten
BLAME: Final = 16.0  # further connections that one which came to nothing is counted as
_SLEEP_MIN_S: Final = 0.001  # a rounding error of a token is waited for too


@dataclass(frozen=True, slots=True)
class AcceptLimits:
    """How many connections are held, in all and from one place (an IPv4 address or an IPv6 /64).

    A connection is pending until Noise and the muxer are agreed; that is where a stranger costs
    memory without having shown a key, so those are few and short. How often one place connects is
    limited too: each handshake costs its milliseconds, and three bad SETUPs come after each.
    """

    connections: int = 2_000  # 46 KB each: 92 MB at worst
    per_place: int = 128  # clients behind one NAT
    pending: int = 256
    pending_per_place: int = 32
    upgrade_timeout_s: float = 3.0
    per_place_second: float = 16.0
    per_place_burst: float = 128.0  # all clients behind one NAT come back at once
    handshakes_second: float = 48.0  # 3.4 ms each with its bad SETUPs: a sixth of a core
    handshakes_burst: float = 128.0
    turn_timeout_s: float = 2.0  # a dialler gives up after 5


@lru_cache(maxsize=PACES_MAX)
def place(host: str) -> str:
    """Return what counts as one stranger: an IPv4 address, or the /64 of one IPv6 customer."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


@dataclass(order=True, slots=True)
class _Waiting:
    """One who waits for his turn: the smallest is next."""

    rank: float
    number: int
    is_next: trio.Event = field(compare=False, default_factory=trio.Event)


class Turns:
    """`rate` turns a second, `burst` at once, in the order of ranks; nobody waits too long."""

    def __init__(
        self, rate: float, burst: float, patience_s: float, now: Callable[[], float]
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._patience_s = patience_s
        self._now = now
        self._bucket: TokenBucket | None = None  # made at the first turn: before, no clock runs
        self._queue: list[_Waiting] = []
        self._numbers = count()

    async def take(self, rank: float) -> bool:
        """Wait for one's turn; the highest rank is served first. False when it did not come."""
        waiting = _Waiting(-rank, next(self._numbers))
        insort(self._queue, waiting)
        try:
            with trio.move_on_after(self._patience_s):
                await self._served(waiting)
                return True
            return False
        finally:
            self._queue.remove(waiting)
            if self._queue:
                self._queue[0].is_next.set()

    async def _served(self, waiting: _Waiting) -> None:
        if self._bucket is None:
            self._bucket = TokenBucket(self._rate, self._burst, self._now())
        while True:
            if self._queue[0] is not waiting:
                waiting.is_next = trio.Event()
                await waiting.is_next.wait()
            elif self._bucket.take(self._now()):
                return
            else:
                await trio.sleep(max(_SLEEP_MIN_S, self._bucket.wait(self._now())))


class Gate:
    """Counts connections per place and says no in time."""

    def __init__(self, limits: AcceptLimits, now: Callable[[], float] = trio.current_time) -> None:
        self.limits = limits
        self._now = now
        self._open: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._paces: dict[str, TokenBucket] = {}
        self._turns = Turns(
            limits.handshakes_second, limits.handshakes_burst, limits.turn_timeout_s, now
        )

    @property
    def open(self) -> int:
        """Inbound connections that are held now, pending ones included."""
        return self._open.total()

    @property
    def pending(self) -> int:
        """Inbound connections whose handshakes are not finished."""
        return self._pending.total()

    def admits(self, where: str) -> bool:
        """Whether one more connection from this place fits; counts the attempt if it does."""
        limits = self.limits
        fits = (
            self._open[where] < limits.per_place
            and self._pending[where] < limits.pending_per_place
            and self.pending < limits.pending
            and self.open < limits.connections
        )
        return fits and self._pace(where).take(self._now())

    async def turn(self, where: str) -> bool:
        """Wait until a handshake with this place may begin; False when it may not."""
        return await self._turns.take(self._pace(where).tokens(self._now()))

    def blame(self, where: str) -> None:
        """Count a connection that came to nothing, by the other side's fault, as several."""
        self._pace(where).owe(BLAME, self._now())

    def _pace(self, where: str) -> TokenBucket:
        limits, now = self.limits, self._now()
        if len(self._paces) >= PACES_MAX:
            full = limits.per_place_burst
            self._paces = {p: pace for p, pace in self._paces.items() if pace.tokens(now) < full}
        if where not in self._paces:
            self._paces[where] = TokenBucket(limits.per_place_second, limits.per_place_burst, now)
        return self._paces[where]

    def enter(self, where: str) -> None:
        """Count a connection that was accepted."""
        self._open[where] += 1
        self._pending[where] += 1

    def upgraded(self, where: str) -> None:
        """Note that its handshakes are over, well or badly."""
        self._decrease(self._pending, where)

    def leave(self, where: str) -> None:
        """Note that it is closed."""
        self._decrease(self._open, where)

    @staticmethod
    def _decrease(counter: Counter[str], where: str) -> None:
        counter[where] -= 1
        if not counter[where]:
            del counter[where]
