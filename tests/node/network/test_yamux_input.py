"""Frames come out the same wherever messages begin and end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.network.errors import BadFrameError
from peerstream.node.network.yamux_frames import DATA, HEADER, WINDOW_UPDATE
from peerstream.node.network.yamux_input import FrameReader

FRAMES = st.lists(
    st.tuples(
        st.sampled_from([DATA, WINDOW_UPDATE]), st.integers(0, 15), st.integers(0, 9), st.binary()
    ),
    max_size=10,
)


def collect(messages: list[bytes]) -> list[tuple]:
    frames: list[list] = []

    def frame(kind: int, flags: int, stream_id: int, length: int) -> None:
        frames.append([kind, flags, stream_id, length, b"", length == 0 or kind != DATA])

    def body(data: memoryview, last: bool) -> None:  # noqa: FBT001
        frames[-1][4] += bytes(data)
        assert not frames[-1][5]
        frames[-1][5] = last

    reader = FrameReader(frame, body)
    for message in messages:
        reader.receive(message)
    return [tuple(each) for each in frames]


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 40), max_size=30))
def test_any_cut_gives_the_same_frames(frames: list[tuple], cuts: list[int]) -> None:
    stream = b"".join(
        HEADER.pack(0, kind, flags, stream_id, len(data)) + (data if kind == DATA else b"")
        for kind, flags, stream_id, data in frames
    )
    expected = [
        (kind, flags, stream_id, len(data), data if kind == DATA else b"", True)
        for kind, flags, stream_id, data in frames
    ]
    messages, rest = [], stream
    for cut in cuts:
        messages.append(rest[:cut])
        rest = rest[cut:]
    assert collect([m for m in [*messages, rest] if m]) == expected


def test_another_version_is_refused() -> None:
    with pytest.raises(BadFrameError):
        collect([b"\x01" + bytes(11)])
