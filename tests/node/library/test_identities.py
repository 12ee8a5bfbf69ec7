"""The identity in a keystore: made, signed, renewed, moved, and silent about its secrets."""

import os
import random

import pytest

from peerstream.identity import LocalSigner, Scope
from peerstream.identity.errors import (
    BadSignatureError,
    ChainRequiredError,
    EncodingError,
    LifetimeError,
    WrongNetworkError,
)
from peerstream.node.library.identities import (
    DelegationEndedError,
    IdentityExistsError,
    NewIdentity,
    NoIdentityError,
    NothingToSignError,
    NotSignedError,
    begin_identity,
    begin_renewal,
    finish_identity,
    load_identity,
    make_identity,
)
from peerstream.node.library.moving import export_identity
from peerstream.node.ports import Environment
from peerstream.node.store.errors import CorruptedFileError
from peerstream.node.store.keystore import KeyFile, Keystore, Passphrase

DAY = 86_400
START = 1_800_000_000
NETWORK = b"\x07" * 32
WALLET = LocalSigner(b"\x11" * 32)
CHEAP = {"memory": 64, "passes": 1, "lanes": 1}
SECRET_NAMES = ("identity/key", "identity/device", "identity/contact-secret")


class SetClock:
    def __init__(self) -> None:
        self.seconds = START

    def now(self) -> float:
        return float(self.seconds)

    def wall(self) -> int:
        return self.seconds


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def environment(clock) -> Environment:
    return Environment(clock, random.Random(7).randbytes)


@pytest.fixture
def keystore(tmp_path) -> Keystore:
    return opened(tmp_path, create=True)


def opened(tmp_path, *, create: bool = False) -> Keystore:
    key = KeyFile(tmp_path / "key")
    if create:
        key.make(os.urandom)
        return Keystore.create(tmp_path / "keys", key, os.urandom)
    return Keystore.open(tmp_path / "keys", key, os.urandom)


def wanted(**changes) -> NewIdentity:
    known = {"network_id": NETWORK, "account": WALLET.address, "listed": False, "label": "laptop"}
    return NewIdentity(**{**known, **changes})


def verified(identity, wall):
    return identity.chain.verify(
        network_id=NETWORK, now=wall, required_scope=Scope.ACCEPT | Scope.DIAL
    )


def test_an_identity_survives_a_restart(tmp_path, keystore, environment):
    made = make_identity(keystore, wanted(), WALLET, environment)
    loaded = load_identity(opened(tmp_path), environment, NETWORK)
    assert loaded.account == WALLET.address
    assert str(loaded.card) == str(made.card)
    assert loaded.chain.encode() == made.chain.encode()
    device = verified(loaded, START)
    assert device.account == WALLET.address
    assert device.signing_public == loaded.device.signing_public


@pytest.mark.parametrize(("listed", "size"), [(True, 0), (False, 32)])
def test_only_unlisted_identities_have_a_contact_secret(keystore, environment, listed, size):
    identity = make_identity(keystore, wanted(listed=listed), WALLET, environment)
    assert len(identity.contact_secret) == size
    assert ("&s=" in str(identity.card)) is not listed


def test_a_wallet_elsewhere_signs_in_its_own_time(tmp_path, keystore, environment):
    typed = begin_identity(keystore, wanted(), environment)
    assert typed["message"]["account"] == str(WALLET.address)
    with pytest.raises(NotSignedError):
        load_identity(keystore, environment)
    with pytest.raises(NotSignedError):
        export_identity(keystore, tmp_path / "out", Passphrase("x", **CHEAP), environment)
    identity = finish_identity(opened(tmp_path), WALLET.sign_typed_data(typed), environment)
    verified(identity, START)
    with pytest.raises(NothingToSignError):
        finish_identity(opened(tmp_path), WALLET.sign_typed_data(typed), environment)


def test_a_signature_of_another_wallet_or_text_is_refused(keystore, environment):
    typed = begin_identity(keystore, wanted(), environment)
    other = LocalSigner(b"\x12" * 32)
    with pytest.raises(BadSignatureError):
        finish_identity(keystore, other.sign_typed_data(typed), environment)
    changed = {**typed, "message": {**typed["message"], "label": "phone"}}
    with pytest.raises(BadSignatureError):
        finish_identity(keystore, WALLET.sign_typed_data(changed), environment)
    with pytest.raises(ChainRequiredError):
        finish_identity(keystore, b"", environment)
    with pytest.raises(NotSignedError):
        load_identity(keystore, environment)
    finish_identity(keystore, WALLET.sign_typed_data(typed), environment)


def test_an_identity_is_never_made_over_another(keystore, environment):
    make_identity(keystore, wanted(), WALLET, environment)
    before = keystore.get("identity/key")
    with pytest.raises(IdentityExistsError):
        make_identity(keystore, wanted(), WALLET, environment)
    assert keystore.get("identity/key") == before


def test_what_no_wallet_may_sign_leaves_no_keys(keystore, environment):
    with pytest.raises(LifetimeError):
        begin_identity(keystore, wanted(life=91 * DAY), environment)
    with pytest.raises(EncodingError):
        begin_identity(keystore, wanted(label="a\nb"), environment)
    assert keystore.names() == []
    with pytest.raises(NoIdentityError):
        load_identity(keystore, environment)
    with pytest.raises(NoIdentityError):
        begin_renewal(keystore, DAY, environment)


def test_another_network_is_refused(keystore, environment):
    make_identity(keystore, wanted(), WALLET, environment)
    with pytest.raises(WrongNetworkError):
        load_identity(keystore, environment, b"\x08" * 32)


def test_the_certificate_is_renewed_in_time_and_not_before(tmp_path, keystore, environment, clock):
    first = make_identity(keystore, wanted(), WALLET, environment).chain.encode()
    clock.seconds = START + 19 * DAY
    assert load_identity(keystore, environment).chain.encode() == first
    clock.seconds = START + 21 * DAY
    renewed = load_identity(opened(tmp_path), environment)
    assert renewed.chain.encode() != first
    assert renewed.chain.certificate.not_after > START + 45 * DAY
    verified(renewed, clock.seconds)
    assert load_identity(opened(tmp_path), environment).chain == renewed.chain


def test_the_last_certificate_ends_with_the_delegation(keystore, environment, clock):
    make_identity(keystore, wanted(life=25 * DAY), WALLET, environment)
    clock.seconds = START + 24 * DAY
    last = load_identity(keystore, environment)
    assert last.chain.certificate.not_after == START + 25 * DAY
    assert load_identity(keystore, environment).chain == last.chain
    clock.seconds = START + 25 * DAY
    with pytest.raises(DelegationEndedError):
        load_identity(keystore, environment)


def test_a_renewal_keeps_the_keys_and_the_card(keystore, environment, clock):
    before = make_identity(keystore, wanted(life=DAY), WALLET, environment)
    clock.seconds = START + 2 * DAY
    typed = begin_renewal(keystore, 30 * DAY, environment)
    with pytest.raises(DelegationEndedError):
        load_identity(keystore, environment)
    after = finish_identity(keystore, WALLET.sign_typed_data(typed), environment)
    assert str(after.card) == str(before.card)
    assert after.delegation.delegation.label == "laptop"
    assert after.delegation.delegation.issued == clock.seconds
    verified(after, clock.seconds)


def test_a_clock_that_ran_ahead_makes_no_chain_that_is_not_valid_yet(keystore, environment, clock):
    clock.seconds = START + 5 * DAY
    make_identity(keystore, wanted(), WALLET, environment)
    clock.seconds = START + 4 * DAY
    identity = load_identity(keystore, environment)
    assert identity.chain.certificate.not_before <= clock.seconds


def test_secrets_show_nowhere(tmp_path, keystore, environment):
    identity = make_identity(keystore, wanted(), WALLET, environment)
    export_identity(keystore, tmp_path / "out", Passphrase("x", **CHEAP), environment)
    secrets = [keystore.get(name) for name in SECRET_NAMES]
    shown = f"{identity!r} {keystore!r} {identity.card!r} {wanted()!r}"
    stored = [path.read_bytes() for path in tmp_path.iterdir()]
    for secret in (*secrets, secrets[1][32:], b"\x11" * 32):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
        assert not any(secret in data for data in stored)


def test_a_delegation_that_is_none_is_named(keystore, environment):
    make_identity(keystore, wanted(), WALLET, environment)
    keystore.put("identity/delegation", b"\xa0")
    with pytest.raises(CorruptedFileError):
        load_identity(keystore, environment)
