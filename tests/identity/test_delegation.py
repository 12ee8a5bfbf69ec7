"""The delegation: what wallets sign, and every reason to refuse one."""

import re
from dataclasses import replace

import pytest
from eth_account._utils.encode_typed_data.encoding_and_hashing import (
    hash_domain,
    hash_eip712_message,
)
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import (
    Address,
    Delegation,
    IdentityKey,
    LocalSigner,
    Scope,
    SignatureKind,
    SignedDelegation,
    canonical,
    errors,
)
from peerstream.identity.delegation import STATEMENTS
from peerstream.identity.keys import keccak256
from tests.identity.samples import (
    DAY,
    IDENTITY,
    NETWORK,
    NOW,
    SIGNED,
    WALLET,
    checks,
    delegation,
    fixed,
)

times = st.integers(0, 2**63)


@given(
    network=st.binary(min_size=32, max_size=32),
    issued=times,
    start=st.integers(-DAY, DAY),
    length=st.integers(1, 80 * DAY),
    scope=st.sampled_from(sorted(STATEMENTS)),
    label=st.text("abcXYZ019 ._-", max_size=32),
)
def test_the_digest_is_the_one_that_eth_account_signs(network, issued, start, length, scope, label):
    start = max(0, issued + start)
    made = delegation(
        issued=issued, not_before=start, not_after=start + length, scope=scope, label=label
    )
    message = encode_typed_data(full_message=made.typed_data(network))
    whole = b"\x19" + message.version + message.header + message.body
    assert made.digest(network) == keccak256(whole)
    fields = canonical.Fields(
        canonical.decode(canonical.encode(made.to_fields()), max_size=999), range(9)
    )
    assert Delegation.from_fields(fields) == made


def test_the_domain_has_no_chain():
    typed = delegation().typed_data(NETWORK)
    assert typed["domain"] == {"name": "PeerStream", "version": "1", "salt": "0x" + NETWORK.hex()}
    assert encode_typed_data(full_message=typed).header == hash_domain(
        {"name": "PeerStream", "version": "1", "salt": NETWORK}
    )
    body = hash_eip712_message({"Delegation": typed["types"]["Delegation"]}, typed["message"])
    assert encode_typed_data(full_message=typed).body == body


def test_every_statement_says_what_it_cannot_do_and_differs():
    assert len(set(STATEMENTS.values())) == len(STATEMENTS)
    for scope, statement in STATEMENTS.items():
        assert "cannot move funds" in statement
        assert ("receive" in statement) == bool(scope & Scope.ACCEPT)
        assert ("make" in statement) == bool(scope & Scope.DIAL)
        assert ("publish" in statement) == bool(scope & Scope.PUBLISH)


def test_decode_undoes_encode():
    assert SignedDelegation.decode(SIGNED.encode()) == SIGNED
    long = replace(SIGNED, signature=bytes(2_048))
    assert SignedDelegation.decode(long.encode()) == long


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(errors.EncodingError):
        SignedDelegation.decode(data)


def test_an_honest_delegation_verifies():
    assert SIGNED.verify(checks()) is SignatureKind.PLAIN


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"network_id": fixed("other")}, errors.WrongNetworkError),
        ({"now": NOW - 3_601}, errors.IssuedInFutureError),
        ({"now": NOW + 60 * DAY}, errors.ExpiredError),
        ({"required_scope": Scope.PUBLISH}, errors.ScopeError),
        ({"required_scope": Scope.ACCEPT | Scope.PUBLISH}, errors.ScopeError),
        ({"revoked_before": lambda _account: NOW}, errors.RevokedError),
        ({"newest_issued": lambda _account: NOW + 1}, errors.SupersededError),
    ],
)
def test_each_breach_has_its_name(changes, error):
    with pytest.raises(error):
        SIGNED.verify(checks(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"now": NOW - 3_600},
        {"now": NOW + 60 * DAY - 1},
        {"required_scope": Scope.ACCEPT | Scope.DIAL},
        {"required_scope": Scope(0)},
        {"revoked_before": lambda _account: NOW - 1},
        {"newest_issued": lambda _account: NOW},
    ],
)
def test_the_last_value_inside_each_bound_passes(changes):
    SIGNED.verify(checks(**changes))


def test_one_that_starts_later_is_not_valid_yet():
    later = delegation(not_before=NOW + 60).sign(WALLET, NETWORK)
    with pytest.raises(errors.NotYetValidError):
        later.verify(checks())
    later.verify(checks(now=NOW + 60))


def test_watermarks_are_asked_for_the_right_account():
    asked = []
    SIGNED.verify(checks(revoked_before=lambda a: asked.append(a) or 0))
    assert asked == [WALLET.address]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": Scope(0)}, errors.EncodingError),
        ({"scope": Scope.PUBLISH}, errors.EncodingError),
        ({"scope": 8}, errors.EncodingError),
        ({"label": "x" * 33}, errors.EncodingError),
        ({"label": "line\nbreak"}, errors.EncodingError),
        ({"label": "ü"}, errors.EncodingError),
        ({"label": "<b>"}, errors.EncodingError),
        ({"not_before": -1}, errors.EncodingError),
        ({"issued": 2**64}, errors.EncodingError),
        ({"not_after": NOW - 3_600}, errors.EncodingError),
        ({"not_after": NOW + 90 * DAY + 1}, errors.LifetimeError),
        ({"issued": NOW - 31 * DAY}, errors.LifetimeError),
        ({"identity_key": b"\xff" * 32}, errors.KeyMaterialError),
        ({"identity_key": bytes(31)}, errors.KeyMaterialError),
    ],
)
def test_values_that_no_wallet_may_sign(changes, error):
    with pytest.raises(error):
        delegation(**changes)


def test_90_days_are_allowed():
    delegation(not_after=NOW + 90 * DAY)


def test_the_identity_key_is_never_the_account_s_own():
    for name in ("one", "two", "three", "four"):
        secret = fixed(name)
        with pytest.raises(errors.KeyMaterialError):
            delegation(
                account=LocalSigner(secret).address,
                identity_key=IdentityKey.from_bytes(secret).public,
            )


def test_a_wallet_signs_for_its_own_account_only():
    with pytest.raises(errors.KeyMaterialError):
        delegation(account=Address(bytes(20))).sign(WALLET, NETWORK)


@given(st.integers(0, 65 * 8 - 1))
def test_a_flipped_bit_in_the_signature_is_refused(bit):
    flipped = (int.from_bytes(SIGNED.signature) ^ 1 << bit).to_bytes(65)
    with pytest.raises(errors.BadSignatureError):
        replace(SIGNED, signature=flipped).verify(checks())


@pytest.mark.parametrize(
    "changes",
    [
        {"issued": NOW - 1},
        {"not_before": NOW - 3_599},
        {"not_after": NOW + 60 * DAY + 1},
        {"scope": Scope.ACCEPT | Scope.DIAL | Scope.PUBLISH},
        {"scope": Scope.ACCEPT},
        {"label": ""},
        {"identity_key": IdentityKey.from_bytes(fixed("other")).public},
        {"account": LocalSigner(fixed("other")).address},
    ],
)
def test_every_field_is_under_the_signature(changes):
    with pytest.raises(errors.BadSignatureError):
        replace(SIGNED, delegation=delegation(**changes)).verify(checks())


def test_a_signature_for_another_network_does_not_count_here():
    elsewhere = delegation().sign(WALLET, fixed("other"))
    with pytest.raises(errors.BadSignatureError):
        replace(elsewhere, network_id=NETWORK).verify(checks())


def test_a_later_signature_always_wins_over_a_stolen_one():
    """A thief's one signature cannot be dated so that the owner can never supersede it."""
    late = delegation(issued=NOW + 2 * 3_600, not_after=NOW + 90 * DAY).sign(WALLET, NETWORK)
    with pytest.raises(errors.IssuedInFutureError):
        late.verify(checks())
    stolen = delegation(issued=NOW + 3_600, not_after=NOW + 90 * DAY).sign(WALLET, NETWORK)
    stolen.verify(checks())
    owner = delegation(issued=NOW + 3_601).sign(WALLET, NETWORK)
    owner.verify(checks(now=NOW + 3_601))
    with pytest.raises(errors.SupersededError):
        stolen.verify(checks(now=NOW + 3_601, newest_issued=lambda _account: NOW + 3_601))


def test_the_statement_is_not_read_from_the_wire():
    """Another text under the same fields gives another digest: a phished text buys nothing."""
    typed = delegation().typed_data(NETWORK)
    typed["message"]["statement"] = "Claim your airdrop"
    phished = SignedDelegation(NETWORK, delegation(), WALLET.sign_typed_data(typed))
    with pytest.raises(errors.BadSignatureError):
        phished.verify(checks())
    assert not re.search(b"Claim|PeerStream key", canonical.encode(phished.to_fields()))


def test_typed_data_that_breaks_the_standard_is_refused_by_name():
    with pytest.raises(errors.KeyMaterialError):
        WALLET.sign_typed_data({"types": {}, "primaryType": "X", "domain": {}, "message": {}})


def test_an_identity_key_is_not_an_account():
    assert IDENTITY.public not in (WALLET.address.raw, b"")
