"""Bodies of commands: what was encoded is decoded, and nothing else is accepted."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.circuit.bodies import (
    BODY_MAX,
    Introduction,
    IntroductionWait,
    Joining,
    Listening,
    Registration,
    Result,
    decode_payload,
    encode_payload,
)
from peerstream.node.protocol.circuit.errors import CommandError, RegistrationSignatureError
from peerstream.node.protocol.errors import LocalProtocolError, MalformedError
from peerstream.node.protocol.wire.command import Command
from peerstream.node.protocol.wire.status import Status

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEY = PRIVATE.public_key().public_bytes_raw()
BINDING = b"b" * 32
PASS_NAME = b"p" * 32
u16 = st.integers(0, 0xFFFF)
key = st.binary(min_size=32, max_size=32)


def blob(*sizes):
    return st.tuples(st.sampled_from(sizes), st.binary(min_size=1, max_size=9)).map(
        lambda drawn: (drawn[1] * drawn[0])[: drawn[0]]
    )


bodies = st.one_of(
    st.builds(Introduction, key, blob(9_184)),
    st.builds(IntroductionWait, key, key, blob(9_184)),
    st.builds(Joining, key, blob(2_048, 9_184)),
    st.builds(Listening, key, st.integers(1, 3_600)),
    st.builds(Result, st.sampled_from(Command), st.sampled_from(Status), st.binary(max_size=448)),
)
KINDS = [Introduction, IntroductionWait, Joining, Listening, Result]


@given(bodies)
def test_bodies_come_back_equal_and_have_one_encoding(body):
    encoded = body.encode()
    assert type(body).decode(encoded) == body
    if not isinstance(body, Result):  # a result ends with a message of any length
        for other in (encoded[:-1], encoded + b"\0"):
            with pytest.raises(MalformedError):
                type(body).decode(other)


@given(st.sampled_from(KINDS), st.one_of(st.binary(max_size=80), blob(34, 2_080, 9_216, 9_248)))
def test_arbitrary_bytes_are_the_one_encoding_or_malformed(kind, data):
    try:
        decoded = kind.decode(data)
    except MalformedError:
        return
    assert decoded.encode() == data


@given(u16, u16)
def test_a_registration_is_its_circuits_alone(rate, burst):
    registration = Registration(KEY, PASS_NAME, rate, burst)
    encoded = registration.encode(PRIVATE, BINDING)
    assert Registration.decode(encoded, BINDING) == registration
    with pytest.raises(RegistrationSignatureError):
        Registration.decode(encoded, b"c" * 32)


@given(st.integers(0, 8 * 134 - 1))
def test_each_bit_of_a_registration_is_covered(bit):
    encoded = bytearray(Registration(KEY, PASS_NAME, 600, 16).encode(PRIVATE, BINDING))
    encoded[bit // 8] ^= 1 << bit % 8
    with pytest.raises((MalformedError, RegistrationSignatureError)):
        Registration.decode(bytes(encoded), BINDING)


@given(st.one_of(st.binary(max_size=150), st.binary(min_size=134, max_size=134)))
def test_arbitrary_registrations_are_refused(data):
    with pytest.raises((MalformedError, RegistrationSignatureError)):
        Registration.decode(data, BINDING)


@given(st.sampled_from(Command), st.binary(max_size=200), st.binary(max_size=20))
def test_a_payload_survives_whatever_fills_the_rest(command, body, filling):
    assert decode_payload(encode_payload(command, body) + filling) == (command, body)


@given(st.binary(max_size=40))
def test_arbitrary_payloads_are_a_command_or_refused(data):
    try:
        command, body = decode_payload(data)
    except (MalformedError, CommandError):
        return
    assert data.startswith(encode_payload(command, body))


def test_our_own_bodies_must_fit():
    with pytest.raises(LocalProtocolError):
        encode_payload(Command.ECHO, bytes(BODY_MAX + 1))
    with pytest.raises(LocalProtocolError):
        Introduction(KEY, bytes(9_183)).encode()
    with pytest.raises(LocalProtocolError):
        Joining(KEY, bytes(2_047)).encode()
