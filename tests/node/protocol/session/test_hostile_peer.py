"""A peer with valid keys that sends whatever it likes: named errors, bounded memory, no crash."""

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peerstream.node.protocol.session import errors
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session import frames as fr
from peerstream.node.protocol.session.cell import CellSealer
from peerstream.node.protocol.session.limits import SessionLimits
from peerstream.node.protocol.session.schedule import Direction, PathChain
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from peerstream.node.protocol.wire.status import Status
from tests.node.protocol.session.joined import Network, secrets
from tests.node.protocol.session.test_frames import any_frame

SIZE = CELL_SIZES[1]


class Liar:
    """Seals arbitrary plaintext for one end of a network whose other end it replaces."""

    def __init__(self, target=1, limits=None, size=SIZE):
        limits = limits or SessionLimits()
        self.network = Network(limits=(limits, limits))
        self.network.first_path(size=size)
        direction = Direction.TO_CALLEE if target == 1 else Direction.TO_CALLER
        key = PathChain(secrets().chains[direction], direction).take(0)
        self.sealer = CellSealer(key, 0, direction)
        self.victim = self.network.ends[target]
        self.size = size
        for pipe in self.network.paths[0]:
            pipe.frozen = True

    def send(self, text):
        if isinstance(text, list):
            text = b"".join(map(fr.encode, text))
        text = text[: self.size - 16].ljust(self.size - 16, b"\0")
        buffer = memoryview(bytearray(24) + bytearray(text) + bytearray(16))
        self.sealer.seal(buffer)
        self.network.now += 0.001
        self.victim.receive_cell(0, buffer, self.network.now)
        self.victim.tick(self.network.now)
        self.victim.pump(self.network.now)

    def closed_by(self, error, status):
        assert type(self.victim.failure) is error
        assert self.victim.events()[-1] == ev.SessionClosed(status, by_peer=False)


def data(stream, offset, body=b"", *, fin=False):
    return fr.Data(stream, offset, memoryview(body), fin)


@given(st.integers(0, 1), st.lists(st.lists(any_frame, max_size=5), min_size=1, max_size=12))
@example(0, [[fr.Switch(0), fr.Switch(0)]])  # the second comes on a path that the first ended
@example(1, [[fr.PathStatus(0, Status.CLOSED), fr.Switch(0)]])
def test_any_frames_end_in_a_named_state(target, cells):
    liar = Liar(target)
    for frames in cells:
        liar.send(frames)
        liar.victim.events()
    assert liar.victim.state in (State.OPEN, State.STRANDED, State.CLOSED)
    assert (liar.victim.failure is None) or liar.victim.state is State.CLOSED


small = st.integers(0, 9)


@given(
    st.integers(0, 1),
    st.lists(
        st.one_of(
            st.builds(data, small, small, st.binary(max_size=9), fin=st.booleans()),
            st.builds(fr.Open, small, st.just("a")),
            st.builds(fr.Opened, small),
            st.builds(fr.Reset, small, small, st.just(Status.CLOSED)),
            st.builds(fr.Credit, small, small),
            st.builds(fr.Ack, small, small, small, small),
            st.builds(fr.AddPath, small, st.just(bytes(32)), st.just(bytes(32)), small, small),
            st.builds(fr.PathStatus, small, st.just(Status.CLOSED)),
            st.builds(fr.Rekey1, small, small, st.integers(0, 1), st.just(bytes(608))),
            st.builds(fr.Rekey2, small, st.integers(0, 1), st.just(bytes(560))),
            st.builds(fr.Rekey3, small),
            st.builds(fr.Switch, small),
        ),
        max_size=20,
    ),
)
def test_plausible_frames_end_in_a_named_state(target, frames):
    liar = Liar(target)
    liar.victim.open_stream("ours")
    for frame in frames:
        liar.send([frame])
        for event in liar.victim.events():
            if isinstance(event, ev.Readable):
                liar.victim.receive(event.stream, 4)
    assert liar.victim.state in (State.OPEN, State.STRANDED, State.CLOSED)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_plaintext_ends_in_a_named_state(cells):
    liar = Liar()
    for text in cells:
        liar.send(text)
    assert liar.victim.failure is None or isinstance(liar.victim.failure, errors.SessionError)


@pytest.mark.parametrize(
    ("frames", "error", "status"),
    [
        ([data(1, 262_140, b"12345")], errors.FlowError, Status.FLOW),
        ([data(1, 0, b"12", fin=True), data(1, 2, b"3")], errors.FinalOffsetError, Status.PROTO),
        ([data(1, 4, b"12"), data(1, 0, b"1", fin=True)], errors.FinalOffsetError, Status.PROTO),
        ([data(1, 0, b"", fin=True), data(1, 0, b"1", fin=True)], errors.FinalOffsetError,
         Status.PROTO),
        ([data(1, 0, b"123"), fr.Reset(1, 2, Status.CLOSED)], errors.FinalOffsetError,
         Status.PROTO),
        ([data(2, 0, b"x")], errors.StreamNumberError, Status.PROTO),
        ([fr.Open(2, "x")], errors.StreamNumberError, Status.PROTO),
        ([fr.Open(4_001, "x")], errors.StreamNumberError, Status.PROTO),
        ([fr.Opened(2)], errors.StreamNumberError, Status.PROTO),
        ([fr.Ack(0, 9, 0, 0)], errors.AcknowledgementError, Status.PROTO),
        ([fr.AddPath(3, bytes(32), bytes(32), 2, 2)], errors.PathNumberError, Status.PROTO),
        ([fr.AddPath(900, bytes(32), bytes(32), 2, 2)], errors.PathNumberError, Status.PROTO),
        ([fr.AddPath(2, bytes(32), bytes(32), 2, 1)], errors.PathLevelError, Status.LEVEL),
        ([fr.Rekey1(2, 8, 0, bytes(608))], errors.RekeyError, Status.REKEY_FAILED),
        ([fr.Rekey2(1, 0, bytes(560))], errors.RekeyError, Status.REKEY_FAILED),
        ([fr.Rekey3(1)], errors.RekeyError, Status.REKEY_FAILED),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_each_breach_closes_the_session_by_name(frames, error, status):
    liar = Liar()
    liar.send(frames)
    liar.closed_by(error, status)


def test_a_switch_without_a_secret_closes_its_path():
    liar = Liar()
    liar.send([fr.Switch(1)])
    assert ev.PathClosed(0, Status.REKEY_FAILED) in liar.victim.events()
    assert liar.victim.state is State.STRANDED


def test_fragments_and_overlaps_are_bounded():
    liar = Liar()
    body = bytes(3_000)
    for offset in range(1, 3_000):
        liar.send([data(1, offset, body)])
        if liar.victim.state is State.CLOSED:
            break
    liar.closed_by(errors.FlowError, Status.FLOW)


def test_fragments_of_all_streams_together_are_bounded(alone):
    """One byte every two, on as many streams as there may be: each piece costs us 400 bytes."""
    liar = Liar(size=CELL_SIZES[2])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for stream in range(1, 257, 2):
        for start in range(1, 16_000, 1_600):
            liar.send([data(stream, at, b"x") for at in range(start, start + 1_600, 2)])
        if liar.victim.state is State.CLOSED:
            break
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    liar.closed_by(errors.FlowError, Status.FLOW)
    assert grown < 20_000_000


def test_fragments_of_streams_that_ended_are_no_longer_counted():
    liar = Liar(size=CELL_SIZES[2])
    for stream in range(1, 91, 2):  # 36 000 pieces in all
        liar.send([data(stream, at, b"x") for at in range(1, 1_600, 2)])
        if stream % 16 == 1:
            liar.send([data(stream, at, b"y") for at in range(0, 1_600, 2)])
            assert len(liar.victim.receive(stream, 2_000)) == 1_600
        liar.send([fr.Reset(stream, 1_700, Status.CLOSED)])
    assert liar.victim.failure is None


def test_opening_without_reading_the_refusals_is_a_flood():
    liar = Liar(limits=SessionLimits(streams=1))
    for number in range(1, 20_001, 2):
        liar.send([fr.Open(number, "x")])
        if liar.victim.state is State.CLOSED:
            break
    liar.closed_by(errors.ExcessError, Status.LIMIT)


def test_left_out_stream_numbers_are_bounded():
    liar = Liar()
    for number in range(2_001, 60_001, 2_000):
        liar.send([fr.Open(number, "x")])
    liar.closed_by(errors.StreamNumberError, Status.PROTO)


def test_half_datagrams_are_bounded():
    liar = Liar()
    for frame in range(2_000):
        part = fr.Datagram(1, frame, 0, 1_000, 60_000, memoryview(bytes(1_000)))
        liar.send([part])
    assert liar.victim._receiver.held <= 1 << 20
    assert liar.victim.state is State.OPEN


def test_datagrams_nobody_fetches_are_bounded():
    liar = Liar()
    for frame in range(3_000):
        liar.send([fr.Datagram(1, frame, 0, 1, 60_000, memoryview(b"x"))])
    assert len(liar.victim.events()) <= 1_024


def test_a_close_ends_the_session_and_later_frames_are_nothing():
    liar = Liar()
    liar.send([fr.Close(Status.FINISHED), fr.Open(1, "late")])
    assert liar.victim.events() == [ev.SessionClosed(Status.FINISHED, by_peer=True)]
    liar.send([fr.Open(3, "later")])
    assert liar.victim.events() == []
