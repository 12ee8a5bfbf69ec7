"""An identity that leaves: backed up, restored elsewhere, moved, and never on two devices alike."""

import os
import random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peerstream.identity import ContactCard, IdentityKey, LocalSigner, Scope
from peerstream.identity.errors import BadSignatureError, WrongNetworkError
from peerstream.node.library.identities import (
    DelegationEndedError,
    IdentityExistsError,
    IdentityMovedError,
    NewIdentity,
    NoIdentityError,
    NotSignedError,
    begin_identity,
    begin_renewal,
    finish_identity,
    load_identity,
    make_identity,
)
from peerstream.node.library.moving import export_identity, move_identity, restore_identity
from peerstream.node.ports import Environment
from peerstream.node.store.contacts import Contacts
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    StatePermissionError,
    StateUnavailableError,
    StateVersionError,
    UnknownSecretError,
    WrongPassphraseError,
)
from peerstream.node.store.keystore import KeyFile, Keystore, Passphrase

DAY = 86_400
START = 1_800_000_000
NETWORK = b"\x07" * 32
WALLET = LocalSigner(b"\x11" * 32)
KEY = IdentityKey.from_bytes(b"\x21" * 32)
OPEN = Passphrase("correct horse", memory=64, passes=1, lanes=1)
WRONG = Passphrase("wrong", memory=64, passes=1, lanes=1)
WANTED = NewIdentity(network_id=NETWORK, account=WALLET.address, listed=False, label="laptop")
DAMAGE = (CorruptedFileError, ForeignStateError, StateVersionError, WrongPassphraseError)


class Machine(SimpleNamespace):
    """A keystore of its own, and a clock that is set."""

    @classmethod
    def made(cls, folder, seed=7):
        folder.mkdir()
        key = KeyFile(folder / "key")
        key.make(os.urandom)
        clock = SimpleNamespace(wall=lambda: clock.seconds, now=lambda: 0.0, seconds=START)
        store = Keystore.create(folder / "keys", key, os.urandom)
        environment = Environment(clock, random.Random(seed).randbytes)
        return cls(folder=folder, key=key, clock=clock, store=store, environment=environment)

    def reopened(self):
        return Keystore.open(self.folder / "keys", self.key, os.urandom)


@pytest.fixture
def old(tmp_path):
    return Machine.made(tmp_path / "old", seed=1)


@pytest.fixture
def new(tmp_path):
    return Machine.made(tmp_path / "new", seed=2)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "identity.psp"


@pytest.fixture
def identity(old):
    return make_identity(old.store, WANTED, WALLET, old.environment)


def restored(machine, file, passphrase=OPEN, network_id=None):
    return restore_identity(machine.store, file, passphrase, machine.environment, network_id)


def verify(identity, wall=START):
    return identity.chain.verify(
        network_id=NETWORK, now=wall, required_scope=Scope.ACCEPT | Scope.DIAL
    )


def test_a_backup_gives_the_same_identity_another_device(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    assert file.stat().st_mode & 0o777 == 0o600
    found = restored(new, file, network_id=NETWORK)
    assert str(found.identity.card) == str(identity.card)
    assert found.old_device == identity.device.signing_public
    assert found.identity.device.signing_public != identity.device.signing_public
    assert verify(found.identity).signing_public == found.identity.device.signing_public
    again = load_identity(new.reopened(), new.environment, NETWORK)
    assert again.chain.encode() == found.identity.chain.encode()
    # a backup is no move
    assert load_identity(old.reopened(), old.environment).account == WALLET.address


def test_no_device_key_is_in_a_backup(old, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    inside = Keystore.open(file, OPEN, os.urandom)
    held = b"".join(inside.get(name) for name in inside.names())
    secret = identity.device.secret().reveal()
    assert secret[:32] not in held
    assert secret[32:] not in held


def test_a_move_ends_the_identity_here(old, new, file, identity):
    begin_renewal(old.store, 30 * DAY, old.environment)
    move_identity(old.store, file, OPEN, old.environment)
    for store in (old.store, old.reopened()):
        assert store.names() == ["identity/moved"]
        with pytest.raises(IdentityMovedError, match=str(WALLET.address)):
            load_identity(store, old.environment)
        for act in (export_identity, move_identity):
            with pytest.raises(IdentityMovedError):
                act(store, file.with_name("second"), OPEN, old.environment)
    with pytest.raises(IdentityMovedError):
        begin_renewal(old.store, DAY, old.environment)
    assert not file.with_name("second").exists()
    assert str(restored(new, file).identity.card) == str(identity.card)
    # and back again
    back = file.with_name("back")
    move_identity(new.store, back, OPEN, new.environment)
    assert str(restored(old, back).identity.card) == str(identity.card)
    assert "identity/moved" not in old.store


def test_contacts_travel_along_and_those_that_are_here_stay(old, new, file, identity):
    cards = [ContactCard(LocalSigner(bytes([n] * 32)).address, KEY.public) for n in (3, 4, 5, 6)]
    for alias, card in zip(("ann", "bob", "cid"), cards, strict=False):
        Contacts(old.store).add(alias, card)
    Contacts(new.store).add("bob", cards[3])
    Contacts(new.store).add("carol", cards[2])
    move_identity(old.store, file, OPEN, old.environment)
    assert dict(Contacts(old.reopened())) == {}
    restored(new, file)
    found = {"ann": cards[0], "bob": cards[3], "carol": cards[2]}
    assert dict(Contacts(new.reopened())) == found


def test_a_backup_does_not_bring_more_contacts_than_there_may_be(
    old, new, file, identity, monkeypatch
):
    for n in (3, 4, 5):
        card = ContactCard(LocalSigner(bytes([n] * 32)).address, KEY.public)
        Contacts(old.store).add(f"a{n}", card)
    export_identity(old.store, file, OPEN, old.environment)
    monkeypatch.setattr("peerstream.node.library.moving.CONTACTS_MAX", 2)
    restored(new, file)
    assert list(Contacts(new.store)) == ["a3", "a4"]


def test_a_new_identity_may_be_made_where_one_left(old, file, identity):
    move_identity(old.store, file, OPEN, old.environment)
    again = make_identity(old.store, WANTED, WALLET, old.environment)
    assert again.identity_key.public != identity.identity_key.public


def test_a_file_that_cannot_be_written_leaves_the_identity_here(old, file, identity, monkeypatch):
    file.write_bytes(b"something")
    with pytest.raises(ForeignStateError):
        move_identity(old.store, file, OPEN, old.environment)
    assert file.read_bytes() == b"something"
    file.unlink()

    with monkeypatch.context() as patch:
        opened = Keystore.open(old.folder / "keys", old.key, os.urandom)
        patch.setattr(Keystore, "open", lambda *_, **__: SimpleNamespace(get=lambda _: bytes(32)))
        with pytest.raises(StateUnavailableError):
            move_identity(opened, file, OPEN, old.environment)
    assert load_identity(old.reopened(), old.environment).account == WALLET.address


def test_what_is_not_signed_for_does_not_travel(old, file):
    with pytest.raises(NoIdentityError):
        move_identity(old.store, file, OPEN, old.environment)
    begin_identity(old.store, WANTED, old.environment)
    with pytest.raises(NotSignedError):
        export_identity(old.store, file, OPEN, old.environment)
    assert not file.exists()


def test_an_identity_is_never_restored_over_another(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    make_identity(new.store, WANTED, WALLET, new.environment)
    before = new.store.get("identity/key")
    with pytest.raises(IdentityExistsError):
        restored(new, file)
    assert new.store.get("identity/key") == before


def test_another_network_is_refused_and_nothing_is_kept(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    with pytest.raises(WrongNetworkError):
        restored(new, file, network_id=b"\x08" * 32)
    assert new.store.names() == []


def test_a_backup_whose_delegation_is_over_comes_back_to_be_renewed(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    new.clock.seconds = START + 91 * DAY
    with pytest.raises(DelegationEndedError):
        restored(new, file)
    typed = begin_renewal(new.store, 30 * DAY, new.environment)
    renewed = finish_identity(new.store, WALLET.sign_typed_data(typed), new.environment)
    assert str(renewed.card) == str(identity.card)


def test_a_backup_may_come_on_a_disk_without_owners(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    file.chmod(0o755)
    assert restored(new, file).identity.account == WALLET.address
    (new.folder / "keys").chmod(0o644)
    with pytest.raises(StatePermissionError):
        new.reopened()


def test_a_link_or_a_pipe_is_no_backup(new, file, tmp_path):
    os.mkfifo(file)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ForeignStateError):
        restored(new, file)
    with pytest.raises(StateUnavailableError):
        restored(new, tmp_path / "link")
    with pytest.raises(UnknownSecretError):
        restored(new, tmp_path / "none")


def test_a_wrong_passphrase_is_named(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    with pytest.raises(WrongPassphraseError):
        restored(new, file, WRONG)
    assert new.store.names() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_cut_or_tampered_backup_is_named(tmp_path, data):
    folder = tmp_path / "sample"
    if not folder.exists():
        old = Machine.made(folder)
        make_identity(old.store, WANTED, WALLET, old.environment)
        export_identity(old.store, folder / "out", OPEN, old.environment)
        Machine.made(tmp_path / "target")
    sample = (folder / "out").read_bytes()
    place = data.draw(st.integers(0, len(sample) - 1))
    flipped = bytes([sample[place] ^ data.draw(st.integers(1, 255))])
    # the numbers of the cost, which may ask for seconds, are in tests of the vault
    cost = sample.index(b"\x83\x18\x40\x01\x01")
    cut = data.draw(st.booleans()) or cost <= place < cost + 5
    bad = folder / "bad"
    bad.unlink(missing_ok=True)
    bad.write_bytes(sample[:place] if cut else sample[:place] + flipped + sample[place + 1 :])
    bad.chmod(0o600)
    store = Keystore.open(tmp_path / "target/keys", KeyFile(tmp_path / "target/key"), os.urandom)
    with pytest.raises(DAMAGE):
        restore_identity(store, bad, OPEN, Environment(None, os.urandom))
    assert store.names() == []


@given(
    listed=st.booleans(),
    label=st.text("abcXYZ 019._-", max_size=32),
    days=st.integers(1, 90),
    later=st.integers(0, 80),
    text=st.text(min_size=1, max_size=40),
)
def test_whatever_identity_it_is_it_comes_back(tmp_path_factory, listed, label, days, later, text):
    folder = tmp_path_factory.mktemp("round")
    old, new = Machine.made(folder / "old", 3), Machine.made(folder / "new", 4)
    wanted = NewIdentity(
        network_id=NETWORK, account=WALLET.address, listed=listed, label=label, life=days * DAY
    )
    identity = make_identity(old.store, wanted, WALLET, old.environment)
    passphrase = Passphrase(text, memory=64, passes=1, lanes=1)
    move_identity(old.store, folder / "file", passphrase, old.environment)
    new.clock.seconds = min(START + later * DAY, START + days * DAY - 1)
    found = restored(new, folder / "file", passphrase, NETWORK).identity
    assert str(found.card) == str(identity.card)
    assert found.delegation == identity.delegation
    verify(found, new.clock.seconds)


# Files that somebody made who knows the passphrase


def forged(file, **changes):
    store = Keystore.open(file, OPEN, os.urandom)
    store.change({name.replace("_", "/", 1): value for name, value in changes.items()})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"identity_key": b"\x05" * 32}, CorruptedFileError),
        ({"identity_key": bytes(32)}, CorruptedFileError),
        ({"identity_key": b"1"}, CorruptedFileError),
        ({"identity_contact-secret": b"\x01" * 31}, CorruptedFileError),
        ({"identity_delegation": b"\xa0"}, CorruptedFileError),
        ({"identity_delegation": b""}, CorruptedFileError),
        ({"identity_device": b"\x01" * 63}, CorruptedFileError),
        ({"backup_device": b"\x01" * 31}, CorruptedFileError),
        ({"contact_ann": b"psp:0x"}, CorruptedFileError),
        ({"contact_ann": b"\xff"}, CorruptedFileError),
        ({"contact_An\nn": b""}, CorruptedFileError),
    ],
)
def test_a_forged_backup_is_named_and_nothing_is_kept(old, new, file, identity, changes, error):
    export_identity(old.store, file, OPEN, old.environment)
    forged(file, **changes)
    with pytest.raises(error):
        restored(new, file)
    assert new.store.names() == []


def test_a_backup_of_an_account_that_did_not_sign_is_refused(old, new, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    other = LocalSigner(b"\x12" * 32)
    typed = identity.delegation.delegation.typed_data(NETWORK)
    signed = type(identity.delegation)(
        NETWORK, identity.delegation.delegation, other.sign_typed_data(typed)
    )
    forged(file, identity_delegation=signed.encode())
    with pytest.raises(BadSignatureError):
        restored(new, file)
    assert new.store.names() == []


def test_a_backup_by_older_software_is_taken_without_its_device_key(new, old, file, identity):
    export_identity(old.store, file, OPEN, old.environment)
    secret = identity.device.secret().reveal()
    store = Keystore.open(file, OPEN, os.urandom)
    store.change({"identity/device": secret}, erase=["backup/device"])
    found = restored(new, file)
    assert found.old_device == identity.device.signing_public
    assert new.store.get("identity/device") != secret


def test_a_keystore_of_something_else_is_no_backup(new, file):
    Keystore.create(file, OPEN, os.urandom).put("relay/host-seed", b"\1" * 32)
    with pytest.raises(NoIdentityError):
        restored(new, file)


def test_a_mark_that_says_nothing_is_damage(old):
    old.store.put("identity/moved", b"\xa0")
    with pytest.raises(CorruptedFileError):
        load_identity(old.store, old.environment)
