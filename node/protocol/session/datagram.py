"""Datagrams: unordered messages with a deadline, never sent again (SPEC 5.7).

A late datagram is dropped before it is sealed: relays cannot drop cells, as the layers are chained.
"""

from collections import OrderedDict, deque
from typing import NamedTuple

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.session.events import DatagramReceived
from peerstream.node.protocol.session.frames import DATAGRAM, DATAGRAM_BODY_MIN, Datagram, FrameType

DATAGRAM_SIZE_MAX = 262_144  # a large key frame of video
QUEUE_BYTES_MAX = 1 << 20  # 20 ms at 400 Mbit/s; more would only be late
PARTS_MAX = 1_024
ASSEMBLIES_MAX = 64  # incomplete at once, oldest dropped first
ASSEMBLY_BYTES_MAX = 1 << 20
FLOWS_MAX = 256
RECENT = 1_024  # frame numbers behind the newest of a flow; older ones count as told
_NUMBERS = 1 << 32
_RECENT_BITS = (1 << RECENT) - 1
_MILLISECOND = 0.001
_DEADLINE_MAX = 0xFFFF * _MILLISECOND


class _Waiting(NamedTuple):
    flow: int
    frame: int
    deadline: float
    data: memoryview


class DatagramSender:
    """Queue of datagrams, cut into parts when a cell is filled."""

    __slots__ = ("_next_frame", "_part", "_parts", "_piece", "_queue", "bytes", "dropped")

    def __init__(self) -> None:
        self._queue: deque[_Waiting] = deque()
        self._next_frame: dict[int, int] = {}
        self._part = self._parts = self._piece = 0
        self.bytes = 0
        self.dropped = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    def queue(self, flow: int, data: bytes, deadline: float) -> bool:
        """Queue a datagram that is worthless after ``deadline``; False when the queue is full."""
        if not 0 <= flow <= 0xFFFF or len(data) > DATAGRAM_SIZE_MAX:
            raise LocalProtocolError(f"a datagram of {len(data)} bytes on flow {flow}")
        if self.bytes + len(data) > QUEUE_BYTES_MAX or (
            flow not in self._next_frame and len(self._next_frame) >= FLOWS_MAX
        ):
            self.dropped += 1
            return False
        frame = self._next_frame.get(flow, 0)
        self._next_frame[flow] = (frame + 1) & 0xFFFF_FFFF
        self._queue.append(_Waiting(flow, frame, deadline, memoryview(data)))
        self.bytes += len(data)
        return True

    def forget(self, flow: int) -> None:
        """Let another flow be used in place of this one; what waits of it still goes out."""
        self._next_frame.pop(flow, None)

    def drop_expired(self, now: float) -> None:
        """Forget what is late, a half-sent datagram too."""
        while self._queue and self._queue[0].deadline <= now:
            self._pop()
            self.dropped += 1

    def next_deadline(self) -> float:
        """When the first one becomes worthless."""
        return self._queue[0].deadline if self._queue else float("inf")

    def fill(self, buffer: memoryview, position: int, end: int, now: float) -> int:
        """Write the next part where it fits; the new position, the old one if nothing did."""
        self.drop_expired(now)
        space = end - position - DATAGRAM.size
        if not self._queue or space < 0:
            return position
        waiting = self._queue[0]
        if not self._parts and not self._cut(len(waiting.data), space):
            return position
        start = self._part * self._piece
        data = waiting.data[start : start + self._piece]
        if len(data) > space:
            return position
        left = min(_DEADLINE_MAX, waiting.deadline - now)
        DATAGRAM.pack_into(
            buffer, position, FrameType.DGRAM, 0, DATAGRAM_BODY_MIN + len(data), waiting.flow,
            waiting.frame, self._part, self._parts, int(left / _MILLISECOND),
        )  # fmt: skip
        position += DATAGRAM.size
        buffer[position : position + len(data)] = data
        self._part += 1
        if self._part == self._parts:
            self._pop()
        return position + len(data)

    def _cut(self, size: int, space: int) -> bool:
        """Choose the size of the parts by the space in this cell; False to wait for the next."""
        if size > space and (space < 512 or -(-size // space) > PARTS_MAX):
            return False
        self._piece = max(1, min(size, space))
        self._parts = max(1, -(-size // self._piece))
        return True

    def _pop(self) -> None:
        self.bytes -= len(self._queue.popleft().data)
        self._part = self._parts = self._piece = 0


class _Assembly:
    __slots__ = ("deadline", "held", "parts", "total")

    def __init__(self, total: int, deadline: float) -> None:
        self.total = total
        self.deadline = deadline
        self.parts: dict[int, bytes] = {}
        self.held = 0


class _Told:
    """Which frame numbers of a flow were told: the newest and a bit for each one behind it."""

    __slots__ = ("_bits", "_newest")

    def __init__(self, frame: int) -> None:
        self._newest = frame
        self._bits = 1

    def __contains__(self, frame: int) -> bool:
        behind = (self._newest - frame) % _NUMBERS
        if behind >= _NUMBERS // 2:
            return False
        return behind >= RECENT or bool(self._bits >> behind & 1)

    def add(self, frame: int) -> None:
        """Note a number that is not in here."""
        ahead = (frame - self._newest) % _NUMBERS
        if ahead < _NUMBERS // 2:
            self._bits = (self._bits << min(ahead, RECENT) | 1) & _RECENT_BITS
            self._newest = frame
        else:
            self._bits |= 1 << (_NUMBERS - ahead)


class DatagramReceiver:
    """Puts parts together; bounded in number and bytes, oldest dropped first."""

    __slots__ = ("_assemblies", "_bytes", "_told")

    def __init__(self) -> None:
        self._assemblies: OrderedDict[tuple[int, int], _Assembly] = OrderedDict()
        self._told: OrderedDict[int, _Told] = OrderedDict()
        self._bytes = 0

    @property
    def held(self) -> int:
        """Bytes of incomplete datagrams."""
        return self._bytes

    def insert(self, part: Datagram, now: float) -> DatagramReceived | None:
        """Take in one part; the datagram if it is complete. Raises MalformedFrameError."""
        if part.parts > PARTS_MAX or len(part.data) > DATAGRAM_SIZE_MAX:
            raise MalformedFrameError(f"a datagram of {part.parts} parts")
        self._expire(now)
        if part.frame in self._told.get(part.flow, ()):
            return None
        if part.parts == 1:
            return self._complete(part.flow, part.frame, bytes(part.data))
        assembly = self._assembly(part, now)
        if part.part in assembly.parts:
            return None
        assembly.parts[part.part] = bytes(part.data)
        assembly.held += len(part.data)
        self._bytes += len(part.data)
        if assembly.held > DATAGRAM_SIZE_MAX:
            raise MalformedFrameError("a datagram that is too large")
        if len(assembly.parts) < assembly.total:
            self._bound()
            return None
        self._drop((part.flow, part.frame))
        data = b"".join(assembly.parts[i] for i in range(assembly.total))
        return self._complete(part.flow, part.frame, data)

    def forget(self, flow: int) -> None:
        """Let go of what came on a flow: a new one of that number begins anew."""
        self._told.pop(flow, None)
        for key in [key for key in self._assemblies if key[0] == flow]:
            self._drop(key)

    def _assembly(self, part: Datagram, now: float) -> _Assembly:
        key = (part.flow, part.frame)
        assembly = self._assemblies.get(key)
        if assembly is None:
            deadline = now + max(part.deadline * _MILLISECOND, 0.1)
            assembly = self._assemblies[key] = _Assembly(part.parts, deadline)
        if assembly.total != part.parts:
            raise MalformedFrameError("the parts of a datagram disagree on their number")
        return assembly

    def _complete(self, flow: int, frame: int, data: bytes) -> DatagramReceived:
        told = self._told.get(flow)
        if told is None:
            self._told[flow] = _Told(frame)
        else:
            told.add(frame)
        self._told.move_to_end(flow)
        if len(self._told) > FLOWS_MAX:
            self._told.popitem(last=False)
        return DatagramReceived(flow, frame, data)

    def _bound(self) -> None:
        while len(self._assemblies) > ASSEMBLIES_MAX or self._bytes > ASSEMBLY_BYTES_MAX:
            self._drop(next(iter(self._assemblies)))

    def _expire(self, now: float) -> None:
        while self._assemblies:
            key, oldest = next(iter(self._assemblies.items()))
            if oldest.deadline > now:
                return
            self._drop(key)

    def _drop(self, key: tuple[int, int]) -> None:
        self._bytes -= self._assemblies.pop(key).held
