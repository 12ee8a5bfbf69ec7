"""One side of one link: bytes in, circuits served, bytes out (SPEC 4.1 to 4.5).

Theory. The driver hands in what came from the neighbour (`receive_data`) and fetches what goes out
(`data_to_send`); both do all their work at once, by direct calls. A cell goes from the parser to
its circuit's `cell_received`, through the layer and into another link's queue without a task or a
lock in between: that path is what limits a relay, so it is written for speed and nothing else here
is.
"""

from collections import Counter
from typing import TYPE_CHECKING, Final

from peerstream.node.protocol.circuit.errors import (
    CellSizeError,
    CircuitBreachError,
    CircuitIdError,
    CreditExceededError,
    HelloMissingError,
    HelloRepeatedError,
    LinkFullError,
    LinkStuckError,
    NeighbourSilentError,
    UnexpectedReplyError,
    UnexpectedSetupError,
    UnknownCircuitError,
)
from peerstream.node.protocol.circuit.leg import CircuitHandler, Leg
from peerstream.node.protocol.circuit.limits import LinkLimits, SetupAdmission
from peerstream.node.protocol.circuit.liveness import Liveness
from peerstream.node.protocol.circuit.output import LinkOutput
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.tail import FrameTail
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.wire.frames import (
    DIALER_CIRCUITS,
    HEADER,
    FrameType,
    Hello,
    PaddingRate,
    check_header,
    decode_credit,
    decode_destroy,
    encode_credit,
    encode_destroy,
    encode_frame,
)
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.version import LINK_VERSIONS, negotiate

if TYPE_CHECKING:
    from collections.abc import Callable

    from peerstream.node.protocol.circuit.constant import ConstantRate

_CELL: Final = int(FrameType.CELL)
CELL_LEAST: Final = 1_024  # bytes at once: the smallest cell
_EXPECT_ANSWER: Final = frozenset({FrameType.HELLO, FrameType.SETUP, FrameType.PING})
_unpack: Final = HEADER.unpack_from


def _ignore(_link: "Link") -> None:
    """Stand in until the driver sets `on_output`."""


class Link:
    """Our side of the link to one neighbour.

    `peer` is the neighbour's relay id when it proved to be a relay, else None; `spare_setups` what
    a client shares with others. The driver sets `on_output` (called once when output appears, until
    `data_to_send` emptied it), ticks, and closes the connection when `receive_data` raises or
    `failure` is set. `watched`: a silent neighbour is asked whether it lives also while circuits
    rest. `rested_at`: since when no circuit is open. `constant`: the rate at which it sends, if
    that is constant. `credit_scale` multiplies the initial windows, for long round trips. HELLO
    waits to be sent from the start.
    """

    def __init__(
        self,
        *,
        dialer: bool,
        peer: bytes | None,
        limits: LinkLimits,
        now: float,
        pool: BufferPool | None = None,
        spare_setups: TokenBucket | None = None,
    ) -> None:
        self.peer = peer
        self.dialer = dialer
        self.now = self.rested_at = now
        self.pool = pool if pool is not None else BufferPool()
        self.on_output: Callable[[Link], None] = _ignore
        self.on_setup: Callable[[Link, int, bytes], None] | None = None
        self.watched = False
        self.credit_scale = 1.0
        self.batches_sent = self.bytes_sent = 0
        self.constant: ConstantRate | None = None
        self.version: int | None = None
        self.peer_padding: PaddingRate | None = None
        self.breaches: Counter[str] = Counter()
        self.failure: RemoteProtocolError | None = None
        self.closed = False
        self._limits = limits
        self._admission = SetupAdmission(limits, now, spare_setups)
        self._liveness = Liveness(now)
        self._output = LinkOutput(self.pool)
        self._legs: dict[int, Leg] = {}
        self._receivers: dict[int, Leg] = {}  # _legs once HELLO came, nobody before
        self._tail = FrameTail()
        self._own_half = DIALER_CIRCUITS if dialer else 0
        self._next_id = self._own_half + 1
        self._last_peer_id = self._own_half ^ DIALER_CIRCUITS
        self._peer_circuits = 0
        self._peer_circuits_max = limits.circuits_max
        # An answer is due; output was told of; cells came since the last PONG.
        self._unheard = self._announced = self._used = False
        hello = Hello(LINK_VERSIONS, 0, 0, 0, limits.circuits_max)
        self.send(0, FrameType.HELLO, hello.encode())

    def __repr__(self) -> str:
        return f"<Link dialer={self.dialer} circuits={len(self._legs)} closed={self.closed}>"

    # What the driver calls

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Take bytes from the neighbour, cut anywhere, and do all that they ask for.

        Raises the RemoteProtocolError by which the neighbour broke the link; it is closed then
        and its circuits are gone. What breaks one circuit only destroys that circuit and is
        counted in `breaches`.
        """
        if self.closed:
            return
        self.now = now
        self._liveness.heard(now)
        self._unheard = False
        if len(data) >= CELL_LEAST:
            self._used = True
        try:
            view = memoryview(data)
            position = 0
            if len(self._tail):
                frame, position = self._tail.complete(view)
                if frame is not None:
                    self._consume(memoryview(frame), 0)
            position = self._consume(view, position)
            if position < len(view):
                self._tail.keep(view[position:])
        except RemoteProtocolError as error:
            self._fail(error)
            raise

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        """Take up to `budget` bytes of frames, control frames first.

        The buffers are valid until the next call: join them and call again, until the list is
        empty or the socket is full. One frame may exceed the budget when it is the only one. At a
        constant rate there is something at each step, and nothing in between.
        """
        constant = self.constant
        parts = self.take_frames(budget) if constant is None else constant.take(budget)
        self._announced = self.has_output
        self.batches_sent += bool(parts)
        self.bytes_sent += sum(map(len, parts))
        return parts

    def take_frames(self, budget: int) -> list[bytes | memoryview]:
        """Take whole frames, past any constant rate."""
        parts = self._output.take(budget, self.now)
        # A memoryview is a cell, and cells bring CREDIT or an answer sooner or later.
        if parts and isinstance(parts[-1], memoryview):
            self._unheard = True
        return parts

    @property
    def has_output(self) -> bool:
        """Whether `data_to_send` may have something."""
        return self._output.has_output if self.constant is None else self.constant.has_output

    @property
    def round_trip(self) -> float | None:
        """Shortest PING round trip so far in seconds, None before the first."""
        return self._liveness.round_trip

    @property
    def heard_at(self) -> float:
        """When something came from the neighbour last."""
        return self._liveness.heard_at

    @property
    def circuits(self) -> int:
        """How many circuits are open on this link."""
        return len(self._legs)

    def tick(self, now: float) -> None:
        """Send a PING if one is due; sets `failure` and closes when the neighbour is gone.

        Call about four times a second.
        """
        if self.closed:
            return
        self.now = now
        if self._output.stuck:
            self._fail(LinkStuckError(f"{self._output.control_bytes} bytes are not read"))
        elif self.version is not None:
            outstanding = self._unheard or any(leg.waiting for leg in self._legs.values())
            relayed = self.on_setup is not None and self.peer is not None and bool(self._legs)
            watched = self.watched or relayed  # not a client: only padding may break its silence
            outstanding = outstanding or (watched and self._used)
            if self._liveness.ping_due(now, outstanding=outstanding, watched=watched):
                self.send(0, FrameType.PING, self._liveness.ping(now))
            elif self._liveness.dead:
                self._fail(NeighbourSilentError("PINGs are not answered"))

    def close(self) -> None:
        """End the link and, with CLOSED, each of its circuits. Harmless when called again."""
        if self.closed:
            return
        self.closed = True
        legs = list(self._legs.values())
        self._legs.clear()
        for leg in legs:
            leg.detach()
        self._output.clear()
        for leg in legs:
            leg.handler.leg_closed(leg, Status.CLOSED)

    # What circuits call

    @property
    def can_open(self) -> bool:
        """Whether one more circuit of ours may be opened here now."""
        ours = len(self._legs) - self._peer_circuits
        return not self.closed and ours < self._peer_circuits_max and self._output.has_room

    def open_circuit_id(self) -> int:
        """Return the id of a new circuit of ours; LinkFullError when `can_open` is false."""
        if not self.can_open:
            raise LinkFullError(f"{self!r}")
        circuit_id = self._next_id
        self._next_id += 1
        return circuit_id

    def register(
        self, circuit_id: int, handler: CircuitHandler, *, cell_class: int, real_time: bool
    ) -> Leg:
        """Make the leg of a circuit whose id is from `open_circuit_id` or `on_setup`."""
        bucket = None
        if real_time:
            limits = self._limits
            bucket = TokenBucket(
                limits.real_time_bytes_per_second, limits.real_time_burst, self.now
            )
        leg = Leg(self, circuit_id, handler, cell_class=cell_class, bucket=bucket)
        self._legs[circuit_id] = leg
        if not self._is_own(circuit_id):
            self._peer_circuits += 1
        return leg

    def unregister(self, leg: Leg) -> None:
        """Forget a leg without telling the neighbour; what comes late for it is dropped."""
        if leg.closed:
            return
        del self._legs[leg.circuit_id]
        if not self._legs:
            self.rested_at = self.now
        if not self._is_own(leg.circuit_id):
            self._peer_circuits -= 1
        leg.detach()

    def destroy(self, leg: Leg, reason: Status) -> None:
        """Forget a leg and tell the neighbour."""
        if not leg.closed:
            self.unregister(leg)
            self.send_destroy(leg.circuit_id, reason)

    def reject_setup(self, circuit_id: int) -> None:
        """Refuse a SETUP that did not open; BadSetupsError when a client sent too many such.

        The answer is the same for every cause, so it tells nobody which it was.
        """
        self.send_destroy(circuit_id, Status.CLOSED)
        self._admission.bad_setup(self.now)

    def send(self, circuit_id: int, frame_type: FrameType, body: bytes) -> None:
        """Queue a frame ahead of all cells; nothing happens on a closed link."""
        if self.closed:
            return
        self._output.add_frame(encode_frame(circuit_id, frame_type, body))
        if frame_type in _EXPECT_ANSWER:
            self._unheard = True
        if not self._announced:
            self._announce()

    def send_credit(self, circuit_id: int, total: int) -> None:
        """Tell how many cells were granted since the circuit began."""
        self.send(circuit_id, FrameType.CREDIT, encode_credit(total))

    def send_destroy(self, circuit_id: int, reason: Status) -> None:
        """End a circuit by its id alone."""
        self.send(circuit_id, FrameType.DESTROY, encode_destroy(reason))

    def leg_ready(self, leg: Leg, *, fresh: bool) -> None:
        """Put a leg with cells and credit in line."""
        self._output.add_leg(leg, self.now, fresh=fresh)
        if not self._announced:
            self._announce()

    # Inside

    def _announce(self) -> None:
        self._announced = True
        self.on_output(self)

    def _consume(self, view: memoryview, position: int) -> int:
        """Handle every whole frame from `position` on; return where the unfinished one begins."""
        end = len(view)
        receivers = self._receivers
        while end - position >= LINK_HEADER_SIZE:
            circuit_id, kind, flags, length = _unpack(view, position)
            start = position + LINK_HEADER_SIZE
            stop = start + length
            leg = receivers.get(circuit_id) if kind == _CELL else None
            if leg is not None and length == leg.cell_size and not flags:
                if stop > end:
                    break
                leg.received += 1
                if leg.received <= leg.granted:
                    leg.deliver(view[start:stop])
                else:
                    self._break_circuit(leg, CreditExceededError(f"{leg.granted} were granted"))
            else:
                frame_type = check_header(circuit_id, kind, flags, length)
                if stop > end:
                    break
                self._frame_received(circuit_id, frame_type, view[start:stop])
                receivers = self._receivers
            position = stop
        return position

    def _frame_received(self, circuit_id: int, frame_type: FrameType, body: memoryview) -> None:
        if self.closed:
            return
        if self.version is None:
            self._hello_received(frame_type, body)
        elif frame_type is FrameType.SETUP:
            self._setup_received(circuit_id, bytes(body))
        elif circuit_id:
            self._circuit_frame_received(circuit_id, frame_type, bytes(body))
        else:
            self._link_frame_received(frame_type, bytes(body))

    def _hello_received(self, frame_type: FrameType, body: memoryview) -> None:
        if frame_type is not FrameType.HELLO:
            raise HelloMissingError(f"the first frame is a {frame_type.name}")
        hello = Hello.decode(body)
        self.version = negotiate(LINK_VERSIONS, hello.versions)
        self._peer_circuits_max = hello.max_circuits
        self._receivers = self._legs

    def _link_frame_received(self, frame_type: FrameType, body: bytes) -> None:
        if frame_type is FrameType.PING:
            self.send(0, FrameType.PONG, body)
        elif frame_type is FrameType.PONG:
            self._liveness.pong(body, self.now)
            self._used = False
        elif frame_type is FrameType.PADNEG:
            self.peer_padding = PaddingRate.decode(body)
        elif frame_type is FrameType.HELLO:
            raise HelloRepeatedError("HELLO comes once")

    def _setup_received(self, circuit_id: int, frame: bytes) -> None:
        if self.on_setup is None:
            raise UnexpectedSetupError("we relay nothing")
        if self._is_own(circuit_id) or circuit_id <= self._last_peer_id:
            raise CircuitIdError(f"{circuit_id:#x} after {self._last_peer_id:#x}")
        self._last_peer_id = circuit_id
        if self._admission.admits(self.now, self._peer_circuits):
            self.on_setup(self, circuit_id, frame)
        else:
            self.send_destroy(circuit_id, Status.LIMIT)

    def _circuit_frame_received(self, circuit_id: int, frame_type: FrameType, body: bytes) -> None:
        leg = self._legs.get(circuit_id)
        if frame_type is FrameType.REPLY and not self._is_own(circuit_id):
            raise UnexpectedReplyError(f"circuit {circuit_id:#x} is yours")
        if leg is None:
            self._require_known(circuit_id)  # and drop it: we closed that circuit meanwhile
        elif frame_type is FrameType.CREDIT:
            leg.credit_received(decode_credit(body))
        elif frame_type is FrameType.REPLY:
            leg.handler.reply_received(body)
        elif frame_type is FrameType.DESTROY:
            reason = decode_destroy(body)
            self.unregister(leg)
            leg.handler.leg_closed(leg, reason)
        else:
            self._break_circuit(leg, CellSizeError(f"{len(body)} bytes, not {leg.cell_size}"))

    def _require_known(self, circuit_id: int) -> None:
        opened = self._next_id - 1 if self._is_own(circuit_id) else self._last_peer_id
        if circuit_id > opened:
            raise UnknownCircuitError(f"circuit {circuit_id:#x} was never opened")

    def _break_circuit(self, leg: Leg, error: CircuitBreachError) -> None:
        self.count(error)
        self.destroy(leg, error.status)
        leg.handler.leg_closed(leg, error.status)

    def _is_own(self, circuit_id: int) -> bool:
        return circuit_id & DIALER_CIRCUITS == self._own_half

    def count(self, error: RemoteProtocolError) -> None:
        """Count what others did wrong, by cause."""
        self.breaches[type(error).__name__] += 1

    def _fail(self, error: RemoteProtocolError) -> None:
        self.count(error)
        self.failure = error
        self.close()
