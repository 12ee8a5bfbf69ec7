"""The halves of a stream: any order, overlap and loss gives the same bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.session.errors import FinalOffsetError, FlowError
from peerstream.node.protocol.session.stream import ReceiveHalf, SendHalf
from tests.node.protocol.session.joined import entropy_of

BODY = entropy_of("stream")(20_000)


def piece(start, end):
    return memoryview(BODY)[start:end]


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(1, 400)), max_size=60), st.randoms())
def test_any_order_and_overlap_gives_the_bytes_in_order(pieces, chance):
    total = 1_000
    spans = [(start, min(total, start + size)) for start, size in pieces]
    spans += [(start, start + 100) for start in range(0, total, 100)]
    chance.shuffle(spans)
    half = ReceiveHalf(20_000)
    got = b""
    for start, end in spans:
        half.insert(start, piece(start, end), fin=end == total)
        got += b"".join(half.take(chance.randint(0, 300)))
        assert BODY.startswith(got)
    got += b"".join(half.take(total))
    assert got == BODY[:total]
    assert half.ended
    assert half.finished
    assert not half._fragments
    assert half._held == 0


@given(st.integers(0, 1 << 32))
def test_everything_sent_is_acknowledged_in_any_order_or_sent_again(seed):
    chance = random.Random(seed)
    half = SendHalf(limit=1 << 40)
    flying, arrived, accepted = [], ReceiveHalf(1 << 20), 0
    while accepted < 5_000:
        size = chance.randint(1, 3_000)
        half.append(piece(accepted, accepted + size))
        accepted += size
    half.end()
    for _ in range(2_000):
        if half.finished:
            break
        span = half.next_range(chance.randint(50, 900))
        if span is not None:
            flying.append(span)
        if flying and chance.randint(0, 1):
            start, end, fin = flying.pop(chance.randrange(len(flying)))
            if chance.randint(0, 3):
                buffer = memoryview(bytearray(end - start))
                half.copy_into(buffer, 0, start, end)
                arrived.insert(start, buffer, fin=fin)
                half.acknowledge(start, end, fin=fin)
            else:
                half.lose(start, end, fin=fin)
    assert half.finished
    assert half.buffered == 0
    assert b"".join(arrived.take(1 << 20)) == BODY[:accepted]
    assert arrived.ended


def test_only_the_end_ends_a_stream():
    half = ReceiveHalf(1_000)
    half.insert(0, piece(0, 10), fin=False)
    half.take(10)
    assert not half.ended
    half.insert(20, piece(20, 30), fin=True)
    assert not half.ended
    half.insert(10, piece(10, 20), fin=False)
    half.take(100)
    assert half.ended


def test_breaches_have_names():
    half = ReceiveHalf(100)
    with pytest.raises(FlowError):
        half.insert(99, piece(0, 2), fin=False)
    half.insert(0, piece(0, 50), fin=True)
    with pytest.raises(FinalOffsetError):
        half.insert(0, piece(0, 49), fin=True)
    with pytest.raises(FinalOffsetError):
        half.insert(50, piece(0, 1), fin=False)
    with pytest.raises(FinalOffsetError):
        half.check_reset(49)


def test_credit_comes_after_half_a_window_was_taken():
    half = ReceiveHalf(100)
    half.insert(0, piece(0, 100), fin=False)
    half.take(49)
    assert not half.grant_due
    half.take(1)
    assert half.grant_due
    assert half.grant() == 150


def test_small_writes_are_joined_and_large_ones_referred_to():
    half = SendHalf(1 << 40)
    for start in range(1_000):
        half.append(piece(start, start + 1))
    assert len(half._chunks) == 1
    large = bytes(100_000)
    half.append(memoryview(large))
    assert half._chunks[-1][1].obj is large


def test_a_sender_stops_at_its_credit():
    half = SendHalf(limit=10)
    half.append(piece(0, 100))
    assert half.next_range(50) == (0, 10, False)
    assert not half.sendable
    half.limit = 30
    assert half.next_range(50) == (10, 30, False)
    half.end()
    half.limit = 100
    assert half.next_range(500) == (30, 100, True)
    assert half.next_range(500) is None
