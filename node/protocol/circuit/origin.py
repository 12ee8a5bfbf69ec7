"""The owner's side of one circuit (SPEC 4.6)."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from peerstream.node.protocol.circuit.errors import (
    CircuitDestroyedError,
    CircuitStateError,
    CircuitTimeoutError,
    UnexpectedCellError,
)
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.onion.setup import Hop, build_setup
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import ControlMessage, Reassembler, pack
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES, CELL_TAG_SIZE, LINK_HEADER_SIZE
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.leg import Leg
    from peerstream.node.protocol.circuit.link import Link
    from peerstream.node.protocol.onion.reply import OpenedReply, PendingCircuit

_BODY: Final = LINK_HEADER_SIZE + CELL_TAG_SIZE  # where R begins in a cell buffer
BUILD_SECONDS: Final = 10.0
KEEPALIVE_SECONDS: Final = (180.0, 480.0)  # below the 600 after which relays close


class State(Enum):
    """Where a circuit stands at its owner."""

    NEW = "new"
    BUILDING = "building"  # SETUP sent
    OPEN = "open"
    CLOSED = "closed"


class Input(Enum):
    """What can happen to it."""

    OPEN = "open"
    REPLY = "reply"
    CLOSE = "close"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.NEW, Input.OPEN): State.BUILDING,
    (State.NEW, Input.CLOSE): State.CLOSED,
    (State.BUILDING, Input.REPLY): State.OPEN,
    (State.BUILDING, Input.CLOSE): State.CLOSED,
    (State.OPEN, Input.CLOSE): State.CLOSED,
}


class CircuitOwner(Protocol):
    """Who uses a circuit; its methods are called from within the link.

    Exactly one of `opened` and `refused` comes, and after `opened` one `closed`, unless the owner
    closes first.
    """

    def opened(self, message: bytes) -> None:
        """Take the last hop's answer, at most 448 bytes; the circuit is ready."""

    def refused(self, error: RemoteProtocolError) -> None:
        """Learn why there is no circuit.

        CircuitRefusedError and BadReplyError name the hop, CircuitTimeoutError and
        CircuitDestroyedError blame the first one.
        """

    def control_received(self, hop: int, command: Command, data: bytes) -> None:
        """Take one message from hop `hop`, counted from 0."""

    def cell_received(self, cell_buffer: memoryview) -> None:
        """Take a cell of the far end: L at 8, R at 24; valid, and writable, during the call."""

    def room(self) -> None:
        """Learn that cells fit again."""

    def closed(self, reason: Status) -> None:
        """Learn that the circuit ended."""


class OriginCircuit:
    """A circuit of ours over `link`, through the hops of `path`. It is a CellPort."""

    def __init__(
        self,
        link: "Link",
        path: Sequence[Hop],
        *,
        owner: CircuitOwner,
        cell_class: int,
        real_time: bool = False,
    ) -> None:
        self.path = tuple(path)
        self.cell_class = cell_class
        self.real_time = real_time
        self.state = State.NEW
        self.binding = b""
        self._cell_size = CELL_SIZES[cell_class]
        self._link = link
        self._owner = owner
        self._leg: Leg | None = None
        self._pending: PendingCircuit | None = None
        self._forward: list[Layer] = []
        self._backward: list[Layer] = []
        self._reassemblers: list[Reassembler] = []
        self._entropy: Callable[[int], bytes] | None = None
        self._parted = False
        self._deadline = 0.0
        self._keepalive_at = 0.0

    def __repr__(self) -> str:
        return f"<OriginCircuit of {len(self.path)} hops, {self.state.value}>"

    def _advance(self, happened: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, happened]
        except KeyError as error:
            raise CircuitStateError(f"{happened.value} while {self.state.value}") from error

    # Opening

    def open(
        self,
        payload: bytes | Callable[[bytes], bytes],
        *,
        bucket: int,
        entropy: Callable[[int], bytes],
        now: float,
    ) -> None:
        """Send the SETUP; `payload` (see `encode_payload`) runs at the last hop before the REPLY.

        It may be a function of the last hop's 32-byte binding, for INTRO_REGISTER. `bucket` =
        unix seconds / 600. Raises LinkFullError when the link takes no circuit.
        """
        circuit_id = self._link.open_circuit_id()
        built = build_setup(
            self.path,
            payload,
            cell_class=self.cell_class,
            real_time=self.real_time,
            bucket=bucket,
            entropy=entropy,
        )
        self._advance(Input.OPEN)
        self._pending = built.pending
        self._entropy = entropy
        self.binding = built.pending.binding
        self._deadline = now + BUILD_SECONDS
        self._leg = self._link.register(
            circuit_id, self, cell_class=self.cell_class, real_time=self.real_time
        )
        self._link.send(circuit_id, FrameType.SETUP, built.frame)

    def reply_received(self, frame: bytes) -> None:
        """Take the REPLY; a second one is dropped."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            opened: OpenedReply = pending.open_reply(frame)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        self._open_layers(opened)
        self._advance(Input.REPLY)
        self._schedule_keepalive(self._link.now)
        self._owner.opened(opened.message)

    def _open_layers(self, opened: "OpenedReply") -> None:
        self._forward = [Layer(keys.forward, self._cell_size) for keys in opened.keys]
        self._backward = [Layer(keys.backward, self._cell_size) for keys in opened.keys]
        self._reassemblers = [Reassembler() for _ in opened.keys]

    def _refuse(self, error: RemoteProtocolError) -> None:
        self._end(Status.CLOSED)
        self._owner.refused(error)

    # Cells

    @property
    def link(self) -> "Link":
        """The link to the first hop."""
        return self._link

    @property
    def cell_size(self) -> int:
        """Size of a cell in bytes."""
        return self._cell_size

    def room(self) -> int:
        """How many cells it takes now; 0 also while the far half of a rendezvous is lost."""
        if self._leg is None or self.state is not State.OPEN or self._parted:
            return 0
        return self._leg.room()

    def new_cell(self) -> memoryview:
        """Lend a cell buffer; hand it back through `send_cell`."""
        return self._link.pool.take(self._cell_size)

    def send_cell(self, cell_buffer: memoryview) -> None:
        """Send L and R to the far end, behind the layers of all hops.

        Raises CircuitStateError when the circuit is not open.
        """
        self._send_through(cell_buffer, len(self._forward))

    def _send_through(self, buffer: memoryview, hops: int) -> None:
        if self._leg is None or self.state is not State.OPEN:
            raise CircuitStateError(f"no cells while {self.state.value}")
        inside = buffer[LINK_HEADER_SIZE:]
        cell = inside[: self._cell_size]
        for layer in reversed(self._forward[:hops]):
            layer.decipher(cell, inside)
        self._leg.push(buffer)

    def cell_received(self, cell: memoryview) -> None:
        """Take the layers off one cell, up to the hop that speaks or to the far end."""
        if self.state is not State.OPEN:
            self._refuse(UnexpectedCellError("a cell before the REPLY"))
            return
        pool = self._link.pool
        size = self._cell_size
        buffer = pool.take(size)
        inside = buffer[LINK_HEADER_SIZE:]
        for hop, layer in enumerate(self._backward):
            left = layer.decipher(cell, inside)
            if layer.is_for_us(left):
                layer.consume()
                self._control_received(hop, bytes(inside[CELL_TAG_SIZE:size]))
                break
            cell = inside[:size]
        else:
            if not self._parted:
                self._owner.cell_received(buffer)
        pool.give(buffer)
        if self._leg is not None:
            self._leg.release()

    def room_available(self, _leg: "Leg") -> None:
        """Pass on that cells fit again."""
        self._owner.room()

    # Control

    def send_control(self, command: Command, data: bytes, hop: int = -1) -> None:
        """Send a message to a hop, counted from 0; the last one unless told.

        It waits for credit like any cell: keep the number of unanswered commands small.
        """
        if self._entropy is None or self.state is not State.OPEN:
            raise CircuitStateError(f"no {command.name} while {self.state.value}")
        number = range(len(self._forward))[hop]
        for body in pack(command, data, self._cell_size - CELL_TAG_SIZE, self._entropy):
            buffer = self.new_cell()
            buffer[LINK_HEADER_SIZE:_BODY] = self._forward[number].originate()
            buffer[_BODY : LINK_HEADER_SIZE + self._cell_size] = body
            self._send_through(buffer, number + 1)

    def _control_received(self, hop: int, body: bytes) -> None:
        try:
            messages = self._reassemblers[hop].feed(body)
        except RemoteProtocolError as error:
            # Whoever holds this layer's keys wrote it: no other hop can be blamed.
            self._link.count(error)
            self._end(Status.PROTO)
            self._owner.closed(Status.PROTO)
            return
        for message in messages:
            if self.state is State.OPEN:
                self._message_received(hop, message)

    def _message_received(self, hop: int, message: ControlMessage) -> None:
        if message.command is Command.PEER_LOST and hop == len(self.path) - 1:
            # Everything behind this cell is for the next half; the meeting place drops the rest.
            self._parted = True
            self.send_control(Command.PEER_LOST_SEEN, b"")
        elif message.command is Command.JOINED and hop == len(self.path) - 1:
            self._parted = False
        self._owner.control_received(hop, message.command, message.data)

    # Time and end

    def tick(self, now: float) -> None:
        """Give up a silent build, keep an open circuit alive; call about once a second."""
        if self.state is State.BUILDING and now >= self._deadline:
            self._pending = None
            self._refuse(CircuitTimeoutError(f"no REPLY in {BUILD_SECONDS:.0f} s"))
        elif self.state is State.OPEN and now >= self._keepalive_at:
            self._schedule_keepalive(now)
            self.send_control(Command.PAD_DROP, b"")

    def _schedule_keepalive(self, now: float) -> None:
        if self._entropy is not None:
            low, high = KEEPALIVE_SECONDS
            drawn = int.from_bytes(self._entropy(4), "big") / (1 << 32)
            self._keepalive_at = now + low + (high - low) * drawn

    def finish(self) -> None:
        """Ask the last hop to end both halves of a splice, behind all cells sent before."""
        self.send_control(Command.CLOSE, b"")

    def close(self) -> None:
        """Destroy the circuit at once; cells that wait are dropped. The owner hears nothing."""
        if self.state is not State.CLOSED:
            self._end(Status.CLOSED)

    def leg_closed(self, _leg: "Leg", reason: Status) -> None:
        """Learn from the link that the circuit is gone."""
        if self.state is State.CLOSED:
            return
        building = self.state is State.BUILDING
        self._end(reason)
        if building:
            self._owner.refused(CircuitDestroyedError(reason))
        else:
            self._owner.closed(reason)

    def _end(self, reason: Status) -> None:
        self._advance(Input.CLOSE)
        self._pending = None
        self._forward, self._backward = [], []
        if self._leg is not None:
            self._link.destroy(self._leg, reason)
