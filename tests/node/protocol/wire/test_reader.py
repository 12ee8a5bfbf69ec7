import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import MalformedError
from peerstream.node.protocol.wire.reader import Reader


def test_fields_are_big_endian_and_in_order():
    reader = Reader(bytes(range(1, 17)))
    assert reader.u8() == 0x01
    assert reader.u16() == 0x0203
    assert reader.u32() == 0x04050607
    assert reader.u64() == 0x08090A0B0C0D0E0F
    assert reader.rest() == b"\x10"
    reader.end()


@given(st.binary(max_size=40), st.lists(st.integers(-2, 20), max_size=8))
def test_a_reader_gives_the_bytes_in_order_and_never_more(data, counts):
    reader = Reader(data)
    taken = b""
    for count in counts:
        try:
            taken += reader.take(count)
        except MalformedError:
            assert count < 0 or count > len(data) - len(taken)
    assert taken + reader.rest() == data
    reader.end()


@given(st.binary(min_size=1, max_size=9))
def test_what_is_left_over_is_refused(data):
    with pytest.raises(MalformedError):
        Reader(data).end()


def test_reserved_bytes_must_be_zero():
    Reader(bytes(3)).zeros(3)
    with pytest.raises(MalformedError):
        Reader(b"\0\0\1").zeros(3)


def test_a_field_stays_valid_when_the_buffer_is_used_again():
    buffer = bytearray(b"abcd")
    reader = Reader(memoryview(buffer))
    buffer[:] = b"wxyz"
    assert reader.take(4) == b"abcd"
