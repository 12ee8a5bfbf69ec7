"""Numbers that bound things."""

import pytest

from peerstream.node.protocol.circuit.leg import INITIAL_CREDITS, initial_credit
from peerstream.node.protocol.circuit.limits import SCALE_MAX, credit_scale
from peerstream.node.protocol.circuit.pool import KEPT_BUFFERS, BufferPool
from peerstream.node.protocol.wire.sizes import CELL_SIZES


@pytest.mark.parametrize(
    ("round_trip", "held", "scale"),
    [
        (None, 0, 1.0),
        (0.0001, 0, 1.0),
        (0.04, 0, 2 * 0.04 * 25e6 / 524_288),
        (9.0, 0, SCALE_MAX),
        (0.04, 501, 1.0),
    ],
)
def test_windows_follow_the_round_trip_while_memory_lasts(round_trip, held, scale):
    assert credit_scale(round_trip, held_bytes=held, held_max=1_000) == pytest.approx(scale)


def test_initial_credits():
    assert [initial_credit(k, real_time=False) for k in range(4)] == list(INITIAL_CREDITS)
    assert [initial_credit(k, real_time=True) for k in range(4)] == [64, 32, 8, 2]


@pytest.mark.parametrize("size", CELL_SIZES)
def test_a_pool_counts_what_it_lent_and_keeps_a_bounded_rest(size):
    pool = BufferPool()
    buffers = [pool.take(size) for _ in range(KEPT_BUFFERS + 50)]
    assert pool.lent_bytes == size * len(buffers)
    for buffer in buffers:
        pool.give(buffer)
    assert pool.lent_bytes == 0
    assert len(pool._free[size]) == min(KEPT_BUFFERS, 2 * 1_024 * 1_024 // size)
