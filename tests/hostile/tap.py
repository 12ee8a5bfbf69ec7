"""A wire-tap on every link of a `MemoryNetwork`: sees each frame and may change it."""

from typing import NamedTuple

from peerstream.node.protocol.wire.frames import FrameType, split_header
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE

ONION = frozenset({FrameType.SETUP, FrameType.REPLY, FrameType.CELL})


class Seen(NamedTuple):
    """One frame: on which link, towards its dialer or its listener, and what it carried."""

    link: int
    to_dialer: bool
    kind: FrameType
    body: bytes


class Tap:
    """Install before the first link. `change` gets (seen, number of that kind here) -> new body.

    A body of None takes the frame away.
    """

    def __init__(self, network):
        self.seen = []
        self.links = 0
        self.change = None
        self._numbers = {}
        make = network._pair

        def tapped(*arguments):
            cable = make(*arguments)
            self._attach(cable)
            return cable

        network._pair = tapped

    def onion_frames(self, kind=None):
        return [f for f in self.seen if f.kind in ONION and kind in (None, f.kind)]

    def _attach(self, cable):
        link, self.links = self.links, self.links + 1
        rest, deliver = {}, cable.deliver

        def through(target, data):
            data = rest.get(target, b"") + data
            position, passed = 0, []
            while len(data) - position >= LINK_HEADER_SIZE:
                end = position + LINK_HEADER_SIZE + split_header(data[position:])[3]
                if end > len(data):
                    break
                to_dialer = target is cable.ends[0]
                passed.append(self._frame(link, data[position:end], to_dialer=to_dialer))
                position = end
            rest[target] = data[position:]
            deliver(target, b"".join(passed))

        cable.deliver = through

    def _frame(self, link, frame, *, to_dialer):
        kind = FrameType(frame[4])
        seen = Seen(link, to_dialer, kind, frame[LINK_HEADER_SIZE:])
        self.seen.append(seen)
        where = (link, to_dialer, kind)
        self._numbers[where] = number = self._numbers.get(where, -1) + 1
        if self.change is None:
            return frame
        body = self.change(seen, number)
        return b"" if body is None else frame[:LINK_HEADER_SIZE] + body


def flipped(body, bit):
    """The body with one bit changed; `bit` is taken modulo its length."""
    changed = bytearray(body)
    bit %= 8 * len(body)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
