"""The frame codec: one encoding per value, and only named errors for anything else."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.session import frames as fr
from peerstream.node.protocol.session.errors import MalformedFrameError
from peerstream.node.protocol.wire.status import Status

u16, u32, u64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
status = st.sampled_from(Status)
name = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)


def raw(size):
    return st.binary(min_size=size, max_size=size)


def datagrams():
    parts = st.integers(1, 1_024).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n)))
    data = st.binary(max_size=50).map(memoryview)
    return st.tuples(u16, u32, parts, u16, data).map(
        lambda t: fr.Datagram(t[0], t[1], *t[2], t[3], t[4])
    )


any_frame = st.one_of(
    st.builds(fr.Data, u32, u64, st.binary(max_size=50).map(memoryview), st.booleans()),
    st.builds(fr.Open, u32, name),
    st.builds(fr.Opened, u32),
    st.builds(fr.Reset, u32, u64, status),
    st.builds(fr.Credit, u32, u64),
    st.builds(fr.Ack, u32, u64, u32, u32),
    st.builds(fr.Ping),
    datagrams(),
    st.builds(fr.Auth, raw(32)),
    st.builds(fr.AddPath, u32, raw(32), raw(32), st.integers(0, 3), st.integers(1, 2)),
    st.builds(fr.PathStatus, u32, status),
    st.builds(fr.Tickets, st.lists(raw(48), min_size=1, max_size=4).map(tuple)),
    st.builds(fr.Contact, st.binary(min_size=1, max_size=60)),
    st.builds(fr.Rekey1, u32, u32, st.integers(0, 1), raw(608)),
    st.builds(fr.Rekey2, u32, st.integers(0, 1), raw(560)),
    st.builds(fr.Rekey3, u32),
    st.builds(fr.Switch, u32),
    st.builds(fr.Close, status),
)


@given(st.lists(any_frame, max_size=8), st.integers(0, 40))
def test_frames_come_back_equal_and_encode_the_same(frames, padding):
    text = b"".join(map(fr.encode, frames))
    decoded = fr.decode_cell(text + bytes(padding))
    assert decoded == frames
    assert b"".join(map(fr.encode, decoded)) == text


@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_frames_or_the_named_error(text):
    try:
        frames = fr.decode_cell(text)
    except MalformedFrameError:
        return
    known = b"".join(map(fr.encode, frames))
    assert len(known) <= len(text)


@given(st.lists(any_frame, min_size=1, max_size=3), st.data())
def test_changed_frames_give_frames_or_the_named_error(frames, data):
    text = bytearray(b"".join(map(fr.encode, frames)))
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedFrameError):
        fr.decode_cell(bytes(text[: data.draw(st.integers(0, len(text)))]))


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("past the end", b"\x01\x00\x00\xff" + bytes(20)),
        ("DATA too short", b"\x01\x00\x00\x04" + bytes(4)),
        ("DATA flags", b"\x01\x02\x00\x0c" + bytes(12)),
        ("flags of others", b"\x08\x01\x00\x00"),
        ("a body where none belongs", b"\x08\x00\x00\x01\x00"),
        ("unknown critical", b"\x80\x00\x00\x00"),
        ("dirty padding", b"\x08\x00\x00\x00" + bytes(9) + b"\x01"),
        ("half a header", b"\x08\x00\x00\x00\x08\x00"),
        ("no name", b"\x02\x00\x00\x04\x00\x00\x00\x01"),
        ("name not UTF-8", b"\x02\x00\x00\x05\x00\x00\x00\x01\xff"),
        ("unknown status", b"\x0f\x00\x00\x01\xff"),
        ("piece of a ticket", b"\x0e\x00\x00\x31" + bytes(49)),
        ("part of no parts", b"\x09\x00\x00\x0c" + bytes(12)),
    ],
)
def test_named_malformations(case, text):
    with pytest.raises(MalformedFrameError):
        fr.decode_cell(text)


def test_unknown_frames_below_128_are_skipped():
    assert fr.decode_cell(b"\x7f\x00\x00\x03abc" + fr.PING_BYTES + bytes(5)) == [fr.Ping()]


def test_every_control_frame_fits_the_smallest_cell():
    largest = [
        fr.Open(1, "x" * 64), fr.Tickets((bytes(48),) * 4), fr.Contact(bytes(512)),
        fr.Rekey1(1, 1, 1, bytes(608)), fr.Rekey2(1, 1, bytes(560)),
        fr.AddPath(1, bytes(32), bytes(32), 1, 1),
    ]  # fmt: skip
    head = len(fr.encode(fr.Auth(bytes(32)))) + fr.ACK_SIZE + len(fr.PING_BYTES) + fr.SWITCH_SIZE
    assert all(len(fr.encode(frame)) <= fr.CONTROL_SIZE_MAX for frame in largest)
    assert head + fr.CONTROL_SIZE_MAX <= 1_024 - 16
