"""Two real sessions over fake circuits: what arrives, what does not, and what is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.limits import SessionLimits
from peerstream.node.protocol.session.multipath import Scheduling
from peerstream.node.protocol.session.state import TRANSITIONS, State
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.session.joined import Network, entropy_of


def payload(size, seed=1):
    return entropy_of(seed)(size)


class Transfer:
    """Sends a body on a stream and collects it at the other end."""

    def __init__(self, network, body, sender=0, service="files"):
        self.network, self.body = network, body
        self.source, self.sink = network.ends[sender], network.ends[1 - sender]
        self.stream = self.source.open_stream(service)
        self.offset, self.got, self.ended = 0, b"", False

    def push(self):
        if self.offset < len(self.body):
            self.offset += self.source.send(self.stream, self.body[self.offset :][:200_000])
            if self.offset == len(self.body):
                self.source.send_end(self.stream)

    def pull(self, limit=1 << 30):
        self.got += self.sink.receive(self.stream, limit)

    @property
    def done(self):
        return len(self.got) == len(self.body)

    def run(self, seconds=60.0, step=0.02):
        for _ in range(int(seconds / step)):
            self.push()
            self.network.run(step)
            if any(e.stream == self.stream for e in self.opened()):
                self.pull()
            if self.done:
                return
        raise AssertionError(f"{len(self.got)} of {len(self.body)} bytes arrived")

    def opened(self):
        log = self.network.log[1 if self.source is self.network.caller else 0]
        return [e for e in log if isinstance(e, ev.StreamOpened)]


@pytest.mark.parametrize("cell_class", [0, 1, 2, 3])
@pytest.mark.parametrize("sender", [0, 1])
def test_a_file_arrives_equal_and_ends(cell_class, sender):
    network = Network()
    network.first_path(size=CELL_SIZES[cell_class])
    transfer = Transfer(network, payload(700_001), sender)
    transfer.run()
    network.run(0.1)
    assert transfer.got == transfer.body
    assert ev.StreamEnded(transfer.stream) in network.log[1 - sender]


def test_streams_share_a_session_and_half_close():
    network = Network()
    network.first_path()
    number = network.caller.open_stream("echo")
    network.caller.send(number, b"question")
    network.caller.send_end(number)
    network.run(0.1)
    assert network.log[1][:2] == [ev.StreamOpened(number, "echo"), ev.Readable(number)]
    assert network.callee.receive(number, 100) == b"question"
    network.run(0.01)
    assert ev.StreamEnded(number) in network.log[1]
    network.callee.accept_stream(number)
    network.callee.send(number, b"answer")
    network.callee.send_end(number)
    network.run(0.1)
    assert ev.StreamAccepted(number) in network.log[0]
    assert network.caller.receive(number, 100) == b"answer"
    network.run(0.1)
    assert len(network.caller._streams) == len(network.callee._streams) == 0
    with pytest.raises(LocalProtocolError):
        network.caller.send(99, b"never opened")
    assert network.caller.send(number, b"closed") == 0


def test_reset_reaches_the_other_side_and_frees_both():
    network = Network()
    network.first_path()
    number = network.caller.open_stream("files")
    network.caller.send(number, bytes(100_000))
    network.run(0.05)
    network.callee.reset(number, Status.NO_SERVICE)
    network.run(0.1)
    assert ev.StreamReset(number, Status.NO_SERVICE) in network.log[0]
    assert len(network.caller._streams) == len(network.callee._streams) == 0
    assert network.caller.failure is None
    assert network.callee.failure is None


def test_a_slow_reader_bounds_memory_on_both_sides():
    limits = SessionLimits(send_buffer=300_000)
    network = Network(limits=(limits, limits))
    network.first_path()
    number = network.caller.open_stream("files")
    sent = 0
    for _ in range(50):
        sent += network.caller.send(number, bytes(100_000))
        network.run(0.05)
    half = network.callee._streams._table[number].receive
    assert half.available <= limits.stream_window
    assert network.caller._streams.buffered <= limits.send_buffer
    assert sent <= limits.send_buffer + limits.stream_window
    while sent:
        sent -= len(network.callee.receive(number, 50_000))
        network.run(0.1)
    assert ev.Writable(number) in network.log[0]


def test_streams_above_the_limit_are_refused_by_name():
    limits = SessionLimits(streams=3)
    network = Network(limits=(limits, limits))
    network.first_path()
    numbers = [network.caller.open_stream("files") for _ in range(5)]
    network.run(0.1)
    refused = [e.stream for e in network.log[0] if isinstance(e, ev.StreamReset)]
    assert refused == numbers[3:]
    assert network.callee.failure is None


def kill_during(network, transfer, when, kill):
    for step in range(400):
        transfer.push()
        network.run(0.003)
        if step == when:
            kill()
        if transfer.opened():
            transfer.pull()
        if transfer.done:
            return
    transfer.run()


@given(seed=st.integers(0, 2**32), when=st.integers(0, 60), scheduling=st.sampled_from(Scheduling))
def test_the_death_of_a_path_at_any_moment_loses_no_byte(seed, when, scheduling):
    network = Network(seed)
    network.first_path(jitter=0.02)
    second = network.another_path(delay=0.015, jitter=0.02)
    for end in network.ends:
        end.scheduling = scheduling
    transfer = Transfer(network, payload(900_000, seed))
    kill_during(network, transfer, when, lambda: network.kill(0 if seed % 2 else second))
    assert transfer.got == transfer.body
    assert network.caller.failure is None
    assert network.callee.failure is None


@given(when=st.integers(1, 40))
def test_a_silent_path_is_suspected_and_passed_by_within_a_second(when):
    network = Network()
    network.first_path(delay=0.005)
    network.another_path(delay=0.02)
    transfer = Transfer(network, payload(3_000_000))
    moments = []

    def freeze():
        network.freeze(0)
        moments.append(network.now)

    kill_during(network, transfer, when, freeze)
    assert transfer.got == transfer.body
    if any(isinstance(e, ev.PathSuspected) for e in network.log[0]):
        assert network.now - moments[0] < 3.0


@given(seed=st.integers(0, 2**32), where=st.integers(0, CELL_SIZES[2] - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_never_delivers_and_closes_the_path(seed, where, bit):
    network = Network(seed)
    pair = network.pipes(0)
    for end, pipe in zip(network.ends, pair, strict=True):
        end.add_path(0, pipe, 2, network.now)
    number = network.caller.open_stream("files")
    network.caller.send(number, payload(50_000))

    def tamper(cell):
        return cell[:where] + bytes((cell[where] ^ 1 << bit,)) + cell[where + 1 :]

    pair[0].tamper = tamper
    network.run(0.2)
    assert ev.PathClosed(0, Status.AEAD) in network.log[1]
    assert not any(isinstance(e, ev.StreamOpened) for e in network.log[1])
    assert network.callee.state is State.STRANDED


def test_a_dropped_or_repeated_cell_closes_the_path():
    for change in ("drop", "repeat"):
        network = Network()
        network.first_path()
        number = network.caller.open_stream("files")
        network.caller.send(number, payload(200_000))
        network.pump()
        when, count, pipe, _ = network.queue.pop(2)
        if change == "repeat":
            network.queue.append((when, count, pipe, network.queue[1][3]))
        network.queue.sort()
        network.run(0.1)
        assert ev.PathClosed(0, Status.AEAD) in network.log[1]


def test_a_stranded_session_resumes_and_loses_no_byte():
    network = Network()
    network.first_path()
    transfer = Transfer(network, payload(2_000_000))
    for _ in range(8):
        transfer.push()
        network.run(0.01)
    network.kill(0)
    network.pump()
    assert network.log[0][-1] == ev.Stranded()
    assert network.caller.state is network.callee.state is State.STRANDED
    first = network.caller.next_path
    network.resume(first)
    transfer.run()
    assert transfer.got == transfer.body
    with pytest.raises(LocalProtocolError):
        network.caller.resume(network.fresh(first), network.now)


def test_a_session_that_nobody_resumes_ends():
    network = Network()
    network.first_path()
    network.kill(0)
    network.run(599.0)
    assert network.caller.state is State.STRANDED
    network.run(2.0)
    assert network.log[0][-1] == ev.SessionClosed(Status.TIMEOUT, by_peer=False)
    assert network.caller.next_deadline() == float("inf")


def test_an_idle_session_ends_and_the_other_side_hears_why():
    network = Network()
    network.first_path()
    network.run(700.0)
    ends = [network.log[0][-1], network.log[1][-1]]
    assert all(isinstance(e, ev.SessionClosed) and e.code is Status.IDLE for e in ends)


def test_close_reaches_the_peer():
    network = Network()
    network.first_path()
    network.caller.close(Status.FINISHED, network.now)
    network.run(0.1)
    assert network.log[0] == [ev.SessionClosed(Status.FINISHED, by_peer=False)]
    assert network.log[1] == [ev.SessionClosed(Status.FINISHED, by_peer=True)]


def test_rekey_under_load_on_two_paths():
    network = Network(3)
    network.first_path()
    network.another_path(delay=0.02)
    for end in network.ends:
        end.scheduling = Scheduling.AGGREGATE
    keys = [path.sealer._key for path in network.caller._paths.alive.values()]
    transfer = Transfer(network, payload(4_000_000))
    for step in range(2_000):
        if step == 3:
            network.caller._rekey.bytes = 1 << 31
            network.now += 20.0
        transfer.push()
        network.run(0.005)
        if transfer.opened():
            transfer.pull()
        if transfer.done:
            break
    network.run(11.0)
    assert transfer.got == transfer.body
    assert ev.Rekeyed(1) in network.log[0]
    assert ev.Rekeyed(1) in network.log[1]
    assert not set(keys) & {path.sealer._key for path in network.caller._paths.alive.values()}
    later = network.another_path()
    network.run(1.0)
    assert ev.PathConfirmed(later) in network.log[1]


def test_several_rekeys_and_a_path_that_dies_in_the_middle():
    network = Network(4)
    network.first_path()
    network.caller.open_stream("keeps the session from being idle")
    for turn in range(1, 4):
        number = network.another_path()
        network.run(700.0, until=lambda turn=turn: network.caller._rekey.number == turn)
        network.run(0.004)
        network.kill(number)
        transfer = Transfer(network, payload(100_000, turn))
        transfer.run()
        network.run(11.0)
        assert ev.Rekeyed(turn) in network.log[0]
        assert ev.Rekeyed(turn) in network.log[1]


def test_the_callee_joins_again_by_itself():
    network = Network()
    network.first_path()
    number = network.callee.allocate_path()
    assert number == 1
    network.join(number, 0 + 1)
    network.kill(0)
    transfer = Transfer(network, payload(100_000))
    transfer.run()


def test_a_weaker_path_is_refused():
    network = Network()
    network.first_path()
    with pytest.raises(LocalProtocolError):
        network.caller.add_path(0, network.pipes(9)[0], 2, network.now)
    number = network.caller.allocate_path()
    network.offer(number, level=1)
    network.run(0.1)
    assert network.log[1][-1] == ev.SessionClosed(Status.LEVEL, by_peer=False)
    assert network.log[0][-1] == ev.SessionClosed(Status.LEVEL, by_peer=True)


def test_the_caller_is_verified_by_its_first_cell():
    proof = bytes(range(32))
    network = Network(proof=(proof, proof))
    network.first_path()
    assert not network.callee.verified
    number = network.caller.open_stream("files")
    network.caller.send(number, b"x")
    network.run(0.1)
    assert network.log[1][:2] == [ev.CallerVerified(), ev.StreamOpened(number, "files")]
    assert network.callee.verified


@pytest.mark.parametrize("shown", [None, bytes(32)])
def test_no_proof_or_a_wrong_one_ends_the_session(shown):
    network = Network(proof=(shown, bytes(range(32))))
    network.first_path()
    network.caller.open_stream("files")
    network.run(0.1)
    assert network.log[1][-1] == ev.SessionClosed(Status.AUTH_FAILED, by_peer=False)
    assert network.log[0][-1] == ev.SessionClosed(Status.AUTH_FAILED, by_peer=True)
    assert not any(isinstance(e, ev.StreamOpened) for e in network.log[1])


def test_datagrams_arrive_or_are_too_late():
    network = Network()
    network.first_path(room=4)
    bodies = [payload(size, size) for size in (0, 10, 900, 20_000, 100_000)]
    for body in bodies:
        assert network.caller.send_datagram(7, body, life=0.5, now=network.now)
    network.run(0.3)
    got = [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]
    assert sorted(got, key=len) == bodies
    network.paths[0][0].limit = 0
    assert network.caller.send_datagram(7, b"late", life=0.02, now=network.now)
    network.run(0.1)
    network.paths[0][0].limit = 4
    network.run(0.1)
    assert b"late" not in [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]


def test_a_redundant_datagram_is_told_once_and_survives_a_path():
    network = Network()
    network.first_path()
    network.another_path(delay=0.03)
    network.caller.scheduling = Scheduling.REDUNDANT
    network.run(0.2)
    network.freeze(0)
    for index in range(5):
        network.caller.send_datagram(1, bytes((index,)), life=1.0, now=network.now)
        network.run(0.02)
    network.run(0.2)
    got = [e.data for e in network.log[1] if isinstance(e, ev.DatagramReceived)]
    assert got == [bytes((index,)) for index in range(5)]


def test_every_state_can_be_left_and_closed_is_final():
    assert all(state is not State.CLOSED for state, _ in TRANSITIONS)
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.CLOSED}


def test_secrets_are_not_shown():
    network = Network()
    network.first_path()
    shown = repr(network.caller) + repr(network.caller._paths) + repr(network.log)
    assert network.caller.resume_key.hex() not in shown
