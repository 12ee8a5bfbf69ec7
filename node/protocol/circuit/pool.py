"""Cell buffers that are used again and again (SPEC 4.6)."""

from peerstream.node.protocol.wire.sizes import CELL_BUFFER_OVERHEAD, CELL_SIZES

KEPT_BYTES = 2 * 1_024 * 1_024  # per class: what eight 64 KiB batches to each of 4 links use
KEPT_BUFFERS = 256  # small classes: more would only be looked at again after a burst


class BufferPool:
    """Cell buffers of every class, shared by all links of one process.

    A buffer is one writable memoryview of ``cell_size + 24`` bytes. At most `KEPT_BYTES` of each
    class are kept; what is given back above that goes to the allocator.
    """

    def __init__(self) -> None:
        self._allocated = dict.fromkeys(CELL_SIZES, 0)
        self._free: dict[int, list[memoryview]] = {size: [] for size in CELL_SIZES}
        self._kept = {size: min(KEPT_BUFFERS, KEPT_BYTES // size) for size in CELL_SIZES}

    def take(self, cell_size: int) -> memoryview:
        """Lend a buffer for a cell of `cell_size` bytes; its contents are undefined."""
        free = self._free[cell_size]
        if free:
            return free.pop()
        self._allocated[cell_size] += 1
        return memoryview(bytearray(cell_size + CELL_BUFFER_OVERHEAD))

    def give(self, buffer: memoryview) -> None:
        """Take a buffer back; nobody may use it any more."""
        cell_size = len(buffer) - CELL_BUFFER_OVERHEAD
        free = self._free[cell_size]
        if len(free) < self._kept[cell_size]:
            free.append(buffer)
        else:
            self._allocated[cell_size] -= 1

    @property
    def lent_bytes(self) -> int:
        """Bytes of cells that are in use: waiting in queues, nearly always."""
        return sum(
            size * (allocated - len(self._free[size]))
            for size, allocated in self._allocated.items()
        )
