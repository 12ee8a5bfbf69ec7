"""Deterministic CBOR: one encoding a value, and nothing else is read."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import canonical
from peerstream.identity.errors import CriticalFieldError, EncodingError

SIZE = 1 << 16
integers = st.integers(-(2**64), 2**64 - 1)
scalars = integers | st.booleans() | st.binary(max_size=40) | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(integers, inner, max_size=4),
    max_leaves=12,
)


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 1


@given(values.filter(lambda value: depth(value) <= canonical.MAXIMUM_DEPTH))
def test_decode_undoes_encode(value):
    data = canonical.encode(value)
    assert canonical.decode(data, max_size=SIZE) == value
    assert cbor2.loads(data) == value


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_one_value_s_encoding_or_refused(data):
    try:
        value = canonical.decode(data, max_size=SIZE)
    except EncodingError:
        return
    assert canonical.encode(value) == data


@given(values.filter(lambda value: depth(value) <= canonical.MAXIMUM_DEPTH), st.data())
def test_another_encoding_of_a_value_is_refused(value, data):
    encoded = canonical.encode(value)
    for other in (
        cbor2.dumps(value, indefinite_containers=True),
        cbor2.dumps(value, canonical=True),
    ):
        if other != encoded:
            with pytest.raises(EncodingError):
                canonical.decode(other, max_size=SIZE)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(EncodingError):
        canonical.decode(encoded[:cut], max_size=SIZE)
    with pytest.raises(EncodingError):
        canonical.decode(encoded + b"\0", max_size=SIZE)


@pytest.mark.parametrize(
    "value", [None, 1.0, 2**64, -(2**64) - 1, (1,), {"a": 1}, {True: 1}, b"x".__class__, {1: {2.0}}]
)
def test_values_without_an_encoding_are_refused(value):
    with pytest.raises(EncodingError):
        canonical.encode(value)


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(EncodingError):
        canonical.encode("\ud800")


def test_depth_is_bounded_both_ways():
    value = 0
    for _ in range(canonical.MAXIMUM_DEPTH):
        value = [value]
    with pytest.raises(EncodingError):
        canonical.encode(value)
    with pytest.raises(EncodingError):
        canonical.decode(b"\x81" * 5_000 + b"\0", max_size=SIZE)


def test_size_is_bounded():
    with pytest.raises(EncodingError):
        canonical.decode(canonical.encode(bytes(100)), max_size=100)


def test_unknown_fields_are_ignored_unless_critical():
    fields = canonical.decode_fields(canonical.encode({1: 5, 99: b"new"}), known=(1,), max_size=99)
    assert fields.integer(1, 5) == 5
    assert 2 not in fields
    with pytest.raises(CriticalFieldError):
        canonical.decode_fields(canonical.encode({1: 5, -1: 0}), known=(1,), max_size=99)
    inner = canonical.decode_fields(canonical.encode({1: {-9: 0}}), known=(1,), max_size=99)
    with pytest.raises(CriticalFieldError):
        inner.fields(1, (1,))


@pytest.mark.parametrize(
    "read",
    [
        lambda f: f.integer(1, 4),
        lambda f: f.integer(2, 4),
        lambda f: f.integer(3, 4),
        lambda f: f.integer(9, 4),
        lambda f: f.octets(2, 3),
        lambda f: f.octets(1, 3),
        lambda f: f.octets_up_to(2, 1),
        lambda f: f.text(4, 1),
        lambda f: f.text(1, 9),
        lambda f: f.boolean(1),
        lambda f: f.array(5, 3, 9),
        lambda f: f.array(5, 0, 1),
        lambda f: f.array(1, 0, 1),
        lambda f: f.fields(1, ()),
    ],
)
def test_each_getter_refuses_other_types_and_ranges(read):
    fields = canonical.Fields({1: 5, 2: b"ab", 3: True, 4: "ä", 5: [1, 2]}, range(1, 6))
    with pytest.raises(EncodingError):
        read(fields)


def test_each_getter_reads_what_it_is_for():
    fields = canonical.Fields({1: 5, 2: b"ab", 3: True, 4: "ä", 5: [1, 2], 6: {1: 1}}, range(1, 7))
    assert (fields.integer(1, 5), fields.octets(2, 2), fields.octets_up_to(2, 3)) == (
        5,
        b"ab",
        b"ab",
    )
    assert (fields.boolean(3), fields.text(4, 2), fields.array(5, 2, 2)) == (True, "ä", [1, 2])
    assert fields.fields(6, (1,)).integer(1, 1) == 1


def test_a_document_that_is_no_map_has_no_fields():
    with pytest.raises(EncodingError):
        canonical.decode_fields(b"\0", known=(), max_size=1)
