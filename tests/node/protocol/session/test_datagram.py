"""Datagrams: cut, put together, dropped when late, never more memory than stated."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.datagram import (
    DATAGRAM_SIZE_MAX,
    QUEUE_BYTES_MAX,
    DatagramReceiver,
    DatagramSender,
)
from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.session.frames import Datagram, decode_cell
from tests.node.protocol.session.joined import entropy_of


def cells(sender, size, now=0.0):
    """Everything queued, as the frames of cells of ``size`` bytes of plaintext."""
    frames = []
    while sender:
        buffer = memoryview(bytearray(size))
        position = 0
        while (filled := sender.fill(buffer, position, size, now)) != position:
            position = filled
        if not position:
            break
        frames += decode_cell(bytes(buffer))
    return frames


@given(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=8),
    st.sampled_from([1_008, 4_080, 16_352]),
    st.randoms(),
)
def test_datagrams_arrive_whole_in_any_order_and_once(sizes, size, chance):
    bodies = [entropy_of(index)(length) for index, length in enumerate(sizes)]
    sender, receiver = DatagramSender(), DatagramReceiver()
    for body in bodies:
        assert sender.queue(3, body, 1.0)
    frames = cells(sender, size)
    frames += chance.sample(frames, len(frames) // 2)
    chance.shuffle(frames)
    got = {}
    for frame in frames:
        whole = receiver.insert(frame, 0.0)
        if whole is not None:
            assert whole.frame not in got
            got[whole.frame] = whole.data
    assert got == dict(enumerate(bodies))
    assert receiver.held == 0
    assert sender.bytes == 0


def test_late_datagrams_are_dropped_before_they_are_sealed():
    sender = DatagramSender()
    sender.queue(1, b"late", 1.0)
    sender.queue(1, b"in time", 3.0)
    assert sender.next_deadline() == 1.0
    assert [bytes(frame.data) for frame in cells(sender, 1_008, now=2.0)] == [b"in time"]
    assert sender.dropped == 1


def test_the_queue_is_bounded():
    sender = DatagramSender()
    body = bytes(DATAGRAM_SIZE_MAX)
    taken = sum(sender.queue(1, body, 9.0) for _ in range(20))
    assert taken == QUEUE_BYTES_MAX // DATAGRAM_SIZE_MAX
    with pytest.raises(LocalProtocolError):
        sender.queue(1, body + b"x", 9.0)
    with pytest.raises(LocalProtocolError):
        sender.queue(1 << 16, b"", 9.0)


def test_half_datagrams_expire():
    receiver = DatagramReceiver()
    receiver.insert(Datagram(1, 0, 0, 2, 50, memoryview(b"half")), 0.0)
    receiver.insert(Datagram(1, 1, 0, 1, 50, memoryview(b"whole")), 10.0)
    assert receiver.held == 0


def test_contradictions_have_a_name():
    receiver = DatagramReceiver()
    receiver.insert(Datagram(1, 0, 0, 2, 50, memoryview(b"half")), 0.0)
    with pytest.raises(MalformedFrameError):
        receiver.insert(Datagram(1, 0, 1, 3, 50, memoryview(b"half")), 0.0)
    with pytest.raises(MalformedFrameError):
        receiver.insert(Datagram(1, 1, 0, 2_000, 50, memoryview(b"half")), 0.0)


def test_what_is_remembered_of_datagrams_is_bounded(alone):
    """32 flows, each with more numbers than are remembered, cost less than 25 KiB."""
    receiver = DatagramReceiver()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for flow in range(32):
        for frame in range(0, 2_100, 2):
            receiver.insert(Datagram(flow, frame, 0, 1, 50, memoryview(b"")), 1.0)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 25 * 1_024


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-1_500, 1_500), max_size=60))
def test_a_copy_is_never_told_and_what_is_new_is_unless_it_is_old(start, steps):
    """Numbers wrap; what lies 1 024 or more behind the newest counts as told."""
    receiver, told, newest = DatagramReceiver(), set(), None
    for step in steps:
        frame = (start + step) % 2**32
        ahead = step if newest is None else max(newest, step)
        got = receiver.insert(Datagram(7, frame, 0, 1, 50, memoryview(b"x")), 1.0)
        if step in told or step <= ahead - 1_024:
            assert got is None
        else:
            assert got is not None
        told.add(step)
        newest = ahead


def test_a_flow_that_was_let_go_begins_anew():
    sender, receiver = DatagramSender(), DatagramReceiver()
    for _ in range(3):
        sender.queue(5, b"old", 1.0)
    for frame in cells(sender, 1_008):
        receiver.insert(frame, 0.0)
    assert receiver.insert(Datagram(5, 9, 0, 2, 100, b"half"), 0.0) is None
    assert receiver.held == 4
    sender.forget(5)
    receiver.forget(5)
    assert receiver.held == 0
    sender.queue(5, b"new", 1.0)
    (frame,) = cells(sender, 1_008)
    assert frame.frame == 0
    whole = receiver.insert(frame, 0.0)
    assert whole is not None
    assert whole.data == b"new"
