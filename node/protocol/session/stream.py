"""The two halves of a stream: bytes until acknowledged, bytes put in order (SPEC 5.7).

Both work on whole pieces: the sender keeps references to the caller's bytes, the receiver slices of
opened cells. Nothing is done per byte.
"""

from bisect import insort
from collections import deque
from heapq import heappop, heappush

from peerstream.node.protocol.session.errors import FinalOffsetError, FlowError

SMALL_PIECE = 2_048  # smaller ones are joined or copied, so that none pins a cell or costs a node
FRAGMENTS_MAX = 8_192  # out-of-order pieces: a window of the smallest cells
FRAGMENTS_ALL_MAX = 32_768  # of all streams: each costs some 400 bytes, however short it is


class SendHalf:
    """Bytes on their way: unsent, sent, acknowledged. Offsets count from 0 and never go back."""

    __slots__ = ("_acknowledged", "_base", "_chunks", "_fin_acknowledged", "_fin_sent", "_lost",
                 "_popped", "_sending", "blocked", "ended", "limit", "next_offset", "reset",
                 "total")  # fmt: skip

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.total = 0
        self.next_offset = 0
        self.ended = False
        self.reset = False
        self.blocked = False  # the application had more than the buffer took
        self._base = 0
        self._chunks: deque[tuple[int, memoryview]] = deque()
        self._popped = 0  # chunks dropped so far; with it `_sending` stays valid
        self._sending = 0
        self._acknowledged: list[tuple[int, int]] = []
        self._lost: deque[tuple[int, int, bool]] = deque()
        self._fin_sent = False
        self._fin_acknowledged = False

    @property
    def buffered(self) -> int:
        """Bytes held: not sent, or sent and not acknowledged."""
        return self.total - self._base

    @property
    def unsent(self) -> int:
        """Bytes that did not go out yet."""
        return self.total - self.next_offset

    @property
    def finished(self) -> bool:
        """Whether nothing of this half can ever be sent again."""
        return self.reset or (self._fin_acknowledged and self._base == self.total)

    @property
    def sendable(self) -> bool:
        """Whether `next_range` has something to send now."""
        if self.reset:
            return False
        if self._lost or self.next_offset < min(self.total, self.limit):
            return True
        return self.ended and not self._fin_sent and self.next_offset == self.total

    def append(self, data: memoryview) -> None:
        """Take bytes over; the caller must not change them afterwards."""
        size = len(data)
        last = self._chunks[-1] if self._chunks else None
        if size < SMALL_PIECE and last is not None and len(last[1]) < SMALL_PIECE:
            self._chunks[-1] = (last[0], memoryview(b"".join((last[1], data))))
        else:
            self._chunks.append((self.total, data))
        self.total += size

    def begin_at(self, offset: int) -> None:
        """Begin behind bytes that the handshake carried and that arrived."""
        self.total = self.next_offset = self._base = offset

    def end(self) -> None:
        """No more bytes: the stream ends at `total`."""
        self.ended = True

    def next_range(self, capacity: int) -> tuple[int, int, bool] | None:
        """Return the range to send next, lost ones first, of at most ``capacity`` bytes."""
        if self.reset:
            return None  # it may still wait for its turn
        while self._lost:
            start, end, fin = self._lost.popleft()
            start = max(start, self._base)
            if end - start > capacity:
                self._lost.appendleft((start + capacity, end, fin))
                return start, start + capacity, False
            if not self._covered(start, end) or (fin and not self._fin_acknowledged):
                return start, max(start, end), fin
        return self._fresh_range(capacity)

    def _fresh_range(self, capacity: int) -> tuple[int, int, bool] | None:
        start = self.next_offset
        end = min(self.total, self.limit, start + capacity)
        fin = self.ended and end == self.total and not self._fin_sent
        if end <= start and not fin:
            return None
        self.next_offset = max(start, end)
        self._fin_sent = self._fin_sent or fin
        return start, self.next_offset, fin

    def copy_into(self, buffer: memoryview, position: int, start: int, end: int) -> None:
        """Write the bytes of a range at a position of a cell buffer."""
        index = self._index(start)
        while start < end:
            first, chunk = self._chunks[index]
            skip = start - first
            size = min(end - start, len(chunk) - skip)
            buffer[position : position + size] = chunk[skip : skip + size]
            position += size
            start += size
            index += 1

    def _index(self, offset: int) -> int:
        """Return the chunk that holds an offset: nearly always the last one used or the next."""
        chunks = self._chunks
        index = max(0, self._sending - self._popped)
        if index >= len(chunks) or chunks[index][0] > offset:
            index = 0
        while index < len(chunks) and chunks[index][0] + len(chunks[index][1]) <= offset:
            index += 1
        self._sending = self._popped + index
        return index

    def acknowledge(self, start: int, end: int, *, fin: bool) -> None:
        """Note that a range arrived; what lies below the first gap is let go."""
        self._fin_acknowledged = self._fin_acknowledged or fin
        if start > self._base:
            insort(self._acknowledged, (start, end))
            return
        if end <= self._base:
            return
        self._base = end
        while self._acknowledged and self._acknowledged[0][0] <= self._base:
            self._base = max(self._base, self._acknowledged.pop(0)[1])
        chunks = self._chunks
        while chunks and chunks[0][0] + len(chunks[0][1]) <= self._base:
            chunks.popleft()
            self._popped += 1

    def lose(self, start: int, end: int, *, fin: bool) -> None:
        """Queue a range to be sent again, on another path."""
        if self.reset:
            return
        if not self._covered(start, end) or (fin and not self._fin_acknowledged):
            self._lost.append((start, end, fin))

    def _covered(self, start: int, end: int) -> bool:
        return end <= self._base or any(a <= start and end <= b for a, b in self._acknowledged)

    def abandon(self) -> None:
        """Let go of everything: the stream was reset."""
        self.reset = True
        self._chunks.clear()
        self._lost.clear()
        self._acknowledged.clear()
        self._base = self.total


class FragmentCount:
    """How many out-of-order pieces the streams of a session hold together."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0


class ReceiveHalf:
    """Bytes that came, put in order; duplicates vanish here."""

    __slots__ = ("_all", "_fragments", "_held", "_offsets", "_ready", "consumed", "final",
                 "granted", "highest", "next_offset", "reset", "signalled",
                 "window")  # fmt: skip

    def __init__(self, window: int, all_fragments: FragmentCount | None = None) -> None:
        self._all = all_fragments if all_fragments is not None else FragmentCount()
        self.window = window
        self.granted = window
        self.consumed = 0
        self.next_offset = 0
        self.highest = 0
        self.final: int | None = None
        self.reset = False
        self.signalled = False  # the application was told and has not yet taken everything
        self._ready: deque[memoryview] = deque()
        self._fragments: dict[int, memoryview] = {}
        self._offsets: list[int] = []
        self._held = 0

    @property
    def available(self) -> int:
        """Bytes that `take` can give now."""
        return self.next_offset - self.consumed

    @property
    def ended(self) -> bool:
        """Whether the last byte before an authentic FIN was taken."""
        return self.final is not None and self.consumed == self.final

    @property
    def complete(self) -> bool:
        """Whether every byte before an authentic FIN came."""
        return self.next_offset == self.final and not self.reset

    @property
    def finished(self) -> bool:
        """Whether nothing more can come."""
        return self.reset or self.next_offset == self.final

    def insert(self, offset: int, data: memoryview, *, fin: bool) -> None:
        """Take in a DATA frame; raises FlowError, FinalOffsetError."""
        end = offset + len(data)
        if end > self.granted:
            raise FlowError(f"byte {end} where credit ends at {self.granted}")
        self._check_final(end, fin=fin)
        self.highest = max(self.highest, end)
        if self.reset or end <= self.next_offset:
            return
        if len(data) < SMALL_PIECE:
            data = memoryview(bytes(data))
        if offset > self.next_offset:
            self._keep(offset, data)
            return
        self._ready.append(data[self.next_offset - offset :])
        self.next_offset = end
        if self._offsets:
            self._absorb()

    def _check_final(self, end: int, *, fin: bool) -> None:
        if fin:
            if self.final not in (None, end) or end < self.highest:
                raise FinalOffsetError(f"the end moved to {end}")
            self.final = end
        elif self.final is not None and end > self.final:
            raise FinalOffsetError(f"byte {end} behind the end {self.final}")

    def _keep(self, offset: int, data: memoryview) -> None:
        known = self._fragments.get(offset)
        if known is not None and len(known) >= len(data):
            return
        if known is None:
            heappush(self._offsets, offset)
            self._all.held += 1
        else:
            self._held -= len(known)
        self._fragments[offset] = data
        self._held += len(data)
        if self._held > 2 * self.window or len(self._fragments) > FRAGMENTS_MAX:
            raise FlowError("too many fragments out of order")
        if self._all.held > FRAGMENTS_ALL_MAX:
            raise FlowError("too many fragments out of order on all streams")

    def _absorb(self) -> None:
        while self._offsets and self._offsets[0] <= self.next_offset:
            offset = heappop(self._offsets)
            data = self._fragments.pop(offset)
            self._all.held -= 1
            self._held -= len(data)
            if offset + len(data) > self.next_offset:
                self._ready.append(data[self.next_offset - offset :])
                self.next_offset = offset + len(data)

    def take(self, limit: int) -> list[memoryview]:
        """At most ``limit`` bytes in order, as the pieces they came in."""
        pieces: list[memoryview] = []
        while self._ready and limit > 0:
            piece = self._ready.popleft()
            if len(piece) > limit:
                self._ready.appendleft(piece[limit:])
                piece = piece[:limit]
            pieces.append(piece)
            self.consumed += len(piece)
            limit -= len(piece)
        return pieces

    @property
    def grant_due(self) -> bool:
        """Whether half of the window was consumed, and the sender may have more to send."""
        if self.final is not None or self.reset:
            return False
        return self.granted - self.consumed <= self.window // 2

    def grant(self) -> int:
        """Return the new limit to tell the sender."""
        self.granted = self.consumed + self.window
        return self.granted

    def check_reset(self, final: int) -> None:
        """Raise FinalOffsetError if the peer cannot have given its half up at ``final``."""
        if final < self.highest or self.final not in (None, final):
            raise FinalOffsetError(f"reset at {final}")

    def abandon(self) -> None:
        """Let go of everything."""
        self.reset = True
        self.consumed = self.next_offset
        self._ready.clear()
        self._all.held -= len(self._fragments)
        self._fragments.clear()
        self._offsets.clear()
        self._held = 0
