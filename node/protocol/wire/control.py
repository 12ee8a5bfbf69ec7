"""Messages between a circuit's owner and one hop, inside recognised cells (SPEC 4).

cell body = messages, each `command u8 | flags u8 | length u16 | data`; command 0 ends them and
random padding fills the rest. Flags bit 0: the data continue in the next control cell, which then
begins with the same command.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.reader import Reader

MESSAGE_HEADER_SIZE: Final = 4
MESSAGE_MAX: Final = 16_384  # a descriptor record of 12 KiB and its proof; per circuit and held
FLAG_MORE: Final = 1


class ControlMessage(NamedTuple):
    """One whole message, its pieces joined."""

    command: Command
    data: bytes


class UnknownCommandError(MalformedError):
    """No command of ours has this number. Close the circuit: the sender is newer or broken."""


class ControlSequenceError(MalformedError):
    """A piece of a message is not where it must be. Close the circuit: cells were lost or mixed."""


class ControlTooLongError(MalformedError):
    """A message grew past 16 KiB: somebody wants our memory. Close the circuit."""


def pack(
    command: Command, data: bytes, capacity: int, entropy: Callable[[int], bytes]
) -> list[bytes]:
    """Cell bodies of exactly `capacity` bytes that carry one message.

    `entropy` draws the padding. Raises LocalProtocolError when the message is over MESSAGE_MAX or
    the capacity leaves no room for data.
    """
    if len(data) > MESSAGE_MAX or capacity <= MESSAGE_HEADER_SIZE:
        raise LocalProtocolError(f"{len(data)} bytes in cells of {capacity}")
    room = capacity - MESSAGE_HEADER_SIZE
    bodies = []
    for start in range(0, len(data) or 1, room):
        piece = data[start : start + room]
        more = FLAG_MORE if start + room < len(data) else 0
        body = bytes((command, more)) + len(piece).to_bytes(2, "big") + piece
        if len(body) < capacity:
            body += b"\0" + entropy(capacity - len(body) - 1)
        bodies.append(body)
    return bodies


class Reassembler:
    """Turns the bodies of one hop's control cells, in order, into whole messages.

    Holds at most one unfinished message of MESSAGE_MAX bytes, however small its pieces. After an
    error it must not be used again: close the circuit.
    """

    __slots__ = ("_command", "_data")

    def __init__(self) -> None:
        self._command: Command | None = None
        self._data = bytearray()

    @property
    def held(self) -> int:
        """Bytes of the unfinished message."""
        return len(self._data)

    def feed(self, body: bytes | memoryview) -> list[ControlMessage]:
        """Take one cell; return the messages that it completes.

        Raises MalformedError (cut off, unknown flag), UnknownCommandError, ControlSequenceError
        or ControlTooLongError.
        """
        reader = Reader(body)
        messages: list[ControlMessage] = []
        continued = self._command is not None
        while reader.remaining and (number := reader.u8()):
            command, more, data = _piece(number, reader)
            if continued and command is not self._command:
                raise ControlSequenceError(f"{command.name} inside another message")
            continued = False
            self._hold(command, data)
            if more:
                _require_padding(reader)
                return messages
            messages.append(ControlMessage(command, bytes(self._data)))
            self._release()
        if continued:
            raise ControlSequenceError("a message was not continued")
        return messages

    def _hold(self, command: Command, data: bytes) -> None:
        if len(self._data) + len(data) > MESSAGE_MAX:
            raise ControlTooLongError(f"{command.name} of more than {MESSAGE_MAX} bytes")
        self._command = command
        self._data += data

    def _release(self) -> None:
        self._command = None
        self._data = bytearray()


def _require_padding(reader: Reader) -> None:
    if reader.remaining and reader.u8():
        raise ControlSequenceError("a message follows one that is not complete")


def _piece(number: int, reader: Reader) -> tuple[Command, bool, bytes]:
    try:
        command = Command(number)
    except ValueError as error:
        raise UnknownCommandError(f"command {number}") from error
    flags = reader.u8()
    if flags & ~FLAG_MORE:
        raise MalformedError(f"flags {flags:#x} of {command.name} are reserved")
    return command, bool(flags & FLAG_MORE), reader.take(reader.u16())
