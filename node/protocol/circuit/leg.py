"""One circuit on one link: its queue and its credits (SPEC 4.3)."""

from typing import TYPE_CHECKING, Protocol

from peerstream.node.protocol.wire.frames import HEADER, FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES, LINK_HEADER_SIZE
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from peerstream.node.protocol.circuit.link import Link
    from peerstream.node.protocol.circuit.token_bucket import TokenBucket

INITIAL_CREDITS = (64, 64, 32, 16)  # cells by class: 64 KiB, 256 KiB, 512 KiB, 1 MiB
REAL_TIME_CREDIT = 128 * 1_024  # bytes: more would only be played too late
CREDIT_MAX = 0xFFFF_FFFF  # a day at 49 000 cells a second; circuits live a day
OWN_CELLS_MAX = 128  # answers a hop may owe one circuit before it is destroyed


def initial_credit(cell_class: int, *, real_time: bool) -> int:
    """Cells that either side may send before the first CREDIT."""
    credit = INITIAL_CREDITS[cell_class]
    if not real_time:
        return credit
    return min(credit, max(2, REAL_TIME_CREDIT // CELL_SIZES[cell_class]))


class CircuitHandler(Protocol):
    """What a leg belongs to: a relay's circuit or the owner's."""

    def cell_received(self, cell: memoryview) -> None:
        """Take one cell of exactly the circuit's size, valid during the call only."""

    def reply_received(self, frame: bytes) -> None:
        """Take the REPLY to the SETUP sent on this leg."""

    def leg_closed(self, leg: "Leg", reason: Status) -> None:
        """Learn that the leg is gone: by the neighbour, by a breach, or with its link."""

    def room_available(self, leg: "Leg") -> None:
        """Learn that cells fit again after `Leg.room` was 0."""


class Leg:
    """Both directions of one circuit on one link.

    Outgoing: cells wait in `waiting` until the scheduler takes them and `allowed` (cells granted
    by the neighbour since the circuit began) exceeds `sent`. Incoming: the neighbour may send
    until `received` reaches `granted`; a cell counts as gone (`gone`) when it left this node or was
    consumed, and a new grant goes out when half a window has gone. So a circuit never holds
    more cells here than its window, however slow its reader is.
    """

    __slots__ = (
        "_base",
        "_header",
        "_own",
        "allowed",
        "bucket",
        "cell_size",
        "circuit_id",
        "closed",
        "deficit",
        "deliver",
        "frame_size",
        "gone",
        "grant_at",
        "granted",
        "handler",
        "link",
        "queued",
        "received",
        "sent",
        "source",
        "starved",
        "urgent",
        "waiting",
    )

    def __init__(
        self,
        link: "Link",
        circuit_id: int,
        handler: CircuitHandler,
        *,
        cell_class: int,
        bucket: "TokenBucket | None",
    ) -> None:
        self.link = link
        self.circuit_id = circuit_id
        self.handler = handler
        self.deliver: Callable[[memoryview], None] = handler.cell_received
        self.cell_size = CELL_SIZES[cell_class]
        self.frame_size = self.cell_size + LINK_HEADER_SIZE
        self.closed = False
        self.bucket = bucket  # real-time circuits have one
        self._header = HEADER.pack(circuit_id, FrameType.CELL, 0, self.cell_size)
        self._base = initial_credit(cell_class, real_time=bucket is not None)
        # Lists, not deques: an empty deque takes 760 bytes, a hundred times what is ever in most of
        # them, and to move a window of pointers costs less than a call.
        self.waiting: list[memoryview] = []
        self._own: list[int] = []
        self.allowed = self._base
        self.sent = 0
        self.starved = False
        self.source: Leg | None = None  # where the cells that wait here came from
        self.granted = self._base
        self.received = 0
        self.gone = 0
        self._schedule_grant()
        self.queued = False
        self.urgent = False
        self.deficit = 0

    @property
    def window(self) -> int:
        """Cells of this circuit that we are ready to hold."""
        return int(self._base * self.link.credit_scale)

    def room(self) -> int:
        """How many more cells the owner may push now without waiting behind a full window."""
        room = self.allowed - self.sent - len(self.waiting)
        if room > 0:
            return room
        self.starved = True
        return 0

    def push(self, buffer: memoryview) -> None:
        """Queue one cell buffer; it belongs to the link from now on."""
        buffer[:LINK_HEADER_SIZE] = self._header
        self.waiting.append(buffer)
        if not self.queued and self.sent < self.allowed:
            self.link.leg_ready(self, fresh=True)

    def push_own(self, buffer: memoryview) -> bool:
        """Queue a cell that this node made itself; False when too many wait already.

        Such cells come from no other leg, so sending them grants nobody anything; their number is
        bounded here instead.
        """
        if len(self._own) >= OWN_CELLS_MAX:
            return False
        self._own.append(self.sent + len(self.waiting))
        self.push(buffer)
        return True

    @property
    def own_room(self) -> int:
        """How many cells `push_own` takes now."""
        return OWN_CELLS_MAX - len(self._own)

    def disown_source(self) -> None:
        """Forget where the waiting cells came from: that circuit is gone."""
        self._own = list(range(self.sent, self.sent + len(self.waiting)))
        self.source = None

    def take(self) -> memoryview:
        """Hand the next waiting cell to the link; its place at the source becomes free."""
        buffer = self.waiting.pop(0)
        position = self.sent
        self.sent = position + 1
        own = self._own
        if own and own[0] == position:
            del own[0]
        elif self.source is not None:
            self.source.release()
        return buffer

    def release(self) -> None:
        """One cell received here is gone: sent on, consumed or dropped."""
        self.gone += 1
        if self.gone >= self.grant_at:
            self._grant()

    def _grant(self) -> None:
        total = min(self.gone + self.window, CREDIT_MAX)
        if total > self.granted and not self.closed:
            self.granted = total
            self.link.send_credit(self.circuit_id, total)
        self._schedule_grant()

    def _schedule_grant(self) -> None:
        self.grant_at = max(self.gone + 1, self.granted - self.window // 2)

    def credit_received(self, total: int) -> None:
        """Take a CREDIT: a count since the beginning, so the same one twice changes nothing."""
        if total <= self.allowed:
            return
        self.allowed = total
        if self.waiting and not self.queued:
            self.link.leg_ready(self, fresh=False)
        if self.starved:
            self.starved = False
            self.handler.room_available(self)

    def detach(self) -> None:
        """End both directions; what waits is dropped."""
        self.closed = True
        self.allowed = self.sent
        pool = self.link.pool
        for buffer in self.waiting:
            pool.give(buffer)
        self.waiting.clear()
        self._own.clear()
