"""What one relay saw in a round, and how that becomes an integer of which each bit means the same.

A relay sees the frames on its links, whole, in their order, and the cells behind its own layer.
"""

from contextlib import contextmanager
from typing import NamedTuple

from peerstream.node.protocol.onion import setup
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.wire.frames import FrameType, split_header
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE

SETUP_CONTENTS, CELL_CONTENTS = -1, -2  # kinds of what no link carries
HEAD = 2_048  # bytes of a frame that are all looked at; a SETUP's header and payload begin here
THIN = 16  # of the rest, every so many: noise in any case


class Event(NamedTuple):
    """One frame at a relay, or what it found in one.

    phase: 0 while callees take their points, then the number of the call.
    """

    phase: int
    neighbour: str
    inbound: bool
    kind: int
    circuit: int
    data: bytes


class Layout:
    """Where in the integer which event stands; grows as events of new kinds come."""

    def __init__(self):
        self._places = {}
        self.width = 0

    def view(self, events):
        """All of them as one integer of at most `width` bits."""
        placed = [self._place(key, data) for key, data in _keyed(events)]
        buffer = bytearray(self.width // 8)
        for place, data in placed:
            buffer[place : place + len(data)] = data
        return int.from_bytes(buffer, "little")

    def _place(self, key, data):
        key = (key, len(data))
        if key not in self._places:
            self._places[key] = self.width // 8
            self.width += 8 * len(data)
        return self._places[key], data


def _keyed(events):
    """Each event under a name that the same event has in other rounds, and marks of the order.

    Circuits are known by the order in which they first appeared on their link.
    """
    ranks, numbers = {}, {}
    for order, event in enumerate(events):
        link = (event.phase, event.neighbour, event.inbound, event.kind)
        circuits = ranks.setdefault(event.neighbour, {})
        rank = circuits.setdefault(event.circuit, len(circuits))
        numbers[link, rank] = number = numbers.get((link, rank), -1) + 1
        yield ("order", order, link, rank, len(event.data)), b"\x01"
        yield (link, rank, number), _sample(event.data)
    for key, number in numbers.items():
        yield ("number", key, number), b"\x01"


def _sample(data):
    return data[:HEAD] + data[HEAD::THIN]


class Watch:
    """Listens on all links of a `MemoryNetwork` and writes each relay's events down.

    names: of relays by relay_id, of clients by the client. Install it before the first link is
    made. `change(kind, frame, source, target)` returns the frame as `source` sends it.
    """

    def __init__(self, network):
        self.names = {}
        self.events = {}
        self.change = None
        self._phase = 0
        self._here = None
        self._client = None
        self._pair = network._pair
        self._connect_client = network.connect_client
        network._pair = self._tapped
        network.connect_client = self._dialled

    def start(self, phase):
        """Go on with a phase of a round; with phase 0 forget the round before."""
        self._phase = phase
        if phase == 0:
            self.events = {}

    @contextmanager
    def inside(self):
        """Write also down what relays find in SETUPs, and behind their own layers."""
        opened, encipher = setup._open, Layer.encipher

        def opening(raw, relay_id, onion_keys):
            keys, plain = opened(raw, relay_id, onion_keys)
            self._found(SETUP_CONTENTS, plain)
            return keys, plain

        def enciphering(layer, cell, out):
            left = encipher(layer, cell, out)
            self._found(CELL_CONTENTS, bytes(out[: len(cell)]))
            return left

        setup._open, Layer.encipher = opening, enciphering
        try:
            yield
        finally:
            setup._open, Layer.encipher = opened, encipher

    def _found(self, kind, data):
        self._note(self._here, Event(self._phase, "", True, kind, 0, data))

    def _dialled(self, client, relay):
        self._client = client
        return self._connect_client(client, relay)

    def _tapped(self, dialer, listener, pools):
        cable = self._pair(dialer, listener, pools)
        near = self._client if dialer is None else dialer
        self._attach(cable, self.names.get(near, "client"), self.names[listener])
        return cable

    def _attach(self, cable, near, far):
        rest, deliver = {}, cable.deliver

        def through(target, data):
            ends = (near, far) if target is cable.ends[1] else (far, near)
            frames, rest[target] = _frames(rest.get(target, b"") + data)
            passed = b"".join(self._passed(frame, *ends) for frame in frames)
            self._here = ends[1]
            deliver(target, passed)

        cable.deliver = through

    def _passed(self, frame, source, target):
        kind, circuit = FrameType(frame[4]), int.from_bytes(frame[:4], "big")
        if self.change is not None:
            frame = self.change(kind, frame, source, target)
        self._note(source, Event(self._phase, target, False, kind, circuit, frame))
        self._note(target, Event(self._phase, source, True, kind, circuit, frame))
        return frame

    def _note(self, who, event):
        self.events.setdefault(who, []).append(event)


def _frames(data):
    """The whole frames at the beginning, and what is left."""
    frames, position = [], 0
    while len(data) - position >= LINK_HEADER_SIZE:
        end = position + LINK_HEADER_SIZE + split_header(data[position:])[3]
        if end > len(data):
            break
        frames.append(data[position:end])
        position = end
    return frames, data[position:]
