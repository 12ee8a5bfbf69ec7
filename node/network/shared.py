"""What the connections of one process have in common: memory, budgets, the flush (SPEC 9.6)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import trio

from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import FloodError
from peerstream.node.network.poller import Poller
from peerstream.node.network.wire import Buffers

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class MuxerLimits:
    """What one connection may ask of us, and when it counts as dead."""

    inbound_streams: int = 16  # 256 KiB of window each
    outbound_streams: int = 1_024
    syn_per_second: int = 128
    ping_per_second: int = 32
    stray_per_second: int = 4_096  # frames of streams that we have just closed
    buffered: int = 67_108_864  # received and unread, over all connections
    keepalive_s: float = 15.0
    ping_timeout_s: float = 10.0
    idle_s: float = 30.0  # without a stream and without a link


class RateLimit:
    """At most so many events in each second."""

    __slots__ = ("_count", "_limit", "_second")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._second = -1
        self._count = 0

    def hit(self, now: float) -> None:
        """One event at this time in seconds.

        Raises:
            FloodError: it is one too many in this second.

        """
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        if self._count > self._limit:
            raise FloodError("too many frames of one kind in a second")


class Budget:
    """Bytes received and unread over all connections: bounds the memory strangers can take."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def take(self, size: int) -> None:
        """Buffer so many bytes.

        Raises:
            FloodError: all connections together hold too much; this one has to go.

        """
        if self.used + size > self._limit:
            raise FloodError("all receive buffers together are full")
        self.used += size

    def give(self, size: int) -> None:
        """So many bytes were read or dropped."""
        self.used -= size


class Flushable(Protocol):
    """A connection, as the batch sees it."""

    dirty: bool

    def flush(self) -> None:
        """Send what there is to send, as far as windows and the kernel allow. Never raises."""
        ...


class Batch:
    """Collects the connections that have output and flushes each once per wake-up.

    A turn is one callback from one readable socket. Whatever becomes dirty outside of a turn, by
    a task of the program, is flushed by ``run`` in the next step of the scheduler.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.hooks: list[Callable[[float], None]] = []
        self._dirty: list[Flushable] = []
        self._in_turn = False
        self._wanted = False
        self._waiting = trio.lowlevel.ParkingLot()

    def mark(self, connection: Flushable) -> None:
        """Note that a connection has output."""
        if not connection.dirty:
            connection.dirty = True
            self._dirty.append(connection)
            if not self._in_turn:
                self._waiting.unpark()

    def request(self) -> None:
        """Have the hooks called soon: at the end of this turn, else in one of their own."""
        self._wanted = True
        if not self._in_turn:
            self._waiting.unpark()

    def begin(self) -> None:
        """Begin a turn; the clock is read once for it."""
        self.now = trio.current_time()
        self._in_turn = True

    def end(self) -> None:
        """End a turn: let the roles see what came of it, then send."""
        self._wanted = False
        try:
            for hook in self.hooks:
                hook(self.now)
            self._flush()
        finally:
            self._in_turn = False
        if self._wanted:  # while we sent, a link failed and somebody has something to say to it
            self._waiting.unpark()

    def _flush(self) -> None:
        while self._dirty:
            connection = self._dirty.pop()
            connection.dirty = False
            connection.flush()

    async def run(self) -> None:
        """Flush what tasks outside of turns have made dirty, until cancelled."""
        while True:
            if not (self._dirty or self._wanted):
                await self._waiting.park()
            self.begin()
            self.end()
            await trio.lowlevel.checkpoint()


class Ticking(Protocol):
    """A connection, as the timer sees it."""

    def tick(self, now: float) -> None:
        """Check deadlines."""
        ...


@dataclass(slots=True)
class Shared:
    """One of these for each host."""

    counters: Counters
    limits: MuxerLimits = field(default_factory=MuxerLimits)
    buffers: Buffers = field(default_factory=Buffers)
    batch: Batch = field(default_factory=Batch)
    poller: Poller = field(init=False)
    budget: Budget = field(init=False)
    connections: set[Ticking] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.poller = Poller(self.batch)
        self.budget = Budget(self.limits.buffered)

    async def run(self) -> None:
        """Serve the sockets and send, until cancelled; at the end for good."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.batch.run)
                nursery.start_soon(self.poller.run)
        finally:
            self.poller.close()

    def tick(self) -> None:
        """One beat of the timer for all connections."""
        self.batch.begin()
        for connection in list(self.connections):
            connection.tick(self.batch.now)
        self.batch.end()
