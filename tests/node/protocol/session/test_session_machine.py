"""A stateful test: whatever is sent, killed, joined, read or rekeyed, the bytes are the bytes."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.errors import PathsPausedError
from peerstream.node.protocol.session.limits import SessionLimits
from peerstream.node.protocol.session.multipath import Scheduling
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from tests.node.protocol.session.joined import Network, entropy_of

POOL = entropy_of("pool")(1 << 20)
LIMITS = SessionLimits(stream_window=40_000, send_buffer=100_000, streams=8)


class Sessions(RuleBasedStateMachine):
    """Both ends, a few streams each way, paths that come and go."""

    def __init__(self):
        super().__init__()
        self.network = Network(1, limits=(LIMITS, LIMITS))
        self.network.first_path(size=CELL_SIZES[1], jitter=0.02)
        self.sent = {}  # (end, stream) -> bytes
        self.got = {}
        self.ended = set()

    @property
    def alive(self):
        return list(self.network.caller._paths.alive)

    @rule(end=st.integers(0, 1))
    def open(self, end):
        if sum(1 for key in self.sent if key[0] == end) < 4:
            stream = self.network.ends[end].open_stream("s")
            self.sent[end, stream] = b""

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), size=st.integers(1, 60_000))
    def send(self, data, size):
        key = data.draw(st.sampled_from(sorted(self.sent)))
        if key not in self.ended:
            start = len(self.sent[key]) % 500_000
            body = POOL[start : start + size]
            taken = self.network.ends[key[0]].send(key[1], body)
            self.sent[key] += body[:taken]

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def end(self, data):
        key = data.draw(st.sampled_from(sorted(self.sent)))
        if key not in self.ended:
            self.ended.add(key)
            self.network.ends[key[0]].send_end(key[1])

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.2]))
    def wait(self, seconds):
        self.network.run(seconds)

    @rule(limit=st.integers(1, 50_000))
    def read(self, limit):
        for end, stream in self.sent:
            opened = ev.StreamOpened(stream, "s")
            if opened in self.network.log[1 - end]:
                piece = self.network.ends[1 - end].receive(stream, limit)
                self.got[end, stream] = self.got.get((end, stream), b"") + piece

    @precondition(lambda self: 1 <= len(self.alive) <= 3)
    @rule(size=st.sampled_from(CELL_SIZES[:3]), delay=st.sampled_from([0.002, 0.03]))
    def add_path(self, size, delay):
        number = self.network.caller.allocate_path()
        self.network.offer(number)
        self.network.run(2.0, until=lambda: self.network.was_offered(number))
        self.network.pump()
        assert self.network.was_offered(number)
        self.network.run(1.0, until=lambda: not self.network.caller.paths_paused)
        with suppress(PathsPausedError):  # the rekey overtook the offer
            self.network.join(number, 1, size=size, delay=delay)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def kill(self, data):
        self.network.kill(data.draw(st.sampled_from(self.alive)))
        self.network.pump()
        if self.network.caller.state is State.STRANDED:
            self.network.run(0.1)
            self.network.resume(self.network.next_path())

    @precondition(lambda self: self.network.caller._rekey.complete and len(self.alive) > 0)
    @rule()
    def rekey(self):
        self.network.now += 12.0
        self.network.caller._rekey.bytes = 1 << 30
        self.network.run(0.05)

    @rule(how=st.sampled_from(Scheduling))
    def schedule(self, how):
        for end in self.network.ends:
            end.scheduling = how

    @invariant()
    def bytes_are_a_prefix(self):
        for key, got in self.got.items():
            assert self.sent[key].startswith(got)

    @invariant()
    def nobody_broke_a_rule(self):
        assert self.network.caller.failure is None
        assert self.network.callee.failure is None

    def teardown(self):
        for _ in range(200):
            self.read(1 << 20)
            self.network.run(0.2)
            if all(self.got.get(key, b"") == body for key, body in self.sent.items()):
                break
        for key, body in self.sent.items():
            assert self.got.get(key, b"") == body
        self.network.run(1.0)
        for end, stream in self.ended:
            assert ev.StreamEnded(stream) in self.network.log[1 - end]


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
