"""A cursor over bytes from a stranger that never reads past the end (SPEC 0)."""

from peerstream.node.protocol.errors import MalformedError


class Reader:
    """Reads big-endian fields in order; every way to run out of bytes is a MalformedError.

    `data` is copied once, so the fields stay valid when the buffer it came from is used again.
    """

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self._position = 0

    @property
    def remaining(self) -> int:
        """How many bytes were not read yet."""
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes; MalformedError when fewer are left."""
        end = self._position + count
        if count < 0 or end > len(self._data):
            raise MalformedError(f"{count} bytes wanted, {self.remaining} left")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes, big-endian."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Four bytes, big-endian."""
        return int.from_bytes(self.take(4), "big")

    def u64(self) -> int:
        """Eight bytes, big-endian."""
        return int.from_bytes(self.take(8), "big")

    def zeros(self, count: int) -> None:
        """`count` reserved bytes; MalformedError when one of them is not zero."""
        if any(self.take(count)):
            raise MalformedError("a reserved byte is not zero")

    def rest(self) -> bytes:
        """Everything not read yet, possibly nothing."""
        return self.take(self.remaining)

    def end(self) -> None:
        """MalformedError unless all bytes were read: one encoding per value."""
        if self.remaining:
            raise MalformedError(f"{self.remaining} bytes too many")
