"""Cuts a connection's plaintext into Yamux frames, wherever messages begin and end (SPEC 9.5)."""

from collections.abc import Callable

from peerstream.node.network.errors import BadFrameError
from peerstream.node.network.yamux_frames import DATA, HEADER, HEADER_SIZE, VERSION


class FrameReader:
    """Calls ``frame(kind, flags, stream_id, length)`` for each header, ``body(data, last)`` after.

    A body is passed on as it arrives, never gathered: a stranger cannot make us wait for 4 GiB.
    """

    __slots__ = ("_body", "_body_left", "_frame", "_partial")

    def __init__(
        self,
        frame: Callable[[int, int, int, int], None],
        body: Callable[[memoryview, bool], None],
    ) -> None:
        self._frame = frame
        self._body = body
        self._partial = b""  # a header that is not whole yet
        self._body_left = 0

    def receive(self, message: bytes) -> None:
        """Take the plaintext of one message.

        Raises:
            BadFrameError: a header of another version.

        """
        data = memoryview(self._partial + message if self._partial else message)
        self._partial = b""
        position, end = 0, len(data)
        while position < end:
            if self._body_left:
                stop = min(position + self._body_left, end)
                self._body_left -= stop - position
                self._body(data[position:stop], self._body_left == 0)
                position = stop
            elif end - position < HEADER_SIZE:
                self._partial = bytes(data[position:])
                return
            else:
                version, kind, flags, stream_id, length = HEADER.unpack_from(data, position)
                if version != VERSION:
                    raise BadFrameError("an unknown version of Yamux")
                self._body_left = length if kind == DATA else 0
                self._frame(kind, flags, stream_id, length)
                position += HEADER_SIZE
