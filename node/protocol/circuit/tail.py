"""A frame that came in pieces (SPEC 4.1)."""

from peerstream.node.protocol.wire.frames import check_header, split_header
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE


class FrameTail:
    """The beginning of one frame whose end has not come yet; at most one frame, so bounded.

    Every byte is copied once, however small the pieces are.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def keep(self, rest: memoryview) -> None:
        """Hold the unfinished frame at the end of a chunk."""
        self._held += rest

    def complete(self, view: memoryview) -> tuple[bytearray | None, int]:
        """Return the whole frame, if `view` has its end, and where the next one begins in `view`.

        Raises FrameError for an impossible header, before its body is waited for.
        """
        held = self._held
        position = max(0, LINK_HEADER_SIZE - len(held))
        held += view[:position]
        if len(held) < LINK_HEADER_SIZE:
            return None, len(view)
        circuit_id, kind, flags, length = split_header(bytes(held[:LINK_HEADER_SIZE]))
        check_header(circuit_id, kind, flags, length)
        stop = position + LINK_HEADER_SIZE + length - len(held)
        held += view[position:stop]
        if stop > len(view):
            return None, len(view)
        self._held = bytearray()
        return held, stop
