"""One signature for a login and a delegation: what it grants, and what it must not."""

import dataclasses
import json

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import (
    Address,
    CredentialChain,
    Delegation,
    Scope,
    SignatureKind,
    SignedDelegation,
    errors,
)
from peerstream.identity.siwe import SiweMessage, verify, write_time
from peerstream.identity.siwe.errors import GrantError
from peerstream.identity.siwe.grant import is_grant, wrap_grant
from tests.identity.samples import DAY, DEVICE, IDENTITY, NETWORK, NOW, checks, fixed
from tests.identity.siwe.messages import VECTORS, expected, sign
from tests.identity.test_wallet import Evm

KEY = fixed("grant wallet")
ACCOUNT = Address.parse(Account.from_key(KEY).address)


def delegation(**changes):
    values = {
        "account": ACCOUNT,
        "identity_key": IDENTITY.public,
        "issued": NOW,
        "not_before": NOW - 3_600,
        "not_after": NOW + 30 * DAY,
        "scope": Scope.ACCEPT | Scope.DIAL,
        "label": "my laptop",
    }
    return Delegation(**values | changes)


def message(granted, network=NETWORK, **changes):
    terms = granted.login_terms(network)
    values = {
        "domain": "app.example",
        "address": str(granted.account),
        "statement": terms.statement,
        "uri": "https://app.example",
        "chain_id": 1,
        "nonce": "12345678abcd",
        "issued_at": write_time(terms.issued),
        "resources": (terms.resource,),
    }
    return SiweMessage(**values | changes)


def granted(what=None, network=NETWORK, key=KEY, **changes):
    what = what or delegation()
    signed = message(what, network, **changes)
    return SignedDelegation(NETWORK, what, wrap_grant(signed, sign(signed, key)))


def test_one_signature_logs_in_and_grants():
    signed = message(delegation())
    signature = sign(signed, KEY)
    assert verify(str(signed), signature, **expected()) is SignatureKind.PLAIN
    made = SignedDelegation(NETWORK, delegation(), wrap_grant(signed, signature))
    assert made.verify(checks()) is SignatureKind.PLAIN
    assert SignedDelegation.decode(made.encode()) == made


def test_a_device_speaks_for_the_account_on_the_strength_of_it():
    chain = CredentialChain.issue(
        granted(), IDENTITY, DEVICE, not_before=NOW - 3_600, not_after=NOW + 20 * DAY
    )
    read = CredentialChain.decode(chain.encode())
    found = read.verify(network_id=NETWORK, now=NOW, required_scope=Scope.DIAL)
    assert found.account == ACCOUNT
    assert found.signing_public == DEVICE.signing_public


@pytest.mark.parametrize(
    "change",
    [
        {"identity_key": fixed("another identity")},
        {"not_before": NOW},
        {"not_after": NOW + 29 * DAY},
        {"scope": Scope.ACCEPT | Scope.DIAL | Scope.PUBLISH},
        {"label": "my laptops"},
        {"label": "my.laptop"},
        {"label": ""},
        {"issued": NOW + 1},
        {"account": Address(fixed("another account", 20))},
    ],
)
def test_what_the_message_does_not_say_is_not_granted(change):
    if "identity_key" in change:
        from peerstream.identity import IdentityKey  # noqa: PLC0415

        change = {"identity_key": IdentityKey.from_bytes(change["identity_key"]).public}
    made = granted()
    other = dataclasses.replace(made, delegation=dataclasses.replace(made.delegation, **change))
    with pytest.raises(errors.BadSignatureError):
        other.verify(checks())


def other_message(**changes):
    terms = delegation().login_terms(NETWORK)
    return granted(**{"statement": terms.statement} | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"statement": None},
        {"statement": "Sign in to this site."},
        {"statement": "Claim your airdrop."},
        {"statement": delegation().login_terms(NETWORK).sentence},
        {"statement": "Claim. " + delegation().login_terms(NETWORK).statement},
        {"statement": delegation().login_terms(NETWORK).statement + " "},
        {"resources": None},
        {"resources": ()},
        {"resources": ("https://app.example",)},
        {"resources": (delegation().login_terms(NETWORK).resource, "https://app.example")},
        {"resources": (delegation().login_terms(NETWORK).resource,) * 2},
        {"resources": (delegation().login_terms(fixed("other network")).resource,)},
        {"issued_at": write_time(NOW + 1)},
        {"address": str(Address(fixed("another account", 20)))},
    ],
)
def test_a_wallet_that_showed_something_else_granted_nothing(change):
    with pytest.raises(GrantError):
        granted(**change).verify(checks())


def test_a_plain_login_grants_nothing_and_a_grant_is_not_moved():
    login = message(delegation(), statement="Sign in.", resources=None)
    stolen = SignedDelegation(NETWORK, delegation(), wrap_grant(login, sign(login, KEY)))
    with pytest.raises(GrantError):
        stolen.verify(checks())
    elsewhere = dataclasses.replace(granted(), network_id=fixed("other network"))
    with pytest.raises(errors.WrongNetworkError):
        elsewhere.verify(checks())
    with pytest.raises(GrantError):
        elsewhere.verify(checks(network_id=fixed("other network")))


def test_another_key_grants_nothing():
    with pytest.raises(errors.BadSignatureError):
        granted(key=fixed("stranger")).verify(checks())


def test_the_login_s_own_matters_do_not_matter():
    made = granted(
        nonce="99999999abcd",
        domain="other.example",
        uri="https://other.example/path",
        expiration_time=write_time(NOW - 60),
        resources=("https://terms.example", delegation().login_terms(NETWORK).resource),
    )
    made.verify(checks())


def test_it_lives_for_a_month_and_all_other_rules_hold():
    with pytest.raises(errors.LifetimeError):
        delegation(not_after=NOW + 30 * DAY + 1).login_terms(NETWORK)
    signed = message(delegation())
    longer = delegation(not_after=NOW + 60 * DAY)
    made = SignedDelegation(NETWORK, longer, wrap_grant(signed, sign(signed, KEY)))
    with pytest.raises(errors.LifetimeError):
        made.verify(checks())
    with pytest.raises(errors.ExpiredError):
        granted().verify(checks(now=NOW + 30 * DAY))
    with pytest.raises(errors.RevokedError):
        granted().verify(checks(revoked_before=lambda _account: NOW))
    with pytest.raises(errors.ScopeError):
        granted(delegation(scope=Scope.DIAL)).verify(checks())


def test_a_contract_grants_in_the_same_way():
    evm = Evm()
    wallet = evm.deploy("OwnedWallet", ACCOUNT)
    made = granted(delegation(account=wallet))
    assert made.verify(checks(eth_call=evm)) is SignatureKind.CONTRACT
    with pytest.raises(errors.BadSignatureError):
        granted(delegation(account=wallet), key=fixed("x")).verify(checks(eth_call=evm))
    with pytest.raises(errors.BadSignatureError):
        made.verify(checks())


def test_a_cut_or_changed_wrapper_is_refused_by_name():
    made = granted()
    good = made.signature
    assert is_grant(good)
    attempts = [
        good[1:],
        b"\xff\xff" + good[2:],
        good[:2] + good[-32:],
        good[-32:],
        b"\0" * 2 + good[2:],
    ]
    attempts += [
        good[:100] + bytes([good[100] ^ 1]) + good[101:],
        good[:-33] + b"\xff" + good[-32:],
    ]
    for attempt in attempts:
        with pytest.raises(errors.BadSignatureError):
            dataclasses.replace(made, signature=attempt).verify(checks())


@given(st.binary(max_size=120))
def test_any_bytes_in_a_wrapper_are_refused_by_name(data):
    attempt = dataclasses.replace(granted(), signature=data + granted().signature[-32:])
    with pytest.raises(errors.BadSignatureError):
        attempt.verify(checks())


def test_the_vector_that_other_languages_share():
    vector = json.loads((VECTORS / "grant.json").read_text())
    what = delegation()
    typed = what.typed_data(NETWORK)
    signed = message(what)
    wrapped = wrap_grant(signed, sign(signed, KEY))
    assert vector == {
        "source": "this project, Apache-2.0",
        "typedData": typed,
        "statement": what.login_terms(NETWORK).statement,
        "resource": what.login_terms(NETWORK).resource,
        "message": str(signed),
        "signature": "0x" + sign(signed, KEY).hex(),
        "grant": "0x" + wrapped.hex(),
    }
