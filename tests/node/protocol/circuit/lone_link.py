"""One link whose neighbour is played by hand."""

from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.wire.frames import (
    HEADER,
    FrameType,
    Hello,
    encode_frame,
)
from peerstream.node.protocol.wire.sizes import CELL_SIZES, SETUP_SIZE
from peerstream.node.protocol.wire.version import VersionRange
from tests.node.protocol.circuit.memory_network import GENEROUS

HELLO = encode_frame(0, FrameType.HELLO, Hello(VersionRange(1, 1), 0, 0, 0, 64).encode())
THEIRS = 0x8000_0001  # the first id of the dialer, as the listener sees it
CELL = CELL_SIZES[2]


class Circuit:
    """Records what a link tells one circuit."""

    def __init__(self):
        self.cells, self.replies, self.ends, self.rooms = [], [], [], 0

    def cell_received(self, cell):
        self.cells.append(bytes(cell))

    def reply_received(self, frame):
        self.replies.append(frame)

    def leg_closed(self, leg, reason):
        self.ends.append(reason)

    def room_available(self, leg):
        self.rooms += 1


def listener(limits=GENEROUS, *, greeted=True, relays=True):
    """A link of a relay; SETUPs are put into `setups`."""
    link = Link(dialer=False, peer=None, limits=limits, now=0.0)
    setups = []
    if relays:
        link.on_setup = lambda _link, circuit_id, _frame: setups.append(circuit_id)
    if greeted:
        link.receive_data(HELLO, 0.0)
    link.data_to_send(1 << 20)
    return link, setups


def opened(link, circuit_id=THEIRS, cell_class=2, *, real_time=False):
    """A circuit that the neighbour opened."""
    link.receive_data(setup(circuit_id), link.now)
    circuit = Circuit()
    leg = link.register(circuit_id, circuit, cell_class=cell_class, real_time=real_time)
    return circuit, leg


def setup(circuit_id=THEIRS):
    return encode_frame(circuit_id, FrameType.SETUP, bytes(SETUP_SIZE))


def cell(circuit_id=THEIRS, byte=0, size=CELL):
    return encode_frame(circuit_id, FrameType.CELL, bytes([byte]) * size)


def sent(link, budget=1 << 24):
    """Every frame that the link sends: (circuit, type, body)."""
    data = b"".join(link.data_to_send(budget))
    frames = []
    while data:
        circuit_id, kind, _, length = HEADER.unpack_from(data)
        frames.append((circuit_id, FrameType(kind), data[8 : 8 + length]))
        data = data[8 + length :]
    return frames
