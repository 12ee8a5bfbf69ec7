"""The streams of a session: numbers, limits, credits, opening and closing (SPEC 5.7)."""

from collections import deque
from collections.abc import Callable

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.errors import StreamNumberError
from peerstream.node.protocol.session.events import (
    Event,
    Readable,
    SendingStopped,
    StreamAccepted,
    StreamEnded,
    StreamOpened,
    StreamReset,
    Writable,
)
from peerstream.node.protocol.session.frames import (
    SERVICE_SIZE_MAX,
    Credit,
    Data,
    Open,
    Opened,
    Reset,
)
from peerstream.node.protocol.session.limits import SessionTerms
from peerstream.node.protocol.session.numbers import PeerNumbers
from peerstream.node.protocol.session.outbox import Outbox
from peerstream.node.protocol.session.stream import FragmentCount, ReceiveHalf, SendHalf
from peerstream.node.protocol.wire.status import Status

NUMBER_MAX = 0xFFFF_FFFF
OPENED_PATIENCE = 0.002  # seconds that OPENED waits for the service's first bytes


class Stream:
    """Both halves of one stream."""

    __slots__ = ("accepted", "credited_at", "end_told", "held", "known", "number", "queued",
                 "receive", "send", "service")  # fmt: skip

    def __init__(
        self, number: int, service: str, halves: tuple[SendHalf, ReceiveHalf], now: float
    ) -> None:
        self.number = number
        self.service = service
        self.send, self.receive = halves
        self.known = False  # OPEN was seen, or it is ours
        self.accepted = False
        self.end_told = False
        self.queued = False  # it waits in the round of those with something to send
        self.held = 0
        self.credited_at = now

    @property
    def finished(self) -> bool:
        """Whether nothing can come or go any more."""
        return self.send.finished and self.receive.finished and self.receive.available == 0


class DataRange:
    """A range of a stream that a cell carried."""

    __slots__ = ("end", "fin", "start", "stream", "streams")

    def __init__(self, streams: "Streams", stream: Stream, span: tuple[int, int, bool]) -> None:
        self.streams = streams
        self.stream = stream
        self.start, self.end, self.fin = span

    def acknowledged(self) -> None:
        """Settle the range: the cell arrived."""
        self.stream.send.acknowledge(self.start, self.end, fin=self.fin)
        self.streams.settle(self.stream)

    def lost(self) -> None:
        """Send the range again: the path with the cell died."""
        self.stream.send.lose(self.start, self.end, fin=self.fin)
        self.streams.want(self.stream)


class Streams:
    """All streams of one side; the caller's numbers are odd, the callee's even."""

    def __init__(
        self,
        terms: SessionTerms,
        outbox: Outbox,
        emit: Callable[[Event], None],
        *,
        caller: bool,
    ) -> None:
        self._limits = terms.limits
        self._outbox = outbox
        self._emit = emit
        self._table: dict[int, Stream] = {}
        self._next = 1 if caller else 2
        self._peer_parity = 0 if caller else 1
        self._peer_numbers = PeerNumbers(-self._peer_parity)
        self._peer_open = 0
        self._round: deque[Stream] = deque()
        self._fragments = FragmentCount()
        self._windows = 0
        self._held = 0
        self._peer_window = terms.peer_window
        self.now = 0.0

    def __len__(self) -> int:
        return len(self._table)

    @property
    def buffered(self) -> int:
        """Bytes held for sending, all streams together."""
        return self._held

    # what the application calls

    def open(self, service: str) -> Stream:
        """Return a new stream of ours."""
        if not 1 <= len(service.encode()) <= SERVICE_SIZE_MAX:
            raise LocalProtocolError(f"a service name is 1 to {SERVICE_SIZE_MAX} bytes")
        if self._next > NUMBER_MAX:
            raise LocalProtocolError("the session used up its stream numbers: dial a new one")
        stream = self._create(self._next, service)
        self._next += 2
        stream.known = True
        return stream

    def early(self, service: str, sent: int, received: bytes) -> int:
        """Make stream 1, whose first bytes went with the handshake both ways."""
        if self._table or self._next > 2 or self._peer_numbers.highest > 1:
            raise LocalProtocolError("the early stream is the first one")
        stream = self._create(1, service) if self._next == 1 else self._peer_stream(1)
        if stream is None:
            raise LocalProtocolError("no stream is allowed at all")
        if not self._peer_parity:
            self._next = 3
        stream.known = True
        stream.send.begin_at(sent)
        if self._peer_parity:
            self._emit(StreamOpened(1, service))
        if received:
            stream.receive.insert(0, memoryview(received), fin=False)
            self._tell_readable(stream)
        return 1

    def accept(self, number: int) -> None:
        """Tell the peer that the service takes its stream."""
        stream = self._table.get(number)
        if stream is not None and not stream.accepted:
            stream.accepted = True
            self._outbox.push(Opened(number), patience=OPENED_PATIENCE)

    def send(self, number: int, data: bytes | memoryview) -> int:
        """Take bytes over by reference; how many were taken."""
        stream = self._table.get(number)
        if stream is None or stream.send.reset:
            return self._closed(number)
        if stream.send.ended:
            raise LocalProtocolError(f"stream {number} was ended by us")
        room = min(
            self._limits.send_buffer - stream.send.buffered,
            self._limits.send_ahead - stream.send.unsent,
            self._limits.send_budget - self._held,
        )
        view = memoryview(data)[: max(0, room)]
        if len(view):
            stream.send.append(view)
            self.want(stream)
            self._count(stream)
        stream.send.blocked = len(view) < len(data)
        return len(view)

    def unacknowledged(self, number: int) -> int:
        """Return how much the peer has not acknowledged, our end counted as one byte."""
        stream = self._table.get(number)
        if stream is None or stream.send.reset:
            return 0
        return stream.send.buffered + (stream.send.ended and not stream.send.finished)

    def end(self, number: int) -> None:
        """End our half behind what was sent."""
        stream = self._table.get(number)
        if stream is None:
            self._closed(number)
            return
        stream.send.end()
        self.want(stream)

    def reset(self, number: int, code: Status) -> None:
        """Give a stream up, both halves, and tell the peer."""
        stream = self._table.get(number)
        if stream is None:
            self._closed(number)
            return
        self._outbox.push(Reset(number, stream.send.next_offset, code))
        self._drop(stream)

    def take(self, number: int, limit: int) -> list[memoryview]:
        """Received bytes as the pieces they came in, with credit for the peer."""
        stream = self._table.get(number)
        if stream is None:
            self._closed(number)
            return []
        pieces = stream.receive.take(limit)
        if not stream.receive.available:
            stream.receive.signalled = False
        self._credit(stream)
        self._tell_end(stream)
        self._retire(stream)
        return pieces

    def came_whole(self, number: int) -> bool:
        """Whether every byte of the peer's half and its end came; False once it is over."""
        stream = self._table.get(number)
        return stream is not None and stream.receive.complete

    def _closed(self, number: int) -> int:
        """Streams that were closed take and give nothing; others are a mistake of ours."""
        ours = number % 2 != self._peer_parity
        if number <= 0 or number >= self._next if ours else number > self._peer_numbers.highest:
            raise LocalProtocolError(f"stream {number} was never opened")
        return 0

    # what the peer sends

    def data_received(self, frame: Data) -> None:
        """Take in DATA; raises StreamNumberError, FlowError, FinalOffsetError."""
        stream = self._table.get(frame.stream) or self._peer_stream(frame.stream)
        if stream is None:
            return
        stream.receive.insert(frame.offset, frame.data, fin=frame.fin)
        if stream.known:
            self._tell_readable(stream)

    def open_received(self, frame: Open) -> None:
        """OPEN: may come twice, or after data that took a faster path."""
        if frame.stream % 2 != self._peer_parity:
            raise StreamNumberError(f"the peer opens stream {frame.stream} of ours")
        stream = self._table.get(frame.stream) or self._peer_stream(frame.stream)
        if stream is None or stream.known:
            return
        stream.known = True
        stream.service = frame.service
        self._emit(StreamOpened(stream.number, frame.service))
        self._tell_readable(stream)

    def opened_received(self, frame: Opened) -> None:
        """Take in OPENED."""
        stream = self._own_stream(frame.stream)
        if stream is not None and not stream.accepted:
            stream.accepted = True
            self._emit(StreamAccepted(stream.number))

    def reset_received(self, frame: Reset) -> None:
        """RESET: raises FinalOffsetError when it contradicts what came before."""
        stream = self._table.get(frame.stream) or self._peer_stream(frame.stream)
        if stream is None:
            return
        stream.receive.check_reset(frame.final)
        if stream.receive.complete and stream.known:
            stream.send.abandon()  # whoever sent all of it and its end took nothing of it back
            self._retire(stream)
            self._emit(SendingStopped(stream.number, frame.code))
            return
        self._drop(stream)
        if stream.known:
            self._emit(StreamReset(stream.number, frame.code))

    def credit_received(self, frame: Credit) -> None:
        """CREDIT: cumulative, so an old one changes nothing."""
        stream = self._table.get(frame.stream) or self._peer_stream(frame.stream)
        if stream is not None and frame.limit > stream.send.limit:
            stream.send.limit = frame.limit
            self.want(stream)

    # what the sender asks

    @property
    def sendable(self) -> bool:
        """Whether a stream has something to send within its credit."""
        while self._round:
            if self._round[0].send.sendable:
                return True
            self._round.popleft().queued = False
        return False

    def next_range(self, capacity: int) -> DataRange | None:
        """Return the next stream's turn: a range of at most ``capacity`` bytes."""
        while self._round:
            stream = self._round[0]
            span = stream.send.next_range(capacity)
            if span is None:
                self._round.popleft()
                stream.queued = False
                continue
            self._round.rotate(-1)
            return DataRange(self, stream, span)
        return None

    def want(self, stream: Stream) -> None:
        """Give the stream a turn: it may have something to send."""
        if not stream.queued:
            stream.queued = True
            self._round.append(stream)

    def settle(self, stream: Stream) -> None:
        """Something of the stream was acknowledged."""
        self._count(stream)
        half = stream.send
        if half.blocked and self._has_room(half):
            half.blocked = False
            if not half.ended and not half.reset:
                self._emit(Writable(stream.number))
        if half.finished:
            self._retire(stream)

    # inside

    def _has_room(self, half: SendHalf) -> bool:
        """Whether it is worth to ask the application for more."""
        limits = self._limits
        kept, ahead = half.buffered, half.unsent
        return kept <= limits.send_buffer // 4 * 3 and ahead <= limits.send_ahead // 2

    def _count(self, stream: Stream) -> None:
        held = stream.send.buffered
        self._held += held - stream.held
        stream.held = held

    def _create(self, number: int, service: str) -> Stream:
        halves = (
            SendHalf(self._peer_window),
            ReceiveHalf(self._limits.stream_window, self._fragments),
        )
        stream = self._table[number] = Stream(number, service, halves, self.now)
        self._windows += self._limits.stream_window
        return stream

    def _own_stream(self, number: int) -> Stream | None:
        if number % 2 == self._peer_parity or number >= self._next:
            raise StreamNumberError(f"stream {number} is not one that we opened")
        return self._table.get(number)

    def _peer_stream(self, number: int) -> Stream | None:
        """Return the peer's stream, made if it is new; None if it is closed or refused."""
        if number % 2 != self._peer_parity:
            return self._own_stream(number)
        if not self._peer_numbers.take(number):
            return None
        if self._peer_open >= self._limits.streams:
            self._outbox.push(Reset(number, 0, Status.STREAM_LIMIT))
            return None
        self._peer_open += 1
        return self._create(number, "")

    def _tell_readable(self, stream: Stream) -> None:
        half = stream.receive
        if half.available and not half.signalled:
            half.signalled = True
            self._emit(Readable(stream.number))
        elif half.final is not None:
            self._tell_end(stream)
            self._retire(stream)

    def _tell_end(self, stream: Stream) -> None:
        if stream.receive.ended and not stream.end_told:
            stream.end_told = True
            self._emit(StreamEnded(stream.number))

    def _credit(self, stream: Stream) -> None:
        half = stream.receive
        if not half.grant_due:
            return
        if self._grows(stream):
            self._windows -= half.window
            half.window = min(2 * half.window, self._limits.window_max)
            self._windows += half.window
        stream.credited_at = self.now
        self._outbox.push(Credit(stream.number, half.grant()))

    def _grows(self, stream: Stream) -> bool:
        """Whether the reader keeps up and half a window went by in little time (as in QUIC).

        Cells of a long path come in bursts: who leaves less than a burst waiting still keeps up.
        """
        window = stream.receive.window
        return (
            stream.receive.available <= window // 4
            and window < self._limits.window_max
            and self._windows + window <= self._limits.receive_budget
            and self.now - stream.credited_at < _GROW_WITHIN
        )

    def _drop(self, stream: Stream) -> None:
        stream.send.abandon()
        stream.receive.abandon()
        self._retire(stream)

    def _retire(self, stream: Stream) -> None:
        if stream.finished and self._table.pop(stream.number, None) is not None:
            self._count(stream)
            self._windows -= stream.receive.window
            if stream.number % 2 == self._peer_parity:
                self._peer_open -= 1


_GROW_WITHIN = 1.0  # half of a round trip of two seconds: links that lose packets make such
