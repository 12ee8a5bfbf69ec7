"""A link that sends so many bytes at each step of a clock, whatever it has to say (SPEC 4.5)."""

from collections.abc import Callable
from typing import Final

from peerstream.node.protocol.wire.frames import FrameType, PaddingRate, encode_frame
from peerstream.node.protocol.wire.sizes import CELL_SIZES, LINK_HEADER_SIZE

STEPS: Final = 32  # a second
RATES: Final = (8, 64, 256)  # cells a second: 33 kB, 263 kB, 1.05 MB
CELL_CLASS: Final = 1

Take = Callable[[int], list[bytes | memoryview]]


class ConstantRate:
    """Cuts what waits into equal steps, and fills what is missing with PADDING.

    `take_frames`: of the link, whole frames up to a budget, or one that is longer. Frames may be
    cut between two steps: the other side reads a stream. `on_step`: has the driver fetch a step.
    """

    def __init__(self, rate: int, take_frames: Take, on_step: Callable[[], None]) -> None:
        self.rate = rate
        self.step_bytes = rate * (CELL_SIZES[CELL_CLASS] + LINK_HEADER_SIZE) // STEPS
        self.padding_sent = 0
        self._take_frames = take_frames
        self._on_step = on_step
        self._begun = b""  # what is cut off and comes first at the next step
        self._due = 0

    @property
    def bytes_per_second(self) -> int:
        """What the link costs in each direction, whether or not it carries anything."""
        return self.step_bytes * STEPS

    @property
    def has_output(self) -> bool:
        """Whether the bytes of this step were not all fetched."""
        return self._due > 0

    def step(self) -> None:
        """Let one step's bytes go; what a full socket left of the last one is not made up for.

        Call it `STEPS` times a second.
        """
        self._due = self.step_bytes
        self._on_step()

    def take(self, budget: int) -> list[bytes | memoryview]:
        """Return what is left of this step, up to `budget` bytes."""
        wanted = min(self._due, budget)
        if not wanted:
            return []
        ready = bytearray(self._begun)
        while len(ready) < wanted and (parts := self._take_frames(wanted - len(ready))):
            for part in parts:
                ready += part
        if len(ready) < wanted:
            ready += self._padding(wanted - len(ready))
        self._due -= wanted
        self._begun = bytes(ready[wanted:])
        return [bytes(ready[:wanted])]

    def _padding(self, missing: int) -> bytes:
        """Return one frame of at least so many bytes: its header alone may be more."""
        frame = encode_frame(0, FrameType.PADDING, bytes(max(0, missing - LINK_HEADER_SIZE)))
        self.padding_sent += len(frame)
        return frame


def served_rate(asked: PaddingRate) -> int:
    """Return the constant rate that a neighbour asked for and that there is, else 0."""
    return asked.rate if asked.rate in RATES and asked.cell_class == CELL_CLASS else 0
