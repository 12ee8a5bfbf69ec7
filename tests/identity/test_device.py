"""Device certificates and credential chains."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import CredentialChain, IdentityKey, LocalSigner, Scope, canonical, errors
from peerstream.identity.device import CREDENTIAL_CHAIN_MAXIMUM, DeviceCertificate
from tests.identity.samples import (
    CHAIN,
    DAY,
    DEVICE,
    IDENTITY,
    NETWORK,
    NOW,
    SIGNED,
    WALLET,
    delegation,
    fixed,
)

ENCODED = CHAIN.encode()


def verify(chain, **changes):
    return chain.verify(
        **{"network_id": NETWORK, "now": NOW, "required_scope": Scope.DIAL} | changes
    )


def test_a_chain_says_who_speaks():
    device = verify(CredentialChain.decode(ENCODED))
    assert device.account == WALLET.address
    assert device.identity_key == IDENTITY.public
    assert device.signing_public == DEVICE.signing_public
    assert device.agreement_public == DEVICE.agreement_public
    assert device.scope == Scope.ACCEPT | Scope.DIAL
    assert (device.issued, device.not_after) == (NOW, NOW + 20 * DAY)


def test_the_delegation_s_end_bounds_the_device():
    short = delegation(not_after=NOW + DAY).sign(WALLET, NETWORK)
    chain = CredentialChain.issue(short, IDENTITY, DEVICE, not_before=NOW, not_after=NOW + 20 * DAY)
    assert verify(chain).not_after == NOW + DAY


def test_decode_undoes_encode_and_fits_its_place():
    assert CredentialChain.decode(ENCODED) == CHAIN
    assert len(ENCODED) < 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"network_id": fixed("other")}, errors.BadSignatureError | errors.WrongNetworkError),
        ({"now": NOW + 20 * DAY}, errors.ExpiredError),
        ({"now": NOW - 3_601}, errors.NotYetValidError),
        ({"required_scope": Scope.PUBLISH}, errors.ScopeError),
        ({"revoked_before": lambda _account: NOW}, errors.RevokedError),
        ({"newest_issued": lambda _account: NOW + 1}, errors.SupersededError),
    ],
)
def test_each_breach_has_its_name(changes, error):
    with pytest.raises(getattr(error, "__args__", error)):
        verify(CHAIN, **changes)


def test_another_network_is_named():
    with pytest.raises(errors.WrongNetworkError):
        verify(CHAIN, network_id=fixed("other"))


@given(st.integers(0, len(ENCODED) * 8 - 1))
def test_a_flipped_bit_anywhere_is_refused(bit):
    flipped = (int.from_bytes(ENCODED) ^ 1 << bit).to_bytes(len(ENCODED))
    with pytest.raises(errors.IdentityError):
        verify(CredentialChain.decode(flipped))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(errors.EncodingError):
        CredentialChain.decode(data)


def test_a_certificate_with_a_fifth_field_is_refused():
    fields = canonical.decode(ENCODED, max_size=999)
    fields[4] = canonical.encode(canonical.decode(fields[4], max_size=999) | {5: 0})
    with pytest.raises(errors.EncodingError):
        CredentialChain.decode(canonical.encode(fields))


def test_a_field_from_the_future_in_the_chain_is_ignored():
    fields = canonical.decode(ENCODED, max_size=999) | {6: b"new"}
    assert CredentialChain.decode(canonical.encode(fields)) == CHAIN


def test_a_longer_chain_is_refused_both_ways():
    with pytest.raises(errors.EncodingError):
        CredentialChain.decode(bytes(CREDENTIAL_CHAIN_MAXIMUM + 1))
    long = replace(CHAIN, delegation=replace(SIGNED, signature=bytes(CREDENTIAL_CHAIN_MAXIMUM)))
    with pytest.raises(errors.EncodingError):
        long.encode()


def test_a_certificate_does_not_serve_another_account_of_the_same_identity_key():
    other = LocalSigner(fixed("second wallet"))
    second = delegation(account=other.address).sign(other, NETWORK)
    with pytest.raises(errors.BadSignatureError):
        verify(replace(CHAIN, delegation=second))


def test_another_identity_key_cannot_certify():
    with pytest.raises(errors.EncodingError):
        CredentialChain.issue(
            SIGNED, IdentityKey.from_bytes(fixed("x")), DEVICE, not_before=NOW, not_after=NOW + 1
        )
    forged = IdentityKey.from_bytes(fixed("x")).sign(
        CHAIN.certificate.message(NETWORK, WALLET.address)
    )
    with pytest.raises(errors.BadSignatureError):
        verify(replace(CHAIN, signature=forged))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"not_after": NOW + 30 * DAY + 1}, errors.LifetimeError),
        ({"not_after": NOW}, errors.EncodingError),
        ({"not_before": -1}, errors.EncodingError),
        ({"signing_public": b""}, errors.EncodingError),
        ({"agreement_public": bytes(33)}, errors.EncodingError),
    ],
)
def test_certificates_that_are_never_valid(changes, error):
    values = {
        "signing_public": bytes(32),
        "agreement_public": bytes(32),
        "not_before": NOW,
        "not_after": NOW + 30 * DAY,
    }
    DeviceCertificate(**values)
    with pytest.raises(error):
        DeviceCertificate(**values | changes)
