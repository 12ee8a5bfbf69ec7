"""The codec: one encoding a value, everything else a named error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.canonical import encode
from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.version import VersionRange
from peerstream.node.services.files.offer import SIZE_MAX, Abort, Answer, Begin, Offer, Receipt
from peerstream.node.services.files.wire import (
    DOCUMENT_MAX,
    FILE_VERSIONS,
    GREETING_SIZE,
    HEAD_SIZE,
    LONGEST,
    FileStatus,
    Kind,
    MessageError,
    MessageTooLongError,
    decode_greeting,
    decode_head,
    encode_greeting,
    encode_head,
)

sizes = st.integers(0, SIZE_MAX)
hashes = st.binary(min_size=32, max_size=32)
names = st.text(max_size=63).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
refusals = st.sampled_from([status for status in FileStatus if status is not FileStatus.OK])

documents = st.one_of(
    st.builds(Offer, names, sizes, hashes),
    st.builds(Answer, st.just(FileStatus.OK), sizes, hashes),
    st.builds(Answer, refusals),
    st.builds(Begin, sizes),
    st.builds(Receipt, st.just(FileStatus.OK), hashes),
    st.builds(Receipt, refusals),
    st.builds(Abort, refusals),
)
DECODERS = [Offer, Answer, Begin, Receipt, Abort]


@given(documents)
def test_what_was_encoded_comes_back(document):
    encoded = document.encode()
    assert len(encoded) <= DOCUMENT_MAX
    assert type(document).decode(encoded) == document


@given(documents, st.data())
def test_a_changed_document_is_another_one_or_none(document, data):
    encoded = bytearray(document.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = type(document).decode(bytes(encoded))
    except MessageError:
        return
    assert changed != document


@pytest.mark.parametrize("decoder", DECODERS)
@given(junk=st.binary(max_size=600))
def test_junk_is_a_named_error_or_a_document(decoder, junk):
    try:
        document = decoder.decode(junk)
    except MessageError:
        return
    assert decoder.decode(document.encode()) == document


@given(documents, st.binary(min_size=1, max_size=9))
def test_nothing_may_follow_a_document(document, more):
    with pytest.raises(MessageError):
        type(document).decode(document.encode() + more)


@given(documents)
def test_a_later_version_may_add_a_field_that_can_be_skipped(document):
    # One more entry in the map: the head counts it, and key 23 sorts behind all others.
    encoded = bytearray(document.encode())
    encoded[0] += 1
    assert type(document).decode(bytes(encoded) + b"\x17\xf5") == document


@given(documents)
def test_a_critical_field_that_is_unknown_is_refused(document):
    encoded = bytearray(document.encode())
    encoded[0] += 1
    with pytest.raises(MessageError):
        type(document).decode(bytes(encoded) + b"\x20\xf5")


def test_the_longest_offer_fits():
    offer = Offer("x" * 255, SIZE_MAX, bytes(32))
    assert len(offer.encode()) <= DOCUMENT_MAX


BAD_DOCUMENTS = {
    "a name of 256": (Offer, {1: "x" * 256, 2: 1, 3: bytes(32)}),
    "a size of 2^63": (Offer, {1: "x", 2: 1 << 63, 3: bytes(32)}),
    "a negative size": (Offer, {1: "x", 2: -1, 3: bytes(32)}),
    "a short hash": (Offer, {1: "x", 2: 1, 3: bytes(31)}),
    "a name of bytes": (Offer, {1: b"x", 2: 1, 3: bytes(32)}),
    "an answer without its offset": (Answer, {1: 0, 3: bytes(32)}),
    "a refusal with an offset": (Answer, {1: 1, 2: 5}),
    "a status of nobody": (Answer, {1: 99}),
    "a receipt without a hash": (Receipt, {1: 0}),
    "a refusal with a hash": (Receipt, {1: 8, 2: bytes(32)}),
    "giving up for no reason": (Abort, {1: 0}),
    "true in place of 1": (Begin, {1: True}),
}


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_what_breaks_a_rule_is_refused(name):
    decoder, value = BAD_DOCUMENTS[name]
    with pytest.raises(MessageError):
        decoder.decode(encode(value))


@pytest.mark.parametrize("kind", Kind)
def test_heads_come_back_and_have_limits(kind):
    longest = LONGEST[kind]
    for length in (1, longest):
        assert decode_head(encode_head(kind, length)) == (kind, length)
    for length in (0, longest + 1):
        with pytest.raises(LocalProtocolError):
            encode_head(kind, length)
        with pytest.raises(MessageError):
            decode_head(bytes((kind,)) + length.to_bytes(3, "big"))


def test_a_length_that_wants_our_memory_has_its_own_name():
    with pytest.raises(MessageTooLongError):
        decode_head(b"\x04\xff\xff\xff")


@given(st.binary(max_size=8))
def test_junk_heads_are_named(junk):
    try:
        kind, length = decode_head(junk)
    except MalformedError:
        return
    assert len(junk) == HEAD_SIZE
    assert encode_head(kind, length) == junk


@given(st.integers(1, 0xFFFF), st.integers(1, 0xFFFF))
def test_greetings_come_back(one, other):
    versions = VersionRange(min(one, other), max(one, other))
    assert decode_greeting(encode_greeting(versions)) == versions


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"psp/file",
        b"psp/mail\0\1\0\1",
        b"psp/file\0\2\0\1",
        b"psp/file\0\0\0\1",
        b"psp/file\0\1\0\1\0",
    ],
)
def test_other_greetings_are_refused(greeting):
    with pytest.raises(MessageError):
        decode_greeting(greeting)


def test_the_greeting_is_frozen():
    assert encode_greeting(FILE_VERSIONS) == b"psp/file\x00\x01\x00\x01"
    assert len(encode_greeting(FILE_VERSIONS)) == GREETING_SIZE


def test_the_encodings_are_frozen():
    assert Offer("a.txt", 3, bytes(32)).encode().hex() == (
        "a30165612e747874020303" + "5820" + "00" * 32
    )
    assert Answer(FileStatus.DECLINED).encode().hex() == "a10101"
    assert Begin(256).encode().hex() == "a101190100"
    assert Receipt(FileStatus.OK, bytes(32)).encode().hex() == "a20100025820" + "00" * 32
    assert Abort(FileStatus.CHANGED).encode().hex() == "a1010a"
