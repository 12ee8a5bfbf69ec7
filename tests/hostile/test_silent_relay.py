"""A relay that takes everything and passes nothing on: SETUP, REPLY, or cells in mid-stream."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.errors import CircuitTimeoutError
from peerstream.node.protocol.session import events as ev
from peerstream.node.protocol.wire.frames import FrameType
from tests.hostile.tap import ONION, Tap
from tests.node.protocol.circuit.meeting import Meeting
from tests.node.protocol.circuit.memory_network import MemoryNetwork
from tests.node.protocol.session.test_over_circuits import BODY, Call


@pytest.mark.parametrize("link", [0, 1, 2])
@pytest.mark.parametrize("kind", [FrameType.SETUP, FrameType.REPLY])
def test_a_circuit_that_is_never_answered_ends_and_is_forgotten(link, kind):
    network = MemoryNetwork(6)
    tap = Tap(network)
    tap.change = lambda seen, _: None if (seen.kind, seen.link) == (kind, link) else seen.body
    owner = Meeting(network, 0).listen()
    network.run()
    assert owner.error is owner.message is None
    network.advance(11.0)
    assert isinstance(owner.error, CircuitTimeoutError)
    network.advance(62.0)
    assert all(relay.core.circuits == 0 for relay in network.relays.values())


@given(st.integers(0, 6), st.integers(1, 12))
@settings(max_examples=8)
def test_a_stream_goes_on_over_another_path_within_three_seconds(link, when):
    """The silent one still answers PINGs of its links: only the ends can notice."""
    call = Call(tap=Tap)
    call.another()
    stream = call.caller.open_stream("files")
    call.settle()
    sent, got, silent_since, stalled = 0, b"", None, 0.0
    last = call.network.now
    for turn in range(2_000):
        if turn == when:
            silent_since = call.network.now
            call.tap.change = lambda seen, _: (
                None if seen.link == link and seen.kind in ONION else seen.body
            )
        sent += call.caller.send(stream, BODY[sent : sent + 100_000])
        call.settle(1)
        piece = call.callee.receive(stream, 1 << 20)
        got += piece
        if piece:
            stalled = max(stalled, call.network.now - last)
            last = call.network.now
        if len(got) == len(BODY):
            break
    assert got == BODY
    assert silent_since is not None
    assert stalled < 3.0
    assert not any(isinstance(e, ev.SessionClosed) for e in call.log[0] + call.log[1])
