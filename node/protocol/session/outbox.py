"""Control frames on their way, sent again when their path dies (SPEC 5.6)."""

from collections import deque

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.errors import ExcessError
from peerstream.node.protocol.session.frames import CONTROL_SIZE_MAX, Frame, FrameType, encode

_OF_PATHS = {
    FrameType.ACK,
    FrameType.ADD_PATH,
    FrameType.PATH_STATUS,
    FrameType.REKEY1,
    FrameType.REKEY2,
    FrameType.REKEY3,
}
PENDING_MAX = 4_096  # frames not acknowledged: a peer that makes us answer more is flooding
_NEVER = float("inf")


class ControlFrame:
    """One encoded frame; idempotent, so that it may arrive twice."""

    __slots__ = ("_outbox", "_waiting", "arrived", "body", "reliable")

    def __init__(self, outbox: "Outbox", body: bytes, *, reliable: bool) -> None:
        self._outbox = outbox
        self._waiting = True
        self.body = body
        self.reliable = reliable
        self.arrived = False

    def acknowledged(self) -> None:
        """Note that the cell with it arrived."""
        if not self.arrived:
            self.arrived = True
            self._outbox.settled(self)

    def lost(self) -> None:
        """Queue it again if it matters: the path with it died."""
        if self.reliable and not self.arrived and not self._waiting:
            self._waiting = True
            self._outbox.again(self)

    def taken(self) -> None:
        """Note that it went into a cell."""
        self._waiting = False


class Outbox:
    """The queue of control frames; those that die with their path go to the front again.

    A patient frame goes with the next cell, and is worth one of its own only at `deadline`: when
    what it announces is likely to follow at once, one cell carries both.
    """

    __slots__ = ("_patience", "_pending", "_queue", "deadline")

    def __init__(self) -> None:
        self._queue: deque[ControlFrame] = deque()
        self._pending = 0
        self._patience = _NEVER  # the least of the frames queued since the clock was read
        self.deadline = _NEVER  # when a cell must go out for what is queued

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, frame: Frame, *, reliable: bool = True, patience: float = 0.0) -> ControlFrame:
        """Queue a frame that may wait for company so many seconds.

        Raises ExcessError when too many wait for an acknowledgement.
        """
        body = encode(frame)
        if len(body) > CONTROL_SIZE_MAX:
            raise LocalProtocolError(f"a control frame of {len(body)} bytes")
        if self._pending >= PENDING_MAX:
            raise ExcessError("the peer does not acknowledge our answers")
        control = ControlFrame(self, body, reliable=reliable)
        if reliable:
            self._pending += 1
        self._queue.append(control)
        self._patience = min(self._patience, patience)
        return control

    def hurry(self) -> None:
        """Have what is queued wait no longer: somebody waits for the answer to it."""
        self._patience = 0.0

    def due(self, now: float) -> bool:
        """Whether a cell must go out now, even with nothing else in it."""
        if self._patience < _NEVER:
            self.deadline = min(self.deadline, now + self._patience)
            self._patience = _NEVER
        return bool(self._queue) and now >= self.deadline

    def pop(self, capacity: int) -> ControlFrame | None:
        """Return the next frame if it fits."""
        while self._queue and self._queue[0].arrived:
            self._queue.popleft()
        if not self._queue or len(self._queue[0].body) > capacity:
            return None
        control = self._queue.popleft()
        if not self._queue:
            self._patience = self.deadline = _NEVER
        control.taken()
        return control

    def again(self, control: ControlFrame) -> None:
        """Queue a lost frame, to be sent before newer ones."""
        self._queue.appendleft(control)
        self._patience = 0.0

    def forget_paths(self) -> None:
        """Drop what speaks of paths and rekeys of before a resume; all paths are dead."""
        for control in self._queue:
            if control.body[0] in _OF_PATHS:
                control.acknowledged()

    def settled(self, control: ControlFrame) -> None:
        """Note that a frame arrived and is no longer pending."""
        if control.reliable:
            self._pending -= 1
