"""A circuit of ours as tasks use it: wait, speak to its last hop, pass cells on (SPEC 10.6)."""

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from peerstream.node.protocol.circuit.bodies import Result
from peerstream.node.protocol.circuit.errors import CircuitDestroyedError
from peerstream.node.protocol.errors import MalformedError, RemoteProtocolError
from peerstream.node.protocol.onion.errors import CircuitRefusedError, ReplyError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import CircuitClosedError, CircuitFailedError, CommandRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from peerstream.node.protocol.circuit.origin import OriginCircuit

UNREAD_MAX: Final = 256  # control messages nobody took; 16 introductions fit many times
EARLY_CELLS_MAX: Final = 256  # came before a session listened; a task is late by milliseconds


_OUT_OF_REACH: Final = frozenset({Status.CONNECT, Status.TIMEOUT})


def _ignore() -> None:
    """Stand in until somebody wants to know."""


def _first_silent(failure: RemoteProtocolError | None) -> float:
    """Return the first hop that may have heard nothing of a SETUP; infinite when nobody knows."""
    match failure:
        case CircuitRefusedError():
            return failure.hop + 1
        case ReplyError():
            return failure.hop
        case CircuitDestroyedError():
            return 0
        case _:
            return float("inf")


def _absent(
    failure: RemoteProtocolError | None, path: tuple[bytes, ...]
) -> tuple[bytes, bytes] | None:
    """Return (a hop, the next one) if the first said that it could not connect to the second."""
    if isinstance(failure, CircuitRefusedError) and failure.status in _OUT_OF_REACH:
        pair = path[failure.hop : failure.hop + 2]
        return (pair[0], pair[1]) if len(pair) == 2 else None
    return None


class OwnedCircuit:
    """One circuit; the `CircuitOwner` of its `OriginCircuit`.

    `on_room`, `on_closed` and `on_parted`, for the far half of a splice that is lost, belong to the
    session that uses it, if one does; see `listen`.
    """

    def __init__(self, path: tuple[bytes, ...]) -> None:
        """`path`: relay_ids, the guard first."""
        self.path = path
        self._on_cell: Callable[[memoryview], None] | None = None
        self._early_cells: list[memoryview] = []
        self.on_room: Callable[[], None] = _ignore
        self.on_closed: Callable[[], None] = _ignore
        self.on_parted: Callable[[], None] = _ignore
        self._circuit: OriginCircuit | None = None
        self._answer: bytes | None = None
        self._failure: RemoteProtocolError | None = None
        self._ended = False
        self._messages: deque[tuple[Command, bytes]] = deque()
        self._changed = trio.Event()

    def __repr__(self) -> str:
        return f"<OwnedCircuit of {len(self.path)} hops>"

    def attach(self, circuit: "OriginCircuit") -> None:
        """Take the machine made with this object as its owner."""
        self._circuit = circuit

    @property
    def port(self) -> "OriginCircuit":
        """The machine, which is the `CellPort` of a session."""
        if self._circuit is None:
            raise RuntimeError("the circuit was never made")
        return self._circuit

    @property
    def ended(self) -> bool:
        """Whether it is gone."""
        return self._ended

    # What tasks call

    async def ready(self) -> bytes:
        """Return the last hop's answer to the SETUP once the circuit stands.

        Raises CommandRefusedError when the last hop said no, else CircuitFailedError.
        """
        while self._answer is None:
            if self._ended:
                raise self._as_error()
            await self._changed.wait()
        return self._answer

    def _as_error(self) -> CircuitFailedError:
        failure = self._failure
        if isinstance(failure, CircuitRefusedError) and failure.hop == len(self.path) - 1:
            error: CircuitFailedError = CommandRefusedError(failure.status, self.path[-1])
        else:
            error = CircuitFailedError(
                f"no circuit of {len(self.path)} hops: {failure}",
                unreached=_first_silent(failure) < len(self.path) - 1,
                absent=_absent(failure, self.path),
            )
        error.__cause__ = failure
        return error

    async def receive(self) -> tuple[Command, bytes]:
        """Return the next message of the last hop. Raises CircuitClosedError."""
        while not self._messages:
            if self._ended:
                raise CircuitClosedError("a relay on the circuit is gone, or closed it")
            await self._changed.wait()
        return self._messages.popleft()

    async def expect(self, command: Command) -> bytes:
        """Return the data of the next message of this kind; others before it are dropped.

        Raises CircuitClosedError.
        """
        while True:
            received, data = await self.receive()
            if received is command:
                return data

    async def ask(self, command: Command, body: bytes) -> bytes:
        """Send a command to the last hop of an open circuit and return its answer's message.

        Raises CommandRefusedError, CircuitClosedError.
        """
        if self._ended:
            raise CircuitClosedError("the circuit is closed")
        self.port.send_control(command, body)
        try:
            result = Result.decode(await self.expect(Command.RESULT))
        except MalformedError as error:
            self.close()
            raise CircuitClosedError("the last hop talks nonsense") from error
        if result.status is not Status.OK:
            raise CommandRefusedError(result.status, self.path[-1])
        return result.message

    def listen(self, on_cell: "Callable[[memoryview], None]") -> None:
        """Hand cells of the far end to a session, those that came already first.

        The far end may send in the moment the circuit is spliced; the task that waited for that
        moment runs a little later.
        """
        self._on_cell = on_cell
        early, self._early_cells = self._early_cells, []
        for cell_buffer in early:
            on_cell(cell_buffer)

    def close(self) -> None:
        """Destroy the circuit. Nothing happens when it is gone already."""
        if self._circuit is not None:
            self._circuit.close()
        self._end()

    # As CircuitOwner

    def opened(self, message: bytes) -> None:
        """Take the last hop's answer to the SETUP."""
        self._answer = message
        self._tell()

    def refused(self, error: RemoteProtocolError) -> None:
        """Learn why there is no circuit."""
        self._failure = error
        self._end()

    def control_received(self, hop: int, command: Command, data: bytes) -> None:
        """Keep what the last hop says until a task asks for it."""
        if hop != len(self.path) - 1:
            return
        if command is Command.PEER_LOST:
            self.on_parted()
            return
        if len(self._messages) >= UNREAD_MAX:
            self.close()
            return
        self._messages.append((command, data))
        self._tell()

    def cell_received(self, cell_buffer: memoryview) -> None:
        """Hand a cell of the far end on, or keep a copy until a session listens."""
        if self._on_cell is not None:
            self._on_cell(cell_buffer)
        elif len(self._early_cells) < EARLY_CELLS_MAX:
            self._early_cells.append(memoryview(bytearray(cell_buffer)))
        else:
            self.close()

    def room(self) -> None:
        """Pass on that cells fit again."""
        self.on_room()

    def closed(self, reason: Status) -> None:  # noqa: ARG002 - every hop says CLOSED
        """Learn that the circuit ended."""
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._early_cells.clear()
            self._tell()
            self.on_closed()

    def _tell(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
