"""Processes under audit made by hand: what each would have recorded of connections and circuits."""

import os

from peerstream.node.lab.audit.facts import Fact, Known
from peerstream.node.lab.audit.framing import Frame
from peerstream.node.lab.audit.recorder import Record, Tap
from peerstream.node.lab.audit.view import ProcessView, Unit
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import ROUTING_SIZE, SETUP_BODY_SIZE, SETUP_HEADER_SIZE

CALLER, CALLEE, RELAY = "127.201.0.1", "127.202.0.1", "127.3.0.1"
IP, OTHER_IP = Fact("ip", "caller"), Fact("ip", "callee")
NAME = Fact("address", "callee")
ADDRESS = os.urandom(20)
KNOWN = Known.of({"caller": CALLER, "callee": CALLEE}, [(NAME, ADDRESS)])
CELL_BODY = 1_008
NEXT_HOP = os.urandom(ROUTING_SIZE)


class Scene:
    """One process; numbers of connections, circuits and keys are the test's."""

    def __init__(self, name="relay-01", role="relay", ip="127.1.0.1"):
        self.view = ProcessView(name, role, ip)

    def number(self):
        number = len(self.view.times)
        self.view.times[number] = float(number)
        return number

    def connect(self, connection, ip):
        self.view.peers[connection] = (ip, 4_001)
        peer = repr((ip, 4_001)).encode()
        self.unit("socket", ("connection", connection), peer)

    def unit(self, layer, node, data):
        self.view.units.append(Unit(layer, node, data, self.number()))

    def log(self, data):
        self.view.units.append(Unit("log", ("log",), data, None))

    def frame(self, connection, circuit, kind, body):
        frame = Frame(circuit, kind, body, self.number())
        self.view.frames.append((connection, frame))
        self.view.units.append(Unit("frame", ("circuit", connection, circuit), body, frame.record))

    def cell(self, connection, circuit, right):
        self.frame(connection, circuit, FrameType.CELL, os.urandom(16) + right)

    def setup(self, connection, circuit, body):
        self.frame(connection, circuit, FrameType.SETUP, bytes(SETUP_HEADER_SIZE) + body)

    def cipher(self, key, before, after, tap=Tap.SEALED):
        parts = (before if tap is Tap.SEALED else before[:32], after, b"")
        record = Record(self.number(), 0.0, tap, key, parts)
        self.view.ciphers.append(record)
        for part in parts[:2] if tap is Tap.SEALED else parts[1:]:
            self.view.units.append(Unit("cipher", ("key", key), part, record.number))

    def forward_cell(self, came, goes, key):
        """Pass a cell from one circuit to another; each is (connection, circuit id)."""
        before, after = os.urandom(CELL_BODY), os.urandom(CELL_BODY)
        self.cell(*came, before)
        self.cipher(key, before, after)
        self.cell(*goes, after)
        return before, after

    def forward_setup(self, came, goes, key):
        """Take the layer off a SETUP and send the rest on."""
        before, rest = os.urandom(SETUP_BODY_SIZE), os.urandom(SETUP_BODY_SIZE)
        plain = NEXT_HOP + rest[: SETUP_BODY_SIZE - ROUTING_SIZE]
        self.setup(*came, before)
        self.cipher(key, before, plain, Tap.OPENED)
        self.setup(*goes, rest)
        return before, rest

    def end(self, came, key, plaintext):
        """Read what a cell of a circuit that ends here says."""
        before = os.urandom(CELL_BODY)
        self.cell(*came, before)
        self.cipher(key, before, plaintext.ljust(CELL_BODY, b"\0"))
