"""Connections, streams and frames are cut as they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.lab.audit.framing import (
    LINK,
    MULTISTREAM,
    Piecewise,
    UnreadableStreamError,
    link_frames,
    noise_messages,
    skip_negotiation,
    yamux_streams,
)
from peerstream.node.network import yamux_frames as yamux
from peerstream.node.network.negotiate import encode_message
from peerstream.node.protocol.wire.frames import FrameType, encode_frame

NEGOTIATED = MULTISTREAM + encode_message("/yamux/1.0.0")
NEW_LINK = MULTISTREAM + encode_message(LINK.decode())


def pieces(data, size=None):
    whole = Piecewise()
    step = size or max(1, len(data))
    for number, start in enumerate(range(0, len(data), step)):
        whole.add(data[start : start + step], 100 + number)
    return whole


def test_negotiations_are_passed_over():
    assert skip_negotiation(NEW_LINK + b"\0\0") == (
        len(NEW_LINK),
        [b"/multistream/1.0.0", LINK],
    )
    assert skip_negotiation(b"") == (0, [])
    assert skip_negotiation(b"\x13short") == (0, [])


def test_noise_messages_begin_behind_their_lengths():
    data = b"\0\x03abc" + b"\0\x01d" + b"\0\x09cut"
    assert list(noise_messages(data, 0)) == [2, 7]


@given(
    st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=50)), max_size=20),
    st.integers(1, 40),
)
def test_streams_are_put_together_wherever_records_begin(bodies, size):
    data, expected = NEGOTIATED, {}
    for stream, body in bodies:
        data += yamux.pack(yamux.DATA, 0, stream, len(body)) + body
        data += yamux.pack(yamux.WINDOW_UPDATE, 0, stream, 1_000)
        expected[stream] = expected.get(stream, b"") + body
    found = yamux_streams(pieces(data, size))
    assert {stream: bytes(whole.data) for stream, whole in found.items()} == expected


def test_what_is_no_yamux_is_not_passed_over():
    with pytest.raises(UnreadableStreamError):
        yamux_streams(pieces(NEGOTIATED + b"\x01" + bytes(20)))


@given(st.integers(1, 2_000))
def test_frames_are_told_with_their_circuit_and_record(size):
    credit, ping = bytes(4), bytes(8)
    frames = [
        (7, FrameType.CREDIT, credit),
        (0, FrameType.PING, ping),
        (9, FrameType.CREDIT, b"abcd"),
    ]
    data = NEW_LINK
    starts = []
    for circuit, kind, body in frames:
        starts.append(len(data))
        data += encode_frame(circuit, kind, body)
    found = link_frames(pieces(data, size))
    assert [(frame.circuit, frame.kind, frame.body) for frame in found] == frames
    assert [frame.record for frame in found] == [100 + start // size for start in starts]


def test_other_streams_are_no_links():
    assert link_frames(pieces(MULTISTREAM + encode_message("/psp/dir/1.0.0") + bytes(50))) is None
    assert link_frames(pieces(b"")) is None
