import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.tlv import UnknownCriticalError, decode_tlv, encode_tlv

fields = st.dictionaries(st.integers(1, 255), st.binary(max_size=20), max_size=6)
EVERYTHING = range(256)


@given(fields, st.integers(0, 30))
def test_fields_survive_with_any_padding(wanted, extra):
    size = sum(3 + len(value) for value in wanted.values()) + extra
    encoded = encode_tlv(wanted, size)
    assert len(encoded) == size
    assert decode_tlv(encoded, EVERYTHING) == wanted


@given(fields)
def test_unknown_fields_are_skipped_below_128_and_abort_above(wanted):
    encoded = encode_tlv(wanted, 512)
    if max(wanted, default=0) >= 128:
        with pytest.raises(UnknownCriticalError):
            decode_tlv(encoded, ())
    else:
        assert decode_tlv(encoded, ()) == {}
        known = {kind for kind in wanted if kind % 2}
        assert decode_tlv(encoded, known) == {k: v for k, v in wanted.items() if k in known}


@given(st.binary(max_size=64))
@example(b"\1\0\0\0\0\1")
@example(b"\2\0\0\1\0\0")
@example(b"\1\0\0\1\0\0")
@example(b"\1\xff\xff")
def test_arbitrary_bytes_are_the_one_encoding_or_malformed(data):
    try:
        decoded = decode_tlv(data, EVERYTHING)
    except MalformedError:
        return
    assert encode_tlv(decoded, len(data)) == data


@pytest.mark.parametrize("bad", [({0: b""}, 9), ({256: b""}, 9), ({1: bytes(7)}, 9)])
def test_our_own_fields_must_fit(bad):
    with pytest.raises(LocalProtocolError):
        encode_tlv(*bad)
