"""Who is served when several circuits of a link want to send."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.circuit.scheduler import QUANTUM, REAL_TIME_LEAD
from peerstream.node.protocol.circuit.token_bucket import TokenBucket
from peerstream.node.protocol.wire.frames import HEADER, FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES
from tests.node.protocol.circuit.memory_network import GENEROUS


class Nobody:
    def cell_received(self, cell):
        raise AssertionError

    reply_received = leg_closed = room_available = cell_received


class Bench:
    """One link and circuits that always have cells and credit."""

    def __init__(self, limits=GENEROUS):
        self.link = Link(dialer=True, peer=None, limits=limits, now=0.0)
        self.link._peer_circuits_max = 1_000
        self.link.data_to_send(1_000)
        self.legs = {}

    def leg(self, cells, cell_class=2, *, real_time=False):
        circuit_id = self.link.open_circuit_id()
        leg = self.link.register(circuit_id, Nobody(), cell_class=cell_class, real_time=real_time)
        leg.allowed = 1 << 30
        self.legs[circuit_id] = leg
        self.push(leg, cells)
        return circuit_id

    def push(self, leg, cells):
        for _ in range(cells):
            leg.push(self.link.pool.take(leg.cell_size))

    def served(self, budget=65_536):
        """Circuit ids of one batch, in order."""
        return [HEADER.unpack_from(part)[0] for part in self.link.data_to_send(budget)]


def test_equal_circuits_get_equal_bytes_whatever_their_cells():
    bench = Bench()
    ids = [bench.leg(4_000_000 // CELL_SIZES[k], k) for k in range(4) for _ in range(2)]
    count = Counter()
    for _ in range(100):
        for circuit_id in bench.served():
            count[circuit_id] += bench.legs[circuit_id].cell_size
    shares = [count[circuit_id] for circuit_id in ids]
    assert min(shares) > 0.8 * max(shares)


def test_a_circuit_that_was_quiet_goes_before_those_that_send_all_the_time():
    bench = Bench()
    for _ in range(8):
        bench.leg(200)
    for _ in range(10):
        bench.served()
    quiet = bench.leg(1)
    assert bench.served()[0] == quiet
    for _ in range(4):
        bench.served()
    bench.push(bench.legs[quiet], 1)
    assert quiet in bench.served(9 * 16_376)


def test_pausing_does_not_make_a_circuit_quiet():
    bench = Bench()
    bulk = [bench.leg(2_000) for _ in range(4)]
    bursty = bench.leg(0)
    count = Counter()
    for _ in range(200):
        bench.push(bench.legs[bursty], 4)  # empties, then comes back at once
        count.update(bench.served())
    assert count[bursty] <= 1.7 * min(count[circuit_id] for circuit_id in bulk)


def test_credit_that_comes_back_does_not_make_a_circuit_quiet():
    bench = Bench()
    bulk = [bench.leg(2_000) for _ in range(4)]
    blocked = bench.leg(0)
    leg = bench.legs[blocked]
    leg.allowed = 0
    bench.push(leg, 500)
    count = Counter()
    for total in range(1, 201):
        leg.credit_received(2 * total)
        count.update(bench.served())
    assert count[blocked] <= 1.3 * min(count[circuit_id] for circuit_id in bulk)


def test_real_time_goes_first_but_takes_at_most_half():
    limits = LinkLimits(1_000, 1e6, 1e6, closes_on_bad_setups=False, real_time_burst=1e9)
    bench = Bench(limits)
    bulk = bench.leg(2_000)
    live = bench.leg(2_000, real_time=True)
    assert bench.served()[0] == live
    count = Counter()
    for _ in range(200):
        count.update(bench.served())
    assert 0.45 < count[live] / (count[live] + count[bulk]) < 0.55


def test_real_time_alone_gets_everything():
    bench = Bench()
    live = [bench.leg(300, real_time=True) for _ in range(2)]
    count = Counter()
    while batch := bench.served():
        count.update(batch)
    assert count == dict.fromkeys(live, 300)


def test_a_real_time_circuit_beyond_its_rate_waits_like_the_others():
    bench = Bench()
    bulk = [bench.leg(2_000) for _ in range(7)]
    live = bench.leg(2_000, real_time=True)
    count = Counter()
    for _ in range(400):
        count.update(bench.served())
    assert count[live] <= 1.3 * max(count[circuit_id] for circuit_id in bulk)


def test_control_frames_go_before_cells():
    bench = Bench()
    circuit_id = bench.leg(20)
    bench.link.send_credit(circuit_id, 99)
    kinds = [HEADER.unpack_from(part)[1] for part in bench.link.data_to_send(65_536)]
    assert kinds == [FrameType.CREDIT] + [FrameType.CELL] * 4


def test_a_closed_circuit_is_passed_over():
    bench = Bench()
    first, second = bench.leg(5), bench.leg(5)
    bench.link.unregister(bench.legs[first])
    assert set(bench.served()) == {second}
    assert bench.served() == [second]
    assert not bench.link.has_output


@pytest.mark.parametrize("step", [0.001, 0.5, 3.0])
def test_a_token_bucket_gives_its_rate_and_no_more_than_its_burst(step):
    bucket = TokenBucket(10.0, 20.0, 0.0)
    taken, steps = 0, round(30 / step)
    for number in range(steps):
        while bucket.take(number * step):
            taken += 1
    expected = 20 + (steps - 1) * min(20, 10 * step)
    assert expected - 1 <= taken <= expected
    assert not bucket.take(1_000.0, 21.0)


LARGEST = HEADER.size + CELL_SIZES[-1]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),  # its class
            st.booleans(),  # whether it is real-time
            st.integers(1, 600_000),  # bytes that wait
            st.integers(0, 8),  # before which batch it begins
        ),
        min_size=2,
        max_size=10,
    ),
    st.integers(4_096, 131_072),
)
def test_whoever_waits_is_served_in_time_whatever_the_others_do(circuits, budget):
    """A circuit that waits lets a bounded lot of bytes pass: nobody starves."""
    bench = Bench()
    # Of each other one a quantum and a cell from either list, with as much of real-time cells and
    # the lead that these may have.
    most = 2 * (2 * len(circuits) * (QUANTUM + LARGEST) + REAL_TIME_LEAD)
    waited: dict[int, int] = {}
    number = 0
    while number <= 8 or any(leg.waiting for leg in bench.legs.values()):
        for cell_class, real_time, size, when in circuits:
            if when == number:
                cells = -(-size // CELL_SIZES[cell_class])
                waited[bench.leg(cells, cell_class, real_time=real_time)] = 0
        number += 1
        for served in bench.served(budget):
            waited[served] = 0
            for other, leg in bench.legs.items():
                if other != served and leg.waiting:
                    waited[other] += bench.legs[served].frame_size
                    assert waited[other] <= most
    assert number < 10_000


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.integers(0, 3),
    st.integers(0, 5),
    st.booleans(),
)
def test_who_was_quiet_is_first_and_real_time_before_it(busy, quiet_class, batches, call):
    bench = Bench()
    for cell_class in busy:
        bench.leg(1_000_000 // CELL_SIZES[cell_class], cell_class)
    # Until each has had what it gets ahead of the others for having been quiet itself.
    while any(leg.sent * leg.cell_size <= 2 * QUANTUM for leg in bench.legs.values()):
        bench.served()
    for _ in range(batches):
        bench.served(LARGEST)
    quiet = bench.leg(1, quiet_class)
    live = [bench.leg(1, real_time=True)] if call else []
    order = bench.served(2 * LARGEST)
    assert order[: 1 + len(live)] == [*live, quiet]
