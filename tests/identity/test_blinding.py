"""Blinding: both sides agree, and nothing of the identity key shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import IdentityKey, blind_public, blind_secret, blinding
from peerstream.identity.errors import KeyMaterialError, TweakRangeError
from peerstream.identity.keys import CURVE_ORDER, verify_schnorr
from tests.identity.samples import IDENTITY, fixed
from tests.reference import slow_identity

keys = st.integers(1, CURVE_ORDER - 1).map(lambda n: IdentityKey.from_bytes(n.to_bytes(32)))
periods = st.integers(0, 2**64 - 1)
contact_secrets = st.just(b"") | st.binary(min_size=32, max_size=32)


@given(keys, periods, contact_secrets)
def test_the_public_and_the_secret_side_agree(key, period, contact_secret):
    blinded = blind_secret(key, period, contact_secret)
    assert blind_public(key.public, period, contact_secret) == blinded.public
    assert blinded.public == slow_identity.blind_public(key.public, period, contact_secret)
    verify_schnorr(blinded.public, bytes(32), blinded.sign(bytes(32)))


def test_a_thousand_periods_give_a_thousand_keys_that_all_sign():
    secret = fixed("contact")
    seen = set()
    for period in range(20_000, 20_500):
        for contact_secret in (b"", secret):
            blinded = blind_secret(IDENTITY, period, contact_secret)
            assert blinded.public == blind_public(IDENTITY.public, period, contact_secret)
            verify_schnorr(blinded.public, bytes(32), blinded.sign(bytes(32)))
            seen.add(blinded.public)
    assert len(seen) == 1_000
    assert IDENTITY.public not in seen


@pytest.mark.parametrize("tweak", [0, CURVE_ORDER, CURVE_ORDER + 1, 2**256 - 1])
def test_a_tweak_out_of_range_is_refused_and_not_reduced(tweak):
    with pytest.raises(TweakRangeError):
        blinding.check_tweak(tweak.to_bytes(32))


@pytest.mark.parametrize("tweak", [1, CURVE_ORDER - 1])
def test_the_last_tweaks_inside_the_range_pass(tweak):
    assert blinding.check_tweak(tweak.to_bytes(32)) == tweak.to_bytes(32)


def test_the_point_at_infinity_is_refused_on_both_sides(monkeypatch):
    opposite = (CURVE_ORDER - IDENTITY.even_scalar()).to_bytes(32)
    monkeypatch.setattr(blinding, "tagged_hash", lambda _tag, _data: opposite)
    with pytest.raises(TweakRangeError):
        blind_public(IDENTITY.public, 1)
    with pytest.raises(TweakRangeError):
        blind_secret(IDENTITY, 1)


@pytest.mark.parametrize(
    ("public", "period", "contact_secret"),
    [
        (b"\xff" * 32, 1, b""),
        (b"", 1, b""),
        (IDENTITY.public, -1, b""),
        (IDENTITY.public, 2**64, b""),
        (IDENTITY.public, 1, bytes(16)),
        (IDENTITY.public, 1, bytes(33)),
    ],
)
def test_other_inputs_are_refused_by_name(public, period, contact_secret):
    with pytest.raises(KeyMaterialError):
        blind_public(public, period, contact_secret)


def test_a_blinded_key_shows_nothing():
    blinded = blind_secret(IDENTITY, 7)
    assert repr(blinded) == "<blinded key of period 7>"
    assert not hasattr(blinded, "secret")
