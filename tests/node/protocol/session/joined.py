"""Two real sessions joined by ports that carry their sealed cells, under a clock of ours."""

import heapq
import random
from hashlib import sha256

from peerstream.node.protocol.session.events import PathOffered
from peerstream.node.protocol.session.frames import AddPath
from peerstream.node.protocol.session.limits import DEFAULT_LIMITS, SessionTerms
from peerstream.node.protocol.session.paths import Role
from peerstream.node.protocol.session.schedule import resumed_secrets, session_secrets
from peerstream.node.protocol.session.session import Session
from peerstream.node.protocol.wire.sizes import CELL_SIZES


def entropy_of(seed):
    source = random.Random(seed)
    return source.randbytes


def secrets(proof=None, seed=b"session"):
    return session_secrets(sha256(seed).digest(), sha256(seed + b"h").digest(), proof)


class Pipe:
    """One direction of a path: delivers cells in order after a delay, until it dies."""

    def __init__(self, network, number, target, delay, cell_size, room):
        self.network, self.number, self.target = network, number, target
        self.delay, self.cell_size = delay, cell_size
        self.limit = room
        self.waiting = 0
        self.dead = False
        self.frozen = False
        self.last = 0.0
        self.cells = 0
        self.tamper = None

    def room(self):
        return 0 if self.dead else self.limit - self.waiting

    def new_cell(self):
        return memoryview(bytearray(b"\xee" * (self.cell_size + 24)))

    def send_cell(self, buffer):
        assert len(buffer) == self.cell_size + 24
        self.cells += 1
        if self.dead or self.frozen:
            return
        self.waiting += 1
        self.last = max(self.last, self.network.now + self.delay())
        self.network.post(self.last, self, bytes(buffer[8:-16]))


class Network:
    """Both ends, the cells between them and the time."""

    def __init__(self, seed=0, *, limits=(DEFAULT_LIMITS, DEFAULT_LIMITS), proof=(None, None)):
        self.now = 100.0
        self.random = random.Random(seed)
        self.queue = []
        self.count = 0
        ends = zip((Role.CALLER, Role.CALLEE), limits, limits[::-1], proof, strict=True)
        self.ends = [
            Session(
                role,
                secrets(p),
                SessionTerms(2, limit, peer.stream_window),
                now=self.now,
                entropy=entropy_of(f"{seed}{role}"),
            )
            for role, limit, peer, p in ends
        ]
        self.caller, self.callee = self.ends
        self.paths = {}
        self.log = ([], [])

    def post(self, when, pipe, cell):
        self.count += 1
        heapq.heappush(self.queue, (when, self.count, pipe, cell))

    def pipes(self, number, delay=0.01, jitter=0.002, size=CELL_SIZES[2], room=64):
        def wait():
            return delay + self.random.random() * jitter

        pair = [Pipe(self, number, target, wait, size, room) for target in (1, 0)]
        self.paths[number] = pair
        return pair

    def first_path(self, **settings):
        pair = self.pipes(0, **settings)
        for end, pipe in zip(self.ends, pair, strict=True):
            end.add_path(0, pipe, 2, self.now)

    def offer(self, number, level=2):
        self.caller.offer_path(AddPath(number, bytes(32), bytes(32), 2, level))

    def fresh(self, first):
        new = secrets(seed=b"again%d" % first)
        return resumed_secrets(new, bytes(32), self.caller.resume_key, first)

    def next_path(self):
        return max(end.next_path for end in self.ends)

    def resume(self, first):
        new = self.fresh(first)
        pair = self.pipes(first)
        for end, pipe in zip(self.ends, pair, strict=True):
            end.resume(new, self.now)
            end.add_path(first, pipe, 2, self.now)

    def another_path(self, **settings):
        number = self.caller.allocate_path()
        self.join(number, 1, **settings)
        return number

    def join(self, number, joiner, **settings):
        """End ``joiner`` joins, the other reads its blob."""
        pair = self.pipes(number, **settings)
        if joiner == 1 and number % 2 == 0 and not self.was_offered(number):
            self.offer(number)
            self.run(1.0, until=lambda: self.was_offered(number))
        blob = self.ends[joiner].join_blob(number)
        expected = number if joiner == 1 and number % 2 == 0 else None
        assert self.ends[1 - joiner].open_join_blob(blob, expected) == number
        self.ends[joiner].add_path(number, pair[joiner], 2, self.now)
        self.ends[1 - joiner].add_path(number, pair[1 - joiner], 2, self.now)

    def was_offered(self, number):
        return any(isinstance(e, PathOffered) and e.path == number for e in self.log[1])

    def kill(self, number):
        for end, pipe in zip(self.ends, self.paths[number], strict=True):
            pipe.dead = True
            end.path_lost(number, self.now)

    def freeze(self, number):
        for pipe in self.paths[number]:
            pipe.frozen = True

    def pump(self):
        for end, log in zip(self.ends, self.log, strict=True):
            end.pump(self.now)
            log.extend(end.events())

    def step(self, horizon):
        """Deliver the next cell or let the next deadline pass, not beyond the horizon."""
        due = self.queue[0][0] if self.queue else float("inf")
        timer = max(self.now + 0.0005, min(end.next_deadline() for end in self.ends))
        when = min(due, timer)
        if when > horizon:
            self.now = max(self.now, horizon)
            return False
        self.now = max(self.now, when)
        if due <= timer:
            _, _, pipe, cell = heapq.heappop(self.queue)
            pipe.waiting -= 1
            if not pipe.dead:
                if pipe.tamper is not None:
                    cell = pipe.tamper(cell)
                buffer = memoryview(bytearray(8) + bytearray(cell) + bytearray(16))
                self.ends[pipe.target].receive_cell(pipe.number, buffer, self.now)
        for end in self.ends:
            end.tick(self.now)
        self.pump()
        return True

    def run(self, seconds, until=None):
        self.pump()
        horizon = self.now + seconds
        while not (until is not None and until()):
            if not self.step(horizon):
                return
