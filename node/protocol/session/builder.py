"""Fills, seals and sends the cells of a session (SPEC 5.6, 5.8).

Order in a cell: proof, ACK, PING, control frames, datagrams, stream data; SWITCH last. A bulk cell
is one DATA frame of the largest size, written where it will be sealed.
"""

from peerstream.node.protocol.session.cell import TEXT_START, text_end
from peerstream.node.protocol.session.datagram import DatagramSender
from peerstream.node.protocol.session.frames import (
    DATA,
    DATA_BODY_MIN,
    FIN,
    PING_BYTES,
    SWITCH_SIZE,
    Close,
    FrameType,
    Switch,
    encode,
)
from peerstream.node.protocol.session.outbox import ControlFrame, Outbox
from peerstream.node.protocol.session.path import Path, Sent
from peerstream.node.protocol.session.rekey import Rekey
from peerstream.node.protocol.session.streams import Streams
from peerstream.node.protocol.wire.sizes import CELL_SIZES

_ZEROS = memoryview(bytes(CELL_SIZES[-1]))
_DATA_MIN = 96  # no shorter piece of a stream behind other frames
_DATA_TYPE = int(FrameType.DATA)


class CellBuilder:
    """Packs what waits into cells."""

    __slots__ = ("_datagrams", "_outbox", "_rekey", "_streams", "proof")

    def __init__(
        self, outbox: Outbox, streams: Streams, datagrams: DatagramSender, rekey: Rekey
    ) -> None:
        self._outbox = outbox
        self._streams = streams
        self._datagrams = datagrams
        self._rekey = rekey
        self.proof: ControlFrame | None = None

    def has_payload(self, now: float) -> bool:
        """Whether something waits that any path may carry, and that a cell must go out for now."""
        return self._outbox.due(now) or bool(self._datagrams) or self._streams.sendable

    def send(self, path: Path, now: float, copy: Path | None = None) -> bool:
        """One cell with as much as fits, also on path ``copy`` when given; whether it has any."""
        buffer = path.port.new_cell()
        switch = self._rekey.wants_switch(path)
        limit = end = text_end(path.port.cell_size)
        if switch:
            end -= SWITCH_SIZE
        items: list[Sent] = []
        asked = path.asks_acknowledgement()
        head = self._head(buffer, path, items, now, asked=asked)
        position = self._payload(buffer, head, end, items, now)
        filled = position > head
        if copy is not None:
            self._duplicate(copy, buffer[TEXT_START:position], items, now)
        if switch:
            position = _put(buffer, position, encode(Switch(self._rekey.number)))
        self._finish(path, buffer, position, limit)
        if switch:
            self._rekey.switched(path)
        path.note_sent(path.sealer.sequence - 1, items, now, asked=asked)
        return filled

    def acknowledge(self, path: Path, now: float) -> None:
        """Send a cell with nothing but the ACK that is due; the peer does not acknowledge it."""
        ack = path.take_ack(now)
        if ack is not None:
            buffer = path.port.new_cell()
            position = _put(buffer, TEXT_START, encode(ack))
            self._finish(path, buffer, position, text_end(path.port.cell_size))

    def farewell(self, path: Path, close: Close) -> None:
        """Send a cell that ends the session."""
        buffer = path.port.new_cell()
        position = _put(buffer, TEXT_START, encode(close))
        self._finish(path, buffer, position, text_end(path.port.cell_size))

    def _finish(self, path: Path, buffer: memoryview, position: int, end: int) -> None:
        if position < end:
            buffer[position:end] = _ZEROS[: end - position]
        path.sealer.seal(buffer)
        path.port.send_cell(buffer)
        self._rekey.bytes += end - TEXT_START

    def _head(
        self, buffer: memoryview, path: Path, items: list[Sent], now: float, *, asked: bool
    ) -> int:
        position = TEXT_START
        if self.proof is not None and not self.proof.arrived:
            position = _put(buffer, position, self.proof.body)
            items.append(self.proof)
        if path.ack_due() < _NEVER:
            ack = path.take_ack(now)
            if ack is not None:
                position = _put(buffer, position, encode(ack))
        if asked:
            position = _put(buffer, position, PING_BYTES)
        return position

    def _payload(
        self, buffer: memoryview, position: int, end: int, items: list[Sent], now: float
    ) -> int:
        while self._outbox:
            control = self._outbox.pop(end - position)
            if control is None:
                break
            position = _put(buffer, position, control.body)
            items.append(control)
        while self._datagrams:
            filled = self._datagrams.fill(buffer, position, end, now)
            if filled == position:
                break
            position = filled
        while end - position >= _DATA_MIN:
            span = self._streams.next_range(end - position - DATA.size)
            if span is None:
                break
            start, stop = span.start, span.end
            length = stop - start
            DATA.pack_into(
                buffer, position, _DATA_TYPE, FIN if span.fin else 0, DATA_BODY_MIN + length,
                span.stream.number, start,
            )  # fmt: skip
            position += DATA.size
            if length:
                span.stream.send.copy_into(buffer, position, start, stop)
                position += length
            items.append(span)
        return position

    def _duplicate(self, path: Path, text: memoryview, items: list[Sent], now: float) -> None:
        buffer = path.port.new_cell()
        position = TEXT_START + len(text)
        buffer[TEXT_START:position] = text
        self._finish(path, buffer, position, text_end(path.port.cell_size))
        path.note_sent(path.sealer.sequence - 1, items, now, asked=False)


def _put(buffer: memoryview, position: int, body: bytes) -> int:
    end = position + len(body)
    buffer[position:end] = body
    return end


_NEVER = float("inf")
