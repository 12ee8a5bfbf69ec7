"""Paths, relays and circuits for the tests of this folder."""

from hashlib import shake_256
from itertools import combinations

from peerstream.node.protocol.onion.kem import KemPrivateKey
from peerstream.node.protocol.onion.layer import Layer
from peerstream.node.protocol.onion.setup import Hop, build_setup, process_setup
from peerstream.node.protocol.wire.status import Status

BUCKET = 2_900_000
TERMS = {"cell_class": 2, "real_time": False, "bucket": BUCKET}


class Entropy:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed=b""):
        self.seed, self.calls = seed, 0

    def __call__(self, count):
        self.calls += 1
        return shake_256(self.seed + self.calls.to_bytes(8, "big")).digest(count)


class Relay:
    def __init__(self, number):
        self.entropy = Entropy(b"relay %d" % number)
        self.relay_id = self.entropy(32)
        self.key = KemPrivateKey.from_seed(self.entropy(32))
        self.hop = Hop(self.relay_id, self.key.public)

    def process(self, frame):
        return process_setup(
            frame,
            relay_id=self.relay_id,
            onion_keys={self.key.public.key_id: self.key},
            entropy=self.entropy,
        )


RELAYS = [Relay(number) for number in range(5)]


class Circuit:
    """A whole setup over the first `count` relays: frames of every link, replies of every link."""

    def __init__(self, count, payload=b"payload", message=b"message", **terms):
        self.relays = RELAYS[:count]
        self.entropy = Entropy(b"owner")
        frame, self.pending = build_setup(
            [relay.hop for relay in self.relays],
            payload,
            entropy=self.entropy,
            **{**TERMS, **terms},
        )
        self.pending_hops = self.pending._hops
        self.frames, self.processed, self.replies = [], [], []
        for relay in self.relays:
            self.frames.append(frame)
            self.processed.append(relay.process(frame))
            frame = self.processed[-1].next_frame
        inner = message
        for relay, done in zip(reversed(self.relays), reversed(self.processed), strict=True):
            inner = done.reply.seal(inner, status=Status.OK, entropy=relay.entropy)
            self.replies.insert(0, inner)

    @property
    def hop_keys(self):
        return [done.keys for done in self.processed]


class Chain:
    """Both ends' layers of one circuit, with what every link carried of the last cell."""

    def __init__(self, keys, size):
        self.size = size
        self.owner_forward = [Layer(hop.forward, size) for hop in keys]
        self.owner_backward = [Layer(hop.backward, size) for hop in keys]
        self.hop_forward = [Layer(hop.forward, size) for hop in keys]
        self.hop_backward = [Layer(hop.backward, size) for hop in keys]
        self.wire = []

    def seal_forward(self, body, control=None, left=bytes(16)):
        """The cell as the owner sends it; `control`: to this hop, else through the last."""
        last = len(self.owner_forward) - 1 if control is None else control
        if control is not None:
            left = self.owner_forward[control].originate()
        buffer = self._buffer(left + body)
        for layer in reversed(self.owner_forward[: last + 1]):
            layer.decipher(buffer[: self.size], buffer)
        return bytes(buffer[: self.size])

    def send_forward(self, cell, tamper=None):
        """(hop that recognised it or None, the cell there); tamper = (link, byte, bit)."""
        self.wire = []
        buffer = self._buffer(cell)
        for number, layer in enumerate(self.hop_forward):
            if tamper is not None and tamper[0] == number:
                buffer[tamper[1]] ^= 1 << tamper[2]
            self.wire.append(bytes(buffer[: self.size]))
            left = layer.encipher(buffer[: self.size], buffer)
            if layer.is_for_us(left):
                layer.consume()
                return number, bytes(buffer[: self.size])
        return None, bytes(buffer[: self.size])

    def send_backward(self, hop, body, tamper=None, left=None):
        """From `hop` to the owner: a control cell unless `left` is given."""
        if left is None:
            left = self.hop_backward[hop].originate()
        self.wire = []
        buffer = self._buffer(left + body)
        for number in range(hop, -1, -1):
            self.hop_backward[number].encipher(buffer[: self.size], buffer)
            if tamper is not None and tamper[0] == number:
                buffer[tamper[1]] ^= 1 << tamper[2]
            self.wire.append(bytes(buffer[: self.size]))
        for number, layer in enumerate(self.owner_backward):
            taken = layer.decipher(buffer[: self.size], buffer)
            if layer.is_for_us(taken):
                layer.consume()
                return number, bytes(buffer[: self.size])
        return None, bytes(buffer[: self.size])

    def in_step(self):
        ends = [
            (self.owner_forward, self.hop_forward),
            (self.owner_backward, self.hop_backward),
        ]
        return all(
            (owner._keys, owner._marker, owner._tweak, owner._cells)
            == (hop._keys, hop._marker, hop._tweak, hop._cells)
            for owners, hops in ends
            for owner, hop in zip(owners, hops, strict=True)
        )

    def skip(self, cells):
        """Pass so many data cells through, forward."""
        for _ in range(cells):
            self.send_forward(self.seal_forward(bytes(self.size - 16), left=b"\xee" * 16))

    def _buffer(self, cell):
        buffer = bytearray(self.size + 16)
        buffer[: self.size] = cell
        return memoryview(buffer)


def blocks(frame):
    """All aligned 16-byte pieces."""
    return {frame[at : at + 16] for at in range(0, len(frame) - 15, 16)}


def share_a_block(frames):
    """Whether two of the frames have an aligned piece of 16 bytes in common, at any offset."""
    pieces = [blocks(frame) for frame in frames]
    return any(first & second for first, second in combinations(pieces, 2))


def distance(first, second):
    """The fraction of bits in which two cells differ."""
    mixed = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    return mixed.bit_count() / (8 * len(first))
