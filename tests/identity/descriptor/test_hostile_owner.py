"""The owner of a validly signed record puts anything inside: readers get a named error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import IdentityKey, Record, canonical, errors, open_descriptor
from peerstream.identity.keys import tagged_hash
from tests.identity.samples import (
    IDENTITY,
    NETWORK,
    NOW,
    PERIOD,
    RULES,
    SIGNED,
    WALLET,
    checks,
    contents,
    delegation,
    fixed,
)
from tests.reference import slow_identity

SECRET = fixed("identity")
BODY = canonical.encode(contents().body_fields())


def opened(document, pad=None):
    """Open a record around any document, made without the package's own checks."""
    made = slow_identity.record(
        NETWORK, SECRET, WALLET.address.raw, fixed("seed"), PERIOD, NOW, NOW + 600, fixed("salt"),
        b"", document, pad=pad,
    )  # fmt: skip
    record = Record.parse(made).verify(now=NOW, rules=RULES)
    return open_descriptor(record, IDENTITY.public, WALLET.address, b"", checks=checks())


def test_the_honest_document_opens():
    assert opened(canonical.encode({1: SIGNED.to_fields(), 2: BODY})) == contents()


@given(st.binary(max_size=200))
def test_arbitrary_documents(data):
    with pytest.raises(errors.IdentityError):
        opened(data)


@given(st.binary(max_size=200))
def test_arbitrary_bodies(data):
    with pytest.raises(errors.EncodingError):
        opened(slow_identity.cbor({1: SIGNED.to_fields(), 2: data}))


@given(st.integers(0, 8 * len(BODY) - 1))
def test_bodies_with_a_flipped_bit_never_raise_another_error(bit):
    flipped = (int.from_bytes(BODY) ^ 1 << bit).to_bytes(len(BODY))
    try:
        opened(slow_identity.cbor({1: SIGNED.to_fields(), 2: flipped}))
    except errors.IdentityError:
        return


@pytest.mark.parametrize(
    "fields",
    [
        {1: SIGNED.to_fields()},
        {1: SIGNED.to_fields(), 2: BODY, 4: b""},
        {1: SIGNED.to_fields(), 3: bytes(56 * 16)},
        {1: SIGNED.to_fields(), 4: b""},
        {1: SIGNED.to_fields(), 3: b"", 4: b""},
        {1: SIGNED.to_fields(), 3: bytes(56 * 80), 4: b""},
        {1: b"", 2: BODY},
        {2: BODY},
        {-5: 0, 1: SIGNED.to_fields(), 2: BODY},
    ],
)
def test_documents_of_another_shape(fields):
    with pytest.raises(errors.EncodingError):
        opened(slow_identity.cbor(fields))


def test_a_field_from_the_future_is_ignored():
    assert opened(slow_identity.cbor({1: SIGNED.to_fields(), 2: BODY, 77: "new"})) == contents()


def test_the_delegation_of_another_identity_key_is_named():
    other = IdentityKey.from_bytes(tagged_hash(b"other", b"")).public
    theirs = delegation(identity_key=other).sign(WALLET, NETWORK)
    with pytest.raises(errors.OtherIdentityError):
        opened(slow_identity.cbor({1: theirs.to_fields(), 2: BODY}))


@pytest.mark.parametrize(
    "pad",
    [
        lambda plain: plain[:-1] + b"\1",
        lambda plain: b"\xff\xff\xff\xff" + plain[4:],
        lambda plain: bytes(4) + plain[4:],
        lambda plain: (len(plain)).to_bytes(4) + plain[4:],
    ],
)
def test_dirty_padding_and_false_lengths(pad):
    with pytest.raises(errors.EncodingError):
        opened(canonical.encode({1: SIGNED.to_fields(), 2: BODY}), pad)


def test_a_size_class_larger_than_needed_is_refused():
    document = canonical.encode({1: SIGNED.to_fields(), 2: BODY})
    padded = document + bytes(4_096)

    def shorten(plain):
        return len(document).to_bytes(4) + plain[4:]

    with pytest.raises(errors.EncodingError):
        opened(padded, shorten)
