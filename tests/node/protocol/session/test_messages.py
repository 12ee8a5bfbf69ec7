"""The layouts of the two handshake messages: one encoding per value, named errors for the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.session.errors import MalformedMessageError
from peerstream.node.protocol.session.messages import (
    PAYLOAD_1_SIZE,
    CallAnswer,
    CallerClaim,
    CallRequest,
    Header1,
    Payload1,
    ResumeClaim,
    decode_header1,
    decode_payload1,
    decode_payload2,
    encode_payload1,
    encode_payload2,
)
from peerstream.node.protocol.wire.status import Status
from peerstream.node.protocol.wire.tlv import UnknownCriticalError

REFUSED = (MalformedMessageError, UnknownCriticalError)
u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
service = st.text(st.characters(codec="utf-8"), min_size=1, max_size=16)


def raw(size):
    return st.binary(min_size=1, max_size=8).map(lambda seed: (seed * size)[:size])


def requests(**fields):
    fixed = {
        "relay_id": raw(32), "cookie": raw(32), "epoch": u64, "root": raw(32),
        "level": st.integers(1, 2), "cell_class": st.integers(0, 3), "bucket": u32,
    }  # fmt: skip
    return st.builds(CallRequest, **fixed, **fields)


payloads = st.builds(
    Payload1,
    raw(1_184),
    st.one_of(
        requests(),
        requests(
            service=service, early=st.binary(max_size=300), puzzle=st.binary(max_size=9),
            ticket=st.sampled_from([b"", bytes(48)]), rendezvous_descriptor=st.binary(max_size=9),
        ),
    ),
    st.one_of(st.none(), st.builds(CallerClaim, st.binary(min_size=1, max_size=90), raw(32))),
    st.one_of(
        st.none(),
        st.builds(ResumeClaim, raw(16), st.integers(0, 2**30 - 1).map(lambda n: 2 * n), raw(32)),
    ),
)  # fmt: skip
answers = st.one_of(
    st.sampled_from([status for status in Status if status is not Status.OK]),
    st.builds(
        CallAnswer, u32, u32, st.booleans(), st.binary(max_size=1_500),
        st.lists(raw(48), max_size=4).map(tuple), st.booleans(),
    ),
)  # fmt: skip


@given(payloads)
def test_payload_1_comes_back_equal_and_encodes_the_same(payload):
    encoded = encode_payload1(payload)
    assert len(encoded) == PAYLOAD_1_SIZE == 8_036
    assert decode_payload1(encoded) == payload
    assert encode_payload1(decode_payload1(encoded)) == encoded


@given(payloads, st.integers(1_184, 1_400), st.integers(0, 7))
def test_a_changed_payload_1_is_another_value_or_refused(payload, at, bit):
    changed = bytearray(encode_payload1(payload))
    changed[at] ^= 1 << bit
    try:
        decoded = decode_payload1(bytes(changed))
    except REFUSED:
        return
    if decoded != payload:
        assert len(encode_payload1(decoded)) == PAYLOAD_1_SIZE


@given(st.binary(max_size=400), st.booleans())
def test_arbitrary_payloads_are_values_or_refused(data, behind_fixed_fields):
    good = encode_payload1(
        Payload1(bytes(1_184), CallRequest(bytes(32), bytes(32), 1, bytes(32), 2, 2, 3), None, None)
    )
    start = good[:1_304] if behind_fixed_fields else b""
    try:
        payload = decode_payload1((start + data).ljust(PAYLOAD_1_SIZE, b"\0")[:PAYLOAD_1_SIZE])
    except REFUSED:
        return
    assert decode_payload1(encode_payload1(payload)) == payload


@given(answers)
def test_payload_2_comes_back_equal_in_the_smallest_size(answer):
    encoded = encode_payload2(answer)
    assert decode_payload2(encoded) == answer
    assert len(encoded) in (912, 8_048)
    assert encode_payload2(decode_payload2(encoded)) == encoded


@given(st.binary(max_size=60))
def test_arbitrary_answers_are_answers_or_refused(data):
    try:
        answer = decode_payload2(data.ljust(912, b"\0"))
    except REFUSED:
        return
    assert decode_payload2(encode_payload2(answer)) == answer


@given(raw(8), raw(1_120), st.integers(0, 255), st.integers(0, 255))
def test_header_1_comes_back_equal(key_id, ciphertext, version, suite):
    header = Header1(key_id, ciphertext)
    message = bytearray(header.encode().ljust(9_184, b"\7"))
    assert decode_header1(bytes(message)) == (1, 1, header)
    message[:2] = bytes((version, suite))
    assert decode_header1(bytes(message))[:2] == (version, suite)
    message[3] = 1
    with pytest.raises(MalformedMessageError):
        decode_header1(bytes(message))


@pytest.mark.parametrize("size", [0, 1, 9_183, 9_185])
def test_message_1_has_one_size(size):
    with pytest.raises(MalformedMessageError):
        decode_header1(bytes(size))


BAD_FIELDS = {
    "early data for no service": b"\x05\0\1x",
    "a service that is not UTF-8": b"\x04\0\1\xff",
    "a service of 65 bytes": b"\x04\0\x41" + b"a" * 65,
    "half a ticket": b"\x03\0\x18" + bytes(24),
    "two tickets": b"\x03\0\x60" + bytes(96),
    "a short proof": b"\x02\0\x20" + bytes(32),
    "a long chain": b"\x02\x0c\x21" + bytes(0x0C21),
    "an odd first path": b"\x07\0\x34" + bytes(16) + b"\0\0\0\1" + bytes(32),
    "a short resume": b"\x07\0\x33" + bytes(51),
    "an empty field": b"\x01\0\0",
    "fields out of order": b"\x04\0\1a\x01\0\1b",
    "a field that is cut off": b"\x05\xff\xff",
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_fields_of_another_form_are_malformed(name):
    request = CallRequest(bytes(32), bytes(32), 1, bytes(32), 2, 2, 3)
    good = encode_payload1(Payload1(bytes(1_184), request, None, None))
    with pytest.raises(MalformedMessageError):
        decode_payload1((good[:1_304] + BAD_FIELDS[name]).ljust(PAYLOAD_1_SIZE, b"\0"))


def test_our_own_fields_must_fit():
    request = CallRequest(bytes(32), bytes(32), 1, bytes(32), 2, 2, 3, service="a")
    for payload in (
        Payload1(bytes(1_184), request, CallerClaim(bytes(3_073), bytes(32)), None),
        Payload1(bytes(1_184), CallRequest(*request_fields(early=bytes(7_000))), None, None),
    ):
        with pytest.raises(LocalProtocolError):
            encode_payload1(payload)
    with pytest.raises(LocalProtocolError):
        encode_payload2(CallAnswer(1, 1, early_response=bytes(9_000)))


def request_fields(early):
    return bytes(32), bytes(32), 1, bytes(32), 2, 2, 3, "a", early
