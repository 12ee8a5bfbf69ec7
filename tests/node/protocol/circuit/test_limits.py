"""Numbers that bound things."""

import pytest

from peerstream.node.protocol.circuit.leg import INITIAL_CREDITS, initial_credit
from peerstream.node.protocol.circuit.limits import (
    SCALE_MAX,
    SPARE_SETUPS,
    LinkLimits,
    SetupAdmission,
    credit_scale,
    spare_setups,
)
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


def test_a_busy_client_uses_what_nobody_needs_and_a_flood_takes_nothing_of_others():
    spare = spare_setups(0.0)
    busy, other = (SetupAdmission(LinkLimits.for_client(), 0.0, spare) for _ in range(2))
    assert sum(busy.admits(0.0, 0) for _ in range(1_000)) == 40 + SPARE_SETUPS
    assert sum(other.admits(0.0, 0) for _ in range(1_000)) == 40
    admitted = sum(busy.admits(tenth / 10, 0) for tenth in range(1, 101) for _ in range(50))
    assert admitted == pytest.approx(10 * (SPARE_SETUPS + 10), abs=2)
    assert sum(other.admits(10.0, 0) for _ in range(1_000)) == 40


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
