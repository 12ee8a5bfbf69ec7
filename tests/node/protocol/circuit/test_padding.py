"""Silence is padded, traffic is not."""

from peerstream.node.protocol.circuit.padding import (
    DEFAULT_RATE,
    NO_PADDING,
    LinkPadding,
    PaddingProfile,
    padding_of,
)
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.frames import FrameType
from tests.node.protocol.circuit.memory_network import MemoryNetwork


def padded(network):
    """A client and its guard with one open circuit, and the padding of both ends."""
    relay = network.relay()
    client = network.client()
    owner = client.circuit([relay])
    network.run()
    network.advance(5.0)  # the PING of the beginning is over
    near, far = network.cables[0].ends
    ends = [
        LinkPadding(link, rate, entropy=network.entropy, now=network.now)
        for link, rate in ((near, DEFAULT_RATE), (far, None))
    ]
    return owner, near, far, ends


def run(network, ends, seconds, each=None):
    """Bytes that the cable carried."""
    network.advance(0.5)
    before = network.cables[0].carried
    for _ in range(seconds):
        if each is not None:
            each()
        network.advance(1.0)
        for padding in ends:
            padding.tick(network.now)
        network.run()
    return network.cables[0].carried - before


def test_a_silent_link_is_padded_by_who_wants_to():
    network = MemoryNetwork(1)
    _, _, far, ends = padded(network)
    sent, answered = ends[0].link.batches_sent, far.batches_sent
    run(network, ends, 170)
    assert 170 / 10.5 <= ends[0].link.batches_sent - sent <= 170 / 2
    assert far.batches_sent == answered


def test_the_guard_pads_as_its_client_asked():
    network = MemoryNetwork(2)
    _, near, far, ends = padded(network)
    near.send(0, FrameType.PADNEG, DEFAULT_RATE.encode())
    network.run()
    assert far.peer_padding == DEFAULT_RATE
    answered = far.batches_sent
    run(network, ends, 170)
    assert far.batches_sent - answered >= 170 / 10.5


def test_traffic_needs_no_padding():
    network = MemoryNetwork(3)
    owner, _, _, ends = padded(network)
    size = owner.circuit.cell_size + 8
    carried = run(network, ends, 60, lambda: owner.circuit.send_control(Command.PAD_DROP, b""))
    assert 60 * size <= carried < 60 * (size + 50)  # and a PING each way


def test_padding_stops_with_its_link():
    network = MemoryNetwork(4)
    _, near, _, ends = padded(network)
    near.close()
    ends[0].tick(network.now + 100.0)
    assert not near.has_output


def test_a_guard_cannot_choose_what_its_client_pads():
    for own in (DEFAULT_RATE, NO_PADDING):
        for asked in (NO_PADDING, padding_of(PaddingProfile.CONSTANT, 256)):
            network = MemoryNetwork(79)
            network.client().circuit([network.relay()])
            network.run()
            near, far = network.cables[0].ends
            padding = LinkPadding(near, own, entropy=network.entropy, now=network.now)
            far.send(0, FrameType.PADNEG, asked.encode())
            network.run()
            for _ in range(60):
                network.advance(1.0)
                padding.tick(network.now)
            assert near.constant is None
            assert bool(padding.bytes_sent) is (own is DEFAULT_RATE)
