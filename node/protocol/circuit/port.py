"""What a session sees of a circuit: a place to put cells (SPEC 4.6)."""

from typing import Protocol


class CellPort(Protocol):
    """One path of a session.

    A *cell buffer* is one memoryview of ``cell_size + 24`` bytes: 8 of room for the link's frame
    header, the 16 bytes L, the ``cell_size - 16`` bytes R, and 16 of scratch behind them.
    """

    @property
    def cell_size(self) -> int:
        """Size of a cell, in bytes."""

    def room(self) -> int:
        """How many cells it takes now; when this was 0 the owner's `room` is called later."""

    def new_cell(self) -> memoryview:
        """Lend a cell buffer with undefined contents; hand it back through `send_cell`."""

    def send_cell(self, cell_buffer: memoryview) -> None:
        """Send the L and R of a buffer made by `new_cell`, which is then no longer the caller's."""
