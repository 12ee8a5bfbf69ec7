"""A relay (or a link) that changes one bit, so that a friend further along knows it again.

It must gain nothing: the change dies at the next honest hop, or turns everything after it into
noise that the ends refuse, and no wrong byte is ever delivered.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.onion.errors import BadReplyError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import REKEY_CELLS
from peerstream.node.protocol.wire.status import Status
from tests.hostile.tap import Tap, flipped
from tests.node.protocol.circuit.meeting import Meeting, everybody_forgot
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.session.test_over_circuits import BODY, Call

CELL = FrameType.CELL
bits = st.integers(0, 1 << 20)


class Flip:
    """Changes one bit of the nth frame of a kind on one link and direction, once."""

    def __init__(self, kind, link, bit, *, number=0, to_dialer=False):
        self.where = kind, link, number, to_dialer
        self.bit = bit
        self.done = 0

    def __call__(self, seen, number):
        if (seen.kind, seen.link, number, seen.to_dialer) != self.where:
            return seen.body
        self.done += 1
        return flipped(seen.body, self.bit)


def listener_with(change):
    """A circuit over two relays to a third, which is to listen; `change` sits on the links."""
    network = MemoryNetwork(3)
    tap = Tap(network)
    tap.change = change
    meeting = Meeting(network, 0)
    owner = meeting.listen()
    network.run()
    assert change.done == 1
    return network, meeting, owner


@given(st.integers(0, 2), bits)
@settings(max_examples=60)
def test_a_changed_setup_ends_at_the_next_honest_hop(link, bit):
    network, meeting, owner = listener_with(Flip(FrameType.SETUP, link, bit))
    assert owner.error is not None
    assert meeting.point.core.cookies == 0
    hops = [*meeting.client_path, meeting.point]
    counted = [bool(relay.core.breaches) for relay in hops]
    assert counted == [number == link for number in range(3)]
    everybody_forgot(network)


@given(st.integers(0, 2), bits)
@settings(max_examples=60)
def test_a_changed_reply_opens_no_circuit_or_changes_nothing(link, bit):
    _, _, owner = listener_with(Flip(FrameType.REPLY, link, bit, to_dialer=True))
    if owner.error is not None:
        assert isinstance(owner.error, BadReplyError)
        assert owner.error.hop >= link  # no honest hop before the change is blamed
    else:
        assert bit % 8_192 // 8 >= 48 + 720  # the end that every hop cuts off
        assert owner.message == b""


def flip_of_data(tap, link, bit, number, *, backward):
    """A flip of the nth cell from now on; `backward`: of the joiner's cells to the listener.

    Links 0 to 2 were dialled from the listener's side, 3 to 6 from the joiner's.
    """
    to_dialer = backward if link < 3 else not backward
    already = sum((f.link, f.to_dialer) == (link, to_dialer) for f in tap.onion_frames(CELL))
    return Flip(CELL, link, bit, number=already + number, to_dialer=to_dialer)


def send_through(sender, cells, network):
    left = list(cells)

    def pump():
        while left and sender.circuit.room():
            sender.send(left.pop(0))

    sender.on_room = pump
    pump()
    network.run()


def is_noise(sent, got):
    different = int.from_bytes(sent, "big") ^ int.from_bytes(got, "big")
    return 0.4 < different.bit_count() / (8 * len(sent)) < 0.6


@given(st.integers(0, 6), st.booleans(), bits, st.integers(0, 3))
@settings(max_examples=6)
def test_a_changed_cell_reaches_nobody_as_it_was(link, backward, bit, number):
    """Changed before the splice, so is all that follows, past two changes of keys in every layer.

    Behind the splice the owner's own layers agree again after some cells; it reads nothing there,
    as its session ended at the first one (see below).
    """
    network = MemoryNetwork(4)
    tap = Tap(network)
    listener, joiner = Meeting(network, 0).meet()
    sender, reader = (joiner, listener) if backward else (listener, joiner)
    tap.change = flip_of_data(tap, link, bit, number, backward=backward)
    before_the_splice = (link < 3) != backward
    count = 2 * REKEY_CELLS + 20 if before_the_splice else number + 1
    cells = [network.random.randbytes(1_024) for _ in range(count)]
    send_through(sender, cells, network)
    assert tap.change.done == 1
    assert reader.cells[:number] == cells[:number]
    assert len(reader.cells) == len(cells)
    if before_the_splice:
        assert all(map(is_noise, cells[number:], reader.cells[number:]))
    else:  # L, where a session has its tag and a hop its marker, is never what it was
        assert reader.cells[number][:16] != cells[number][:16]


@pytest.mark.parametrize("hop", [0, 1, 2])
def test_a_changed_control_cell_is_nobodys(hop):
    network = MemoryNetwork(5)
    tap = Tap(network)
    owner = network.client().circuit([network.relay() for _ in range(3)], cell_class=0)
    network.run()
    tap.change = Flip(CELL, 0, 12_345)
    owner.circuit.send_control(Command.ECHO, b"hello", hop)
    network.run()
    assert not owner.controls
    assert owner.reason is not None  # the last hop got a cell for nobody


@given(st.integers(0, 6), st.booleans(), bits, st.integers(0, 12))
@settings(max_examples=10)
def test_the_ends_of_a_session_refuse_it_and_deliver_nothing_wrong(link, backward, bit, number):
    call = Call(cell_class=1, tap=Tap)
    stream = call.caller.open_stream("files")
    back = call.caller.open_stream("back")
    call.settle()
    call.tap.change = flip_of_data(call.tap, link, bit, number, backward=backward)
    call.caller.send(stream, BODY[:120_000])
    call.callee.send(back, BODY[:120_000])
    got = [b"", b""]
    for _ in range(20):
        call.settle()
        got[0] += call.callee.receive(stream, 1 << 20)
        got[1] += call.caller.receive(back, 1 << 20)
    assert call.tap.change.done == 1
    victim, log = (call.caller, call.log[0]) if backward else (call.callee, call.log[1])
    assert ev.PathClosed(0, Status.AEAD) in log
    assert victim.state is State.STRANDED
    assert len(got[backward]) < 120_000
    assert all(BODY.startswith(each) for each in got)
    assert victim.failure is None  # a relay's deed is not the peer's
