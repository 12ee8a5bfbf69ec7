"""One circuit at one relay (SPEC 4.8).

Theory. The hot path is three functions, one for each thing a hop does with a cell: pass it on
forward (`_pass_forward`), pass it on backward (`_pass_backward`), hand it to the other half of a
splice (`_pass_across`). Which of them a leg calls is set when the state changes, not asked for
every cell.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final

from peerstream.node.protocol.circuit.bodies import Result
from peerstream.node.protocol.circuit.errors import (
    AnswersUnreadError,
    CircuitStateError,
    CommandError,
    UnexpectedCellError,
)
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.control import ControlMessage, Reassembler, pack
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import CELL_TAG_SIZE, LINK_HEADER_SIZE
from peerstream.node.protocol.wire.status import Status

if TYPE_CHECKING:
    from peerstream.node.protocol.circuit.leg import Leg
    from peerstream.node.protocol.circuit.link import Link
    from peerstream.node.protocol.circuit.relay import RelayCore
    from peerstream.node.protocol.onion.reply import ReplySealer
    from peerstream.node.protocol.onion.setup import ProcessedSetup

_BODY: Final = LINK_HEADER_SIZE + CELL_TAG_SIZE  # where R begins in a cell buffer


class State(Enum):
    """Where a circuit stands at this relay."""

    OPENING = "opening"  # SETUP accepted, nothing decided
    DIALING = "dialing"  # waits for a link to the next relay
    AWAITING = "awaiting"  # SETUP sent on, no REPLY yet
    FORWARDING = "forwarding"  # cells pass both ways
    OPEN = "open"  # ends here, ready for commands
    DIRECTORY = "directory"  # a directory command is being worked on
    INTRO = "intro"  # introductions come out here
    WAITING = "waiting"  # listens for a cookie
    JOINED = "joined"  # spliced with another circuit
    PARTED = "parted"  # the other half of the splice is gone
    CLOSED = "closed"


class Input(Enum):
    """What can happen to it."""

    DIAL = "dial"
    EXTEND = "extend"
    REPLY = "reply"
    ANSWER = "answer"
    CONSULT = "consult"
    REGISTER = "register"
    LISTEN = "listen"
    JOIN = "join"
    MEET = "meet"
    LOSE = "lose"
    CLOSE = "close"


TRANSITIONS: Final[dict[tuple[State, Input], State]] = {
    (State.OPENING, Input.DIAL): State.DIALING,
    (State.OPENING, Input.EXTEND): State.AWAITING,
    (State.OPENING, Input.ANSWER): State.OPEN,
    (State.OPENING, Input.CONSULT): State.DIRECTORY,
    (State.OPENING, Input.REGISTER): State.INTRO,
    (State.OPENING, Input.LISTEN): State.WAITING,
    (State.OPENING, Input.JOIN): State.JOINED,
    (State.DIALING, Input.EXTEND): State.AWAITING,
    (State.AWAITING, Input.REPLY): State.FORWARDING,
    (State.OPEN, Input.ANSWER): State.OPEN,
    (State.OPEN, Input.CONSULT): State.DIRECTORY,
    (State.OPEN, Input.REGISTER): State.INTRO,
    (State.OPEN, Input.LISTEN): State.WAITING,
    (State.OPEN, Input.JOIN): State.JOINED,
    (State.DIRECTORY, Input.ANSWER): State.OPEN,
    (State.WAITING, Input.MEET): State.JOINED,
    (State.JOINED, Input.LOSE): State.PARTED,
    (State.PARTED, Input.MEET): State.JOINED,
    **{(state, Input.CLOSE): State.CLOSED for state in State if state is not State.CLOSED},
}


class RelayCircuit:
    """The state of one circuit at a relay; made when its SETUP opened."""

    __slots__ = (
        "_backward",
        "_buffers",
        "_forward",
        "_kept",
        "_next_frame",
        "_partner",
        "_push_down",
        "_reassembler",
        "_relay",
        "_reply",
        "_unseen_losses",
        "active_at",
        "binding",
        "cell_class",
        "command",
        "down",
        "opened_at",
        "real_time",
        "seen_cells",
        "state",
        "up",
    )

    def __init__(
        self, relay: "RelayCore", link: "Link", circuit_id: int, setup: "ProcessedSetup"
    ) -> None:
        self._relay: RelayCore = relay
        self._reply: ReplySealer | None = setup.reply
        self._next_frame = setup.next_frame
        self.cell_class = setup.cell_class
        self.real_time = setup.real_time
        self.binding = setup.binding
        self.up: Leg = link.register(
            circuit_id, self, cell_class=setup.cell_class, real_time=setup.real_time
        )
        self.down: Leg | None = None
        self._push_down = self.up.push  # set together with `down`
        self._forward = Layer(setup.keys.forward, self.up.cell_size)
        self._backward = Layer(setup.keys.backward, self.up.cell_size)
        self._buffers = link.pool
        self._partner: RelayCircuit | None = None
        self._unseen_losses = 0  # until the owner saw them, its cells are for a lost half
        self.command = Command.OPEN  # the one being answered
        self._reassembler = Reassembler()
        self._kept = 0
        self.state = State.OPENING
        self.opened_at = self.active_at = link.now
        self.seen_cells = 0

    def __repr__(self) -> str:
        return f"<RelayCircuit {self.state.value}>"

    # State

    def can(self, happened: Input) -> bool:
        """Whether this may happen now."""
        return (self.state, happened) in TRANSITIONS

    def advance(self, happened: Input) -> None:
        """Take a transition; CircuitStateError when the table has none."""
        try:
            self.state = TRANSITIONS[self.state, happened]
        except KeyError as error:
            raise CircuitStateError(f"{happened.value} while {self.state.value}") from error

    @property
    def cells_received(self) -> int:
        """Cells that came over both legs."""
        return self.up.received + (self.down.received if self.down is not None else 0)

    @property
    def cells_relayed(self) -> int:
        """Cells that were passed on, in either direction."""
        return self.cells_received - self._kept

    @property
    def held_cells(self) -> int:
        """Cells that wait here for one of its neighbours."""
        return len(self.up.waiting) + (len(self.down.waiting) if self.down is not None else 0)

    @property
    def awaits_reply(self) -> bool:
        """Whether the SETUP was not answered yet."""
        return self._reply is not None

    def drop_contexts(self) -> None:
        """Give back what only a busy circuit needs."""
        self._forward.drop_contexts()
        self._backward.drop_contexts()

    # Opening

    def extend(self, link: "Link") -> None:
        """Send the SETUP on over `link`, which must be able to open a circuit."""
        frame, self._next_frame = self._next_frame, None
        if frame is None:
            raise CircuitStateError("the circuit ends here")
        self.advance(Input.EXTEND)
        circuit_id = link.open_circuit_id()
        down = link.register(circuit_id, self, cell_class=self.cell_class, real_time=self.real_time)
        self.down = down
        self._push_down = down.push
        down.source, self.up.source = self.up, down
        down.deliver = self._pass_backward
        self.up.deliver = self._pass_forward
        link.send(circuit_id, FrameType.SETUP, frame)

    def reply_received(self, frame: bytes) -> None:
        """Seal the REPLY from downstream and send it on; a second one is dropped."""
        if self._reply is None:
            return
        self.advance(Input.REPLY)
        self._send_reply(frame, Status.OK)

    def answer(self, status: Status, message: bytes = b"") -> None:
        """Tell the owner how its command ended: by REPLY, later by RESULT.

        A REPLY other than OK is the end of the circuit here; upstream hears it from the owner.
        """
        if self.state is State.CLOSED:
            return
        if self.state is State.DIRECTORY or self.state is State.OPENING:
            self.advance(Input.ANSWER)
        if self._reply is None:
            self.send_control(Command.RESULT, Result(self.command, status, message).encode())
            return
        self._send_reply(message, status)
        if status is not Status.OK:
            self.up.link.unregister(self.up)
            self.close()

    def _send_reply(self, inner: bytes, status: Status) -> None:
        if self._reply is not None:
            sealed = self._reply.seal(inner, status=status, entropy=self._relay.entropy)
            self._reply = None
            self.up.link.send(self.up.circuit_id, FrameType.REPLY, sealed)

    def commanded(self, command: Command) -> None:
        """Note which command `answer` will be about."""
        self.command = command

    # Cells

    def _pass_forward(self, cell: memoryview) -> None:
        buffer = self._buffers.take(len(cell))
        layer = self._forward
        left = layer.encipher(cell, buffer[LINK_HEADER_SIZE:])
        if layer.is_for_us(left):
            self._control_received(buffer)
        else:
            self._push_down(buffer)

    def _pass_backward(self, cell: memoryview) -> None:
        buffer = self._buffers.take(len(cell))
        self._backward.encipher(cell, buffer[LINK_HEADER_SIZE:])
        self.up.push(buffer)

    def _pass_across(self, cell: memoryview) -> None:
        size = len(cell)
        buffer = self._buffers.take(size)
        layer = self._forward
        left = layer.encipher(cell, buffer[LINK_HEADER_SIZE:])
        if layer.is_for_us(left):
            self._control_received(buffer)
            return
        partner = self._partner
        if partner is None or self._unseen_losses:
            self._keep(buffer)
            return
        inside = buffer[LINK_HEADER_SIZE:]
        partner._backward.encipher(inside[:size], inside)  # noqa: SLF001  # same class
        partner.up.push(buffer)

    def cell_received(self, cell: memoryview) -> None:
        """Take a cell where the circuit ends: only control cells are expected."""
        buffer = self._buffers.take(len(cell))
        left = self._forward.encipher(cell, buffer[LINK_HEADER_SIZE:])
        if self._forward.is_for_us(left):
            self._control_received(buffer)
            return
        self._keep(buffer)
        self.breach(UnexpectedCellError(f"a cell for nobody while {self.state.value}"))

    def _keep(self, buffer: memoryview) -> None:
        self._buffers.give(buffer)
        self._kept += 1
        self.up.release()

    # Control

    def _control_received(self, buffer: memoryview) -> None:
        self._forward.consume()
        body = bytes(buffer[_BODY : LINK_HEADER_SIZE + self.up.cell_size])
        self._keep(buffer)
        try:
            for message in self._feed(body):
                if self.state is State.CLOSED:
                    return
                self._relay.command_received(self, message.command, message.data)
        except RemoteProtocolError as error:
            self.breach(error)

    def _feed(self, body: bytes) -> list[ControlMessage]:
        """Take a control cell's body; MemoryNeededError when the relay holds too much of such."""
        before = self._reassembler.held
        try:
            return self._reassembler.feed(body)
        finally:
            self._relay.hold_unfinished(self._reassembler.held - before)

    @property
    def unfinished(self) -> int:
        """Bytes of the message that the owner has begun and not ended."""
        return self._reassembler.held

    def own_room_for(self, size: int) -> bool:
        """Whether a message of `size` bytes to the owner may be queued."""
        room = self.up.cell_size - CELL_TAG_SIZE - 4
        return self.up.own_room >= -(-size // room)

    def send_control(self, command: Command, data: bytes) -> None:
        """Send a message to the owner; the circuit ends when it does not read its answers."""
        if self.state is State.CLOSED:
            return
        up = self.up
        for body in pack(command, data, up.cell_size - CELL_TAG_SIZE, self._relay.entropy):
            buffer = self._buffers.take(up.cell_size)
            inside = buffer[LINK_HEADER_SIZE:]
            inside[:CELL_TAG_SIZE] = self._backward.originate()
            inside[CELL_TAG_SIZE : up.cell_size] = body
            self._backward.encipher(inside[: up.cell_size], inside)
            if not up.push_own(buffer):
                self._buffers.give(buffer)
                self.breach(AnswersUnreadError(f"{command.name} does not fit"))
                return

    # Splice

    def splice(self, partner: "RelayCircuit") -> None:
        """From now on pass what comes from the owner to `partner`, as `partner` must to us."""
        self.advance(Input.MEET if self.can(Input.MEET) else Input.JOIN)
        self._partner = partner
        self.up.source = partner.up
        self.up.deliver = self._pass_across

    def part(self) -> None:
        """Learn that the other half is gone, and tell the owner.

        Cells that wait for the owner already carry its layer, each chained to the one before: they
        go out first. What the owner sent to the lost half is dropped until it says that it knows.
        """
        self.advance(Input.LOSE)
        self._partner = None
        self._unseen_losses += 1
        self.up.disown_source()
        self.send_control(Command.PEER_LOST, b"")

    def loss_seen(self) -> None:
        """Learn that the owner knows: what it sends from here on is for the next half."""
        if not self._unseen_losses:
            raise CommandError("nobody was lost")
        self._unseen_losses -= 1

    # End

    def breach(self, error: RemoteProtocolError) -> None:
        """Count what somebody did wrong and destroy the circuit."""
        self._relay.count(error)
        self.close(getattr(error, "status", Status.PROTO))

    def leg_closed(self, leg: "Leg", _reason: Status) -> None:
        """Pass the end on. While opening the owner is told instead, so that it learns where."""
        if self.state is State.CLOSED:
            return
        if leg is self.down and self._reply is not None:
            self.answer(Status.CLOSED)
        else:
            self.close()

    def close(self, reason: Status = Status.CLOSED) -> None:
        """Destroy both legs. What is passed on downstream never says why."""
        if self.state is State.CLOSED:
            return
        self.advance(Input.CLOSE)
        self._reply = None
        self.up.link.destroy(self.up, reason)
        if self.down is not None:
            self.down.link.destroy(self.down, Status.CLOSED)
        self._relay.circuit_closed(self)
        self._partner = None

    def room_available(self, leg: "Leg") -> None:
        """Relays never ask for room: they grant only what they passed on."""
