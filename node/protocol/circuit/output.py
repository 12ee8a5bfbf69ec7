"""What goes out on one link: control frames first, then cells in fair order (SPEC 4.4)."""

from collections import deque
from typing import Final

from peerstream.node.protocol.circuit.leg import Leg
from peerstream.node.protocol.circuit.pool import BufferPool
from peerstream.node.protocol.circuit.scheduler import Scheduler

CONTROL_BYTES_MAX: Final = 2_097_152  # 128 SETUPs: a link slower than that takes no new circuit


class LinkOutput:
    """Frames that wait for the driver, and the cell buffers that it has borrowed."""

    __slots__ = ("_control", "_lent", "_pool", "_scheduler", "control_bytes")

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._control: deque[bytes] = deque()
        self._scheduler = Scheduler()
        self._lent: list[memoryview] = []
        self.control_bytes = 0

    @property
    def has_output(self) -> bool:
        """Whether `take` may have something."""
        return bool(self._control) or self._scheduler.has_ready

    @property
    def has_room(self) -> bool:
        """Whether the neighbour reads fast enough for a new circuit."""
        return self.control_bytes < CONTROL_BYTES_MAX

    @property
    def stuck(self) -> bool:
        """Whether the neighbour makes us answer and does not read the answers."""
        return self.control_bytes > 2 * CONTROL_BYTES_MAX

    def add_frame(self, frame: bytes) -> None:
        """Queue a whole control frame."""
        self._control.append(frame)
        self.control_bytes += len(frame)

    def add_leg(self, leg: Leg, now: float, *, fresh: bool) -> None:
        """Put a leg with cells and credit in line."""
        self._scheduler.add(leg, now, fresh=fresh)

    def take(self, budget: int, now: float) -> list[bytes | memoryview]:
        """Up to `budget` bytes of frames; takes back what the last call lent."""
        lent = self._lent
        if lent:
            give = self._pool.give
            for buffer in lent:
                give(buffer)
            lent.clear()
        parts: list[bytes | memoryview] = []
        control = self._control
        while control and (len(control[0]) <= budget or not parts):
            frame = control.popleft()
            budget -= len(frame)
            self.control_bytes -= len(frame)
            parts.append(frame)
        if not control and budget > 0:
            self._scheduler.take(parts, lent, budget, now)
        return parts

    def clear(self) -> None:
        """Drop the control frames of a link that ended."""
        self._control.clear()
        self.control_bytes = 0
