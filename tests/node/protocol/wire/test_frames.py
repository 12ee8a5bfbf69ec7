import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.frames import (
    CIRCUIT_FRAMES,
    HEADER,
    FrameError,
    FrameType,
    Hello,
    PaddingRate,
    check_header,
    decode_credit,
    decode_destroy,
    encode_credit,
    encode_destroy,
    encode_frame,
    split_header,
)
from peerstream.node.protocol.wire.sizes import CELL_SIZES, LINK_HEADER_SIZE
from peerstream.node.protocol.wire.status import DESTROY_REASONS, Status
from peerstream.node.protocol.wire.version import VersionRange

u16, u32, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
LENGTHS = {
    FrameType.SETUP: {16_384},
    FrameType.REPLY: {1_024},
    FrameType.CELL: {1_024, 4_096, 16_368, 64_512},
    FrameType.CREDIT: {4},
    FrameType.DESTROY: {4},
    FrameType.HELLO: {28},
    FrameType.PADNEG: {8},
    FrameType.PING: {8},
    FrameType.PONG: {8},
}


def test_the_header_is_eight_bytes():
    assert HEADER.size == LINK_HEADER_SIZE
    header = encode_frame(0x80000001, FrameType.CREDIT, encode_credit(5))[:8]
    assert header == bytes.fromhex("8000000104000004")


@pytest.mark.parametrize("frame_type", LENGTHS)
def test_every_type_has_exact_lengths(frame_type):
    circuit = 7 if frame_type in CIRCUIT_FRAMES else 0
    legal = {length for length in range(2**16) if _accepts(circuit, frame_type, 0, length)}
    assert legal == LENGTHS[frame_type]


def test_padding_may_have_any_length():
    assert all(_accepts(0, FrameType.PADDING, 0, length) for length in range(2**16))


@given(u32, st.integers(0, 255), st.integers(0, 255), u16)
@example(1, 3, 0, CELL_SIZES[0])
def test_any_header_is_a_frame_or_a_frame_error(circuit, kind, flags, length):
    if _accepts(circuit, kind, flags, length):
        assert flags == 0
        assert (circuit != 0) == (FrameType(kind) in CIRCUIT_FRAMES)
        assert encode_frame(circuit, FrameType(kind), bytes(length))
    elif kind <= FrameType.PONG and flags == 0:
        with pytest.raises(LocalProtocolError):
            encode_frame(circuit, FrameType(kind), bytes(length))


@given(st.binary(max_size=12))
def test_a_header_is_split_or_refused(data):
    if len(data) < 8:
        with pytest.raises(FrameError):
            split_header(data)
    else:
        assert HEADER.pack(*split_header(data)) == data[:8]


@given(u64)
def test_a_credit_counts_modulo_32_bits(cells):
    assert decode_credit(encode_credit(cells)) == cells % 2**32


def test_only_reasons_that_say_nothing_about_the_path_cross_a_link():
    for status in Status:
        if status in DESTROY_REASONS:
            assert decode_destroy(encode_destroy(status)) is status
        else:
            with pytest.raises(LocalProtocolError):
                encode_destroy(status)
            with pytest.raises(MalformedError):
                decode_destroy(bytes((status, 0, 0, 0)))


@given(st.builds(VersionRange, st.integers(1, 9), st.integers(9, 2**16 - 1)), u32, u64, u64, u32)
def test_a_hello_survives(versions, features, epoch, time, circuits):
    hello = Hello(versions, features, epoch, time, circuits)
    assert len(hello.encode()) == 28
    assert Hello.decode(hello.encode()) == hello


@given(st.sampled_from([Hello, PaddingRate]), st.binary(max_size=40))
@example(Hello, bytes(28))
@example(PaddingRate, bytes(8))
@example(PaddingRate, b"\0\2\0\1" + bytes(4))
def test_arbitrary_bytes_are_one_encoding_or_malformed(body_type, data):
    try:
        decoded = body_type.decode(data)
    except MalformedError:
        return
    assert decoded.encode() == data


@given(st.sampled_from([decode_credit, decode_destroy]), st.binary(max_size=8))
def test_arbitrary_bodies_give_a_value_or_malformed(decode, data):
    try:
        decode(data)
    except MalformedError:
        return
    assert len(data) == 4


def test_our_own_fields_must_fit():
    with pytest.raises(LocalProtocolError):
        Hello(VersionRange(1, 1), 2**32, 0, 0, 0).encode()
    with pytest.raises(LocalProtocolError):
        PaddingRate(0, 2**16, 0, 0).encode()


def _accepts(circuit, kind, flags, length):
    try:
        check_header(circuit, kind, flags, length)
    except FrameError:
        return False
    return True
