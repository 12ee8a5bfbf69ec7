"""A link that ends in mid-stream: what was cut is never taken for whole."""

from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.session.state import State
from peerstream.node.protocol.wire.status import Status
from tests.hostile.tap import Tap
from tests.node.protocol.session.joined import Network, entropy_of
from tests.node.protocol.session.test_over_circuits import BODY, Call

FILE = entropy_of("cut")(300_000)


@given(st.integers(0, 120), st.booleans(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_a_cut_is_no_end(when, ended, seed):
    """Cut after any number of cells: the reader hears of an end only behind every byte."""
    network = Network(seed)
    network.first_path()
    stream = network.caller.open_stream("files")
    network.caller.send(stream, FILE)
    if ended:
        network.caller.send_end(stream)
    got = b""
    network.pump()
    for step in range(when + 1):
        if step == when:
            network.kill(0)
            network.pump()
        else:
            network.step(network.now + 1.0)
        if ev.StreamOpened(stream, "files") in network.log[1]:
            got += network.callee.receive(stream, 1 << 20)
    network.run(1.0)
    heard_of_an_end = ev.StreamEnded(stream) in network.log[1]
    assert FILE.startswith(got)
    assert heard_of_an_end == (ended and got == FILE)
    network.run(700.0)
    assert network.callee.state is State.CLOSED
    assert network.log[1][-1] == ev.SessionClosed(Status.TIMEOUT, by_peer=False)
    assert (ev.StreamEnded(stream) in network.log[1]) == heard_of_an_end


@given(st.integers(0, 120), st.integers(0, 2**32))
@settings(max_examples=20)
def test_a_close_of_the_session_is_no_end_of_a_stream(when, seed):
    network = Network(seed)
    network.first_path()
    stream = network.caller.open_stream("files")
    network.caller.send(stream, FILE)
    network.pump()
    for _ in range(when):
        network.step(network.now + 1.0)
    network.caller.close(Status.FINISHED, network.now)
    network.run(5.0)
    assert network.callee.state is State.CLOSED
    assert ev.StreamEnded(stream) not in network.log[1]


def test_frames_that_a_relay_keeps_for_itself_close_the_path():
    """It drops one cell and passes the rest on, the last one with the end of the stream too."""
    call = Call(tap=Tap)
    stream = call.caller.open_stream("files")
    call.settle()
    dropped = []

    def drop_one(seen, _):
        if not dropped and seen.link == 2 and not seen.to_dialer and len(seen.body) > 16_000:
            dropped.append(seen)
            return None
        return seen.body

    call.tap.change = drop_one
    call.caller.send(stream, BODY[:200_000])
    call.caller.send_end(stream)
    call.settle(5)
    assert len(dropped) == 1
    assert ev.PathClosed(0, Status.AEAD) in call.log[1]
    assert ev.StreamEnded(stream) not in call.log[1]
    assert len(call.callee.receive(stream, 1 << 20)) < 200_000
