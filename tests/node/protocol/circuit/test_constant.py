"""A constant rate shows nothing of what it carries."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.constant import RATES, STEPS, ConstantRate
from peerstream.node.protocol.circuit.padding import (
    DEFAULT_RATE,
    LinkPadding,
    PaddingProfile,
    padding_of,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import HEADER, FrameType, PaddingRate
from peerstream.node.protocol.wire.sizes import LINK_HEADER_SIZE
from tests.node.protocol.circuit.memory_network import MemoryNetwork

CONSTANT = padding_of(PaddingProfile.CONSTANT)


class Queue:
    """Whole frames that wait; the one at the front goes even if it is too long."""

    def __init__(self):
        self.frames = []

    def take(self, budget):
        parts = []
        while self.frames and (not parts or len(self.frames[0]) <= budget):
            budget -= len(self.frames[0])
            parts.append(self.frames.pop(0))
        return parts


def frames_in(data):
    found = []
    while len(data) >= LINK_HEADER_SIZE:
        circuit, kind, _, length = HEADER.unpack_from(data)
        if len(data) < LINK_HEADER_SIZE + length:
            break
        found.append((circuit, FrameType(kind), data[8 : 8 + length]))
        data = data[8 + length :]
    return found


def cell(circuit, size):
    return HEADER.pack(circuit, FrameType.CELL, 0, size) + bytes(size)


@given(
    st.lists(st.lists(st.sampled_from([1_024, 4_096, 16_368, 64_512]), max_size=3), max_size=40),
    st.sampled_from(RATES),
    st.lists(st.integers(1, 70_000), min_size=1, max_size=5),
)
def test_each_step_has_the_same_bytes_and_every_frame_arrives_in_order(loads, rate, budgets):
    queue, out, sent = Queue(), b"", []
    constant = ConstantRate(rate, queue.take, lambda: None)
    for number, load in enumerate(loads):
        for size in load:
            queue.frames.append(cell(len(sent) + 1, size))
            sent.append(size)
        constant.step()
        step, turn = b"", number
        while parts := constant.take(budgets[turn % len(budgets)]):
            step += b"".join(parts)
            turn += 1
        assert len(step) == constant.step_bytes
        assert not constant.has_output
        out += step
    carried = [(c, len(b)) for c, kind, b in frames_in(out) if kind is not FrameType.PADDING]
    assert carried == [(n + 1, size) for n, size in enumerate(sent)][: len(carried)]
    spent = sum(size + LINK_HEADER_SIZE for size in sent[: len(carried)])
    left = len(out) - spent - constant.padding_sent
    assert -LINK_HEADER_SIZE <= left <= 64_520  # a frame that is cut, or a header that was too long


def test_nothing_goes_between_steps_and_nothing_is_made_up_for():
    constant = ConstantRate(8, Queue().take, lambda: None)
    assert constant.take(1_000_000) == []
    constant.step()
    assert constant.take(10) != []
    constant.step()  # the socket was full meanwhile
    assert sum(map(len, constant.take(1_000_000))) == constant.step_bytes
    assert constant.take(1_000_000) == []


def watched(network, load, seconds=4):
    """What an observer of a guard link at a constant rate sees each way: sizes, step by step."""
    relay = network.relay()
    owner = network.client().circuit([relay])
    network.run()
    network.advance(5.0)
    near, far = network.cables[0].ends
    near.send(0, FrameType.PADNEG, CONSTANT.encode())
    network.run()
    for link, rate in ((near, CONSTANT), (far, None)):
        LinkPadding(link, rate, entropy=network.entropy, now=network.now)
    assert near.constant is not None
    assert far.constant is not None
    seen = []
    for step in range(seconds * STEPS):
        load(owner, step)
        before = near.bytes_sent, far.bytes_sent
        near.constant.step()
        far.constant.step()
        network.run()
        seen.append((near.bytes_sent - before[0], far.bytes_sent - before[1]))
        network.now += 1 / STEPS
        near.tick(network.now)
        far.tick(network.now)
    return owner, near, seen


def idle(_owner, _step):
    pass


def busy(owner, step):
    if step % 3 == 0:
        owner.circuit.send_control(Command.ECHO, b"x" * 100)


def test_an_observer_sees_the_same_whether_or_not_anything_is_said():
    _, _, quiet = watched(MemoryNetwork(70), idle)
    owner, near, loud = watched(MemoryNetwork(70), busy)
    assert quiet == loud
    assert set(loud) == {(near.constant.step_bytes, near.constant.step_bytes)}
    assert len(owner.take(Command.RESULT)) > 10


def test_it_costs_what_it_says():
    _, near, seen = watched(MemoryNetwork(71), idle, seconds=2)
    assert sum(out for out, _ in seen) == 2 * near.constant.bytes_per_second
    assert near.constant.bytes_per_second == 64 * 4_104


@pytest.mark.parametrize(
    "asked", [PaddingRate(0, 0, 7, 1), PaddingRate(0, 0, 64, 2), PaddingRate(0, 0, 65_535, 1)]
)
def test_a_rate_that_there_is_not_is_not_served(asked):
    network = MemoryNetwork(72)
    relay = network.relay()
    network.client().circuit([relay])
    network.run()
    near, far = network.cables[0].ends
    near.send(0, FrameType.PADNEG, asked.encode())
    network.run()
    LinkPadding(far, None, entropy=network.entropy, now=network.now)
    assert far.constant is None


def test_a_guard_without_room_breaks_silences_instead():
    network = MemoryNetwork(73)
    relay = network.relay()
    network.client().circuit([relay])
    network.run()
    near, far = network.cables[0].ends
    near.send(0, FrameType.PADNEG, CONSTANT.encode())
    network.run()
    padding = LinkPadding(
        far, None, entropy=network.entropy, now=network.now,
        grants=lambda _: False,
    )  # fmt: skip
    for _ in range(60):
        network.advance(1.0)
        padding.tick(network.now)
    assert far.constant is None
    assert padding.bytes_sent >= 4 * 1_032


def records(times, inactive_s):
    """Into how many flow records an operator's box cuts what it saw (RFC 3954: by silence)."""
    return 1 + sum(b - a > inactive_s for a, b in pairwise(times))


def sending_times(load):
    """When the client's end of a link with the default profile sent anything, in ten minutes."""
    network = MemoryNetwork(74)
    relay = network.relay()
    owner = network.client().circuit([relay])
    network.run()
    near, _ = network.cables[0].ends
    padding = LinkPadding(near, DEFAULT_RATE, entropy=network.entropy, now=network.now)
    times, before = [], near.batches_sent
    for step in range(4 * 600):
        load(owner, step)
        network.run()
        padding.tick(network.now)
        network.run()
        if near.batches_sent != before:
            times.append(network.now)
            before = near.batches_sent
        network.now += 0.25
    return times


def test_flow_records_are_one_whether_circuits_rest_or_not():
    assert records(sending_times(idle), 10.0) == 1
    assert records(sending_times(lambda o, step: step % 200 or busy(o, 0)), 10.0) == 1
