"""Keys: what is accepted, what is refused, and that nothing shows a secret."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import DeviceKeys, IdentityKey, LocalSigner, Secret
from peerstream.identity.errors import BadSignatureError, KeyMaterialError
from peerstream.identity.keys import (
    CURVE_ORDER,
    even_and_odd_points,
    keccak256,
    verify_ed25519,
    verify_schnorr,
)
from tests.identity.samples import FixedEntropy, fixed
from tests.reference import slow_identity

scalars = st.integers(1, CURVE_ORDER - 1).map(lambda n: n.to_bytes(32))


@given(st.binary(max_size=300))
def test_keccak(data):
    assert keccak256(data) == slow_identity.keccak256(data)


@given(scalars)
def test_public_key_and_even_scalar(secret):
    key = IdentityKey.from_bytes(secret)
    assert key.public == slow_identity.x_only(secret)
    assert key.even_scalar() == slow_identity.even_secret(secret)
    assert key.secret() == Secret(secret)


@pytest.mark.parametrize(
    "secret", [b"", bytes(31), bytes(32), bytes(33), CURVE_ORDER.to_bytes(32), b"\xff" * 32]
)
def test_secrets_out_of_range_are_refused(secret):
    with pytest.raises(KeyMaterialError):
        IdentityKey.from_bytes(secret)
    with pytest.raises(KeyMaterialError):
        LocalSigner(secret)


@given(scalars, st.binary(min_size=32, max_size=32), st.integers(0, 511))
def test_a_flipped_bit_breaks_a_schnorr_signature(secret, message, bit):
    key = IdentityKey.from_bytes(secret)
    signature = key.sign(message)
    assert signature == slow_identity.schnorr_sign(secret, message)
    verify_schnorr(key.public, message, signature)
    flipped = (int.from_bytes(signature) ^ 1 << bit).to_bytes(64)
    with pytest.raises(BadSignatureError):
        verify_schnorr(key.public, message, flipped)


@given(st.binary(max_size=70), st.binary(max_size=40), st.binary(max_size=70))
def test_garbage_raises_the_named_errors_only(public, message, signature):
    for verify in (verify_schnorr, verify_ed25519):
        with pytest.raises((BadSignatureError, KeyMaterialError)):
            verify(public, message, signature)


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_are_a_point_or_refused(public):
    try:
        even, odd = even_and_odd_points(public)
    except KeyMaterialError:
        with pytest.raises(ValueError, match="no point"):
            slow_identity.lift(public)
        return
    x, y = slow_identity.lift(public)
    assert even == slow_identity.word(x) + slow_identity.word(y)
    assert odd == slow_identity.word(x) + slow_identity.word(slow_identity.P - y)


def test_messages_of_another_size_are_not_signed():
    with pytest.raises(KeyMaterialError):
        IdentityKey.generate(FixedEntropy()).sign(b"short")


def test_agreement():
    one, two = DeviceKeys.generate(FixedEntropy("one")), DeviceKeys.generate(FixedEntropy("two"))
    assert one.agree(two.agreement_public) == two.agree(one.agreement_public)
    signature = one.sign(b"message")
    verify_ed25519(one.signing_public, b"message", signature)
    with pytest.raises(BadSignatureError):
        verify_ed25519(two.signing_public, b"message", signature)


@pytest.mark.parametrize("peer", [bytes(32), b"\x01" + bytes(31), bytes(31), b""])
def test_points_of_low_order_are_refused(peer):
    with pytest.raises(KeyMaterialError):
        DeviceKeys.generate(FixedEntropy()).agree(peer)


def test_shared_x_refuses_what_is_no_point():
    for peer in (b"\xff" * 32, bytes(32), b""):
        with pytest.raises(KeyMaterialError):
            IdentityKey.generate(FixedEntropy()).shared_x(peer)


def test_device_keys_keep_their_bytes():
    secret = fixed("device", 64)
    assert DeviceKeys.from_bytes(secret).secret().reveal() == secret
    with pytest.raises(KeyMaterialError):
        DeviceKeys.from_bytes(secret[:-1])


@pytest.mark.parametrize(
    "holder",
    [
        Secret(fixed("s")),
        IdentityKey.from_bytes(fixed("s")),
        DeviceKeys.from_bytes(fixed("s", 64)),
        LocalSigner(fixed("s")),
    ],
)
def test_no_secret_is_printed_or_pickled(holder):
    for text in (repr(holder), str(holder), f"{holder}", f"{[holder]}"):
        assert fixed("s").hex()[:8] not in text
        assert repr(fixed("s"))[2:10] not in text
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        pickle.dumps(holder)


def test_secrets_compare_and_do_not_hash():
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"
    assert len(Secret(b"abc")) == 3
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
