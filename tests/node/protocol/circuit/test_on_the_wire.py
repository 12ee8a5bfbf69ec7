"""What somebody sees who reads every link of a whole path: equal sizes, and nothing twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import CELL_SIZES, REPLY_SIZE, SETUP_SIZE
from tests.hostile.tap import Tap
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def busy_meeting(seed, cell_class):
    """A splice over seven links with data and control cells both ways, all of them zeros."""
    network = MemoryNetwork(seed)
    tap = Tap(network)
    owners = Meeting(network, cell_class).meet()
    for _ in range(12):
        for owner in owners:
            owner.send(bytes(owner.circuit.cell_size))
            for hop in range(len(owner.circuit.path)):
                owner.circuit.send_control(Command.PAD_DROP, bytes(300), hop)
            owner.circuit.send_control(Command.ECHO, bytes(300), 1)
        network.run()
    assert [owner.cell_count for owner in owners] == [12, 12]
    return tap


@pytest.mark.parametrize("cell_class", range(4))
def test_sizes_are_constant_on_every_link(cell_class):
    tap = busy_meeting(1, cell_class)
    assert tap.links == 7
    sizes = {FrameType.SETUP: SETUP_SIZE, FrameType.REPLY: REPLY_SIZE}
    sizes[FrameType.CELL] = CELL_SIZES[cell_class]
    for frame in tap.onion_frames():
        assert len(frame.body) == sizes[frame.kind]
    for kind in sizes:
        assert {frame.link for frame in tap.onion_frames(kind)} == set(range(7))


@given(st.integers(0, 2**32), st.sampled_from([0, 1]))
@settings(max_examples=6)
def test_no_two_links_ever_carry_the_same_16_bytes(seed, cell_class):
    """At aligned offsets, over all frames of both circuits and both directions."""
    seen = {}
    for frame in busy_meeting(seed, cell_class).onion_frames():
        for at in range(0, len(frame.body) - 15, 16):
            block = frame.body[at : at + 16]
            assert seen.setdefault(block, frame.link) == frame.link
    assert len(seen) > 10_000
