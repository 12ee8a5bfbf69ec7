"""The tagging game: one relay marks what it passes on, another tries to tell which mark it was.

A circuit of a caller and one of a callee are spliced over six relays, and cells that everybody
knows go both ways: a number where sessions have a tag that nobody can know, and zeros. A relay that
is drawn does one of two things to one cell. Whoever stands beyond the next, honest relay, an end of
the circuits included, must not tell which of the two better than a coin: a mark says no more than
cutting the circuit would.
"""

import random

from peerstream.node.protocol.circuit.bodies import Joining, Listening
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES, LINK_HEADER_SIZE
from tests.games.distinguisher import Distinguisher
from tests.games.view import CELL_CONTENTS, Event, Layout, Watch
from tests.hostile.tap import flipped
from tests.node.protocol.circuit.memory_network import MemoryNetwork

WAY = (
    "caller",
    "caller's guard",
    "caller's vanguard",
    "rendezvous point",
    "callee's middle",
    "callee's vanguard",
    "callee's guard",
    "callee",
)
RELAYS = WAY[1:-1]
CELLS = 5
STRUCK = 2  # which of them is changed
BITS = 40, 4_001  # of a cell: in its first 16 bytes, and behind them


class Flip:
    """Changes one of two bits of a cell."""

    def __call__(self, number, body, mark):
        return flipped(body, BITS[mark]) if number == STRUCK else body


class Replay:
    """Sends one of the two cells before it in place of a cell."""

    def __init__(self):
        self._sent = []

    def __call__(self, number, body, mark):
        self._sent.append(body)
        return self._sent[mark] if number == STRUCK else body


DEEDS = {"flip": Flip, "replay": Replay}


class TaggingGame:
    """Rounds of one deed; `scores` by who judges."""

    def __init__(self, deed, seed):
        self.deed = DEEDS[deed]
        self.random = random.Random(seed)
        self.network = MemoryNetwork(seed)
        self.watch = Watch(self.network)
        self.watch.change = self._change
        self.relays = [self.network.relay() for _ in RELAYS]
        self.clients = [self.network.client() for _ in range(2)]
        self.watch.names |= {r.relay_id: name for r, name in zip(self.relays, RELAYS, strict=True)}
        self.watch.names |= dict(zip(self.clients, (WAY[0], WAY[-1]), strict=True))
        self.layouts = {name: Layout() for name in WAY}
        self.scores = {name: Distinguisher() for name in WAY}
        self._tag = None

    def play(self, rounds):
        """Two rounds for each pair of circuits: a cell is changed once in each direction."""
        with self.watch.inside():
            for _ in range(rounds // 2):
                owners = self._splice()
                for step in (1, -1):
                    self._round(owners, step)
                self._clear_away(owners)

    def _round(self, owners, step):
        place, mark = self.random.randrange(1, len(WAY) - 1), self.random.randrange(2)
        self.watch.start(0)
        self._tag = _Tag(WAY[place], WAY[place + step], self.deed(), mark)
        sender, reader = owners[::step]
        for number in range(CELLS):
            sender.send(number.to_bytes(16, "little") + bytes(CELL_SIZES[0] - 16))
            self.network.run()
        assert self._tag.struck
        assert reader.cell_count == CELLS
        honest = WAY[place + step]
        for name in WAY[1:] if step == 1 else WAY[:-1]:
            if name not in {WAY[place], honest}:
                self._judge(name, reader, mark)

    def _splice(self):
        """Two circuits that meet; the frames of their making are no part of a view."""
        guard, vanguard, point, *theirs = self.relays
        cookie = self.network.entropy(32)
        ends = (
            ([guard, vanguard, point], Command.RDV_LISTEN, Listening(cookie).encode()),
            ([*theirs[::-1], point], Command.RDV_JOIN, Joining(cookie, bytes(2_048)).encode()),
        )
        owners = []
        for client, (path, command, body) in zip(self.clients, ends, strict=True):
            owners.append(client.circuit(path, command, body, cell_class=0))
            self.network.run()
            assert owners[-1].message == b""
        return owners

    def _change(self, kind, frame, source, target):
        if self._tag is None or kind is not FrameType.CELL:
            return frame
        return self._tag.passed(frame, source, target)

    def _judge(self, name, reader, mark):
        layout = self.layouts[name]
        if name in {WAY[0], WAY[-1]}:
            events = [Event(0, "", True, CELL_CONTENTS, 0, cell) for cell in reader.cells]
        else:
            events = self.watch.events.get(name, [])
        self.scores[name].play(layout.view(events), layout.width, mark)

    def _clear_away(self, owners):
        self._tag = None
        for owner in owners:
            owner.circuit.close()
        for client in self.clients:
            client.circuits.clear()
        self.network.run()
        self.network.now += 1.0


class _Tag:
    """What the relay that marks does to the cells that it passes on to one neighbour."""

    def __init__(self, source, target, deed, mark):
        self.ends = source, target
        self.struck = False
        self._deed = deed
        self._mark = mark
        self._number = 0

    def passed(self, frame, source, target):
        if (source, target) != self.ends:
            return frame
        body = self._deed(self._number, frame[LINK_HEADER_SIZE:], self._mark)
        self._number += 1
        changed = frame[:LINK_HEADER_SIZE] + body
        self.struck = self.struck or changed != frame
        return changed
