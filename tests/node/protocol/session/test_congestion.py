"""The delay window over a simulated bottleneck: it fills the path and keeps the queue short."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.session.congestion import (
    CEILING_CELLS,
    FLOOR_CELLS,
    INITIAL_CELLS,
    DelayWindow,
)
from peerstream.node.protocol.session.path import ASK_CELLS


class Bottleneck:
    """Flows that share one queue: `rate` cells a second, `delay` seconds both ways.

    noise: by how many seconds a cell comes later than that, on average. Cells keep their order, and
    as many are acknowledged at once as a path asks for.
    """

    def __init__(self, rate, delay, flows, noise=0.0):
        self.rate, self.delay, self.noise = rate, delay, noise
        self.chance = random.Random(1)
        self.windows = [DelayWindow() for _ in range(flows)]
        self.now = 0.0
        self.free_at = 0.0
        self.delivered = 0
        self.flights = [[] for _ in range(flows)]
        self.queue = 0.0

    def run(self, seconds):
        end = self.now + seconds
        samples = []
        while self.now < end:
            for window, flight in zip(self.windows, self.flights, strict=True):
                self.advance(window, flight)
            samples.append(max(0.0, self.free_at - self.now))
            self.now += 0.0005
        self.queue = sum(samples) / len(samples)

    def advance(self, window, flight):
        done = [cell for cell in flight if cell[1] <= self.now]
        if len(done) >= min(int(window.window), max(ASK_CELLS, int(window.window) // 4)):
            limited = len(flight) * 2 >= window.window
            del flight[: len(done)]
            self.delivered += len(done)
            sent, arrived = done[-1]
            window.acknowledged(len(done), arrived - sent, self.now, limited=limited)
        while len(flight) < int(window.window):
            self.free_at = max(self.free_at, self.now) + 1 / self.rate
            trembling = self.chance.expovariate(1 / self.noise) if self.noise else 0.0
            before = flight[-1][1] if flight else 0.0
            flight.append((self.now, max(before, self.free_at + self.delay + trembling)))


@pytest.mark.parametrize(("rate", "delay"), [(4_000, 0.002), (4_000, 0.04), (1_000, 0.1)])
def test_one_flow_fills_the_path_with_a_short_queue(rate, delay):
    path = Bottleneck(rate, delay, 1)
    path.run(4.0)
    path.delivered = 0
    path.run(4.0)
    assert path.delivered >= 0.8 * rate * 4
    assert path.queue <= max(0.015, 0.4 * delay)


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_one_flow_fills_a_long_path_whose_delay_trembles(noise):
    path = Bottleneck(760, 0.3, 1, noise)
    path.run(6.0)
    path.delivered = 0
    path.run(12.0)
    assert path.delivered >= (0.8 if noise < 0.02 else 0.5) * 760 * 12
    assert path.queue <= 0.15


def test_a_delay_of_one_round_trip_does_not_end_the_opening_of_a_long_path():
    window, now = DelayWindow(), 0.0
    for late in (0.0, 0.11, 0.09, 0.02, 0.02):  # beside 0.3: the links' own TCP opens
        for _ in range(4):  # a quarter of the window each
            now += (0.3 + late) / 4
            window.acknowledged(int(window.window) // 4, 0.3 + late, now, limited=True)
    assert window.window > 150


def test_a_late_flow_on_a_long_path_gets_its_share_and_leaves_the_other_its_own():
    path = Bottleneck(760, 0.3, 1, 0.01)
    path.run(8.0)
    path.windows.append(DelayWindow())
    path.flights.append([])
    path.run(20.0)
    shares = [0.0, 0.0]
    for _ in range(100):
        path.run(0.1)
        shares = [s + w.window for s, w in zip(shares, path.windows, strict=True)]
    assert min(shares) * 2 > max(shares)
    assert path.queue <= 0.15


def test_flows_that_start_together_share_one_delay():
    path = Bottleneck(4_000, 0.005, 8)
    path.run(10.0)
    path.delivered = 0
    path.run(4.0)
    assert path.delivered >= 0.9 * 4_000 * 4
    assert path.queue <= 0.010


def test_late_flows_neither_starve_the_others_nor_lengthen_the_queue():
    path = Bottleneck(4_000, 0.005, 1)
    for _ in range(3):
        path.run(1.0)
        path.windows.append(DelayWindow())
        path.flights.append([])
    path.run(10.0)
    shares = [0.0] * 4
    for _ in range(40):
        path.run(0.1)
        shares = [s + w.window for s, w in zip(shares, path.windows, strict=True)]
    assert path.queue <= 0.010
    assert min(shares) * 5 > max(shares)


def test_an_unused_window_does_not_grow():
    window = DelayWindow()
    for index in range(100):
        window.acknowledged(1, 0.01, index * 0.01, limited=False)
    assert window.window == INITIAL_CELLS


@given(
    st.lists(
        st.tuples(
            st.integers(1, 500),
            st.floats(-1.0, 100.0),
            st.floats(0.0, 400.0),
            st.booleans(),
        )
    )
)
def test_the_window_stays_in_bounds_whatever_is_measured(samples):
    window, now = DelayWindow(), 0.0
    for cells, sample, later, limited in samples:
        now += later
        window.acknowledged(cells, sample, now, limited=limited)
        assert FLOOR_CELLS <= window.window <= CEILING_CELLS
        assert window.round_trip > 0
        assert window.queueing_delay() >= 0


def test_a_longer_path_is_accepted_after_some_minutes():
    window, now = DelayWindow(), 0.0
    window.acknowledged(1, 0.01, now, limited=True)
    widest = 0.0
    while now < 700:
        now += 1
        window.acknowledged(1, 0.05, now, limited=True)
        widest = max(widest, window.window) if now > 610 else 0.0
    assert window.base_round_trip == 0.05
    assert widest > FLOOR_CELLS
