"""The keystore: closed without its key, whole after a crash, and silent about what it holds."""

import hashlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peerstream.node.store import files
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    KeyFileError,
    StatePermissionError,
    StateUnavailableError,
    StateVersionError,
    StoreError,
    UnknownSecretError,
    WrongPassphraseError,
)
from peerstream.node.store.keystore import KeyFile, Keystore, Passphrase

CHEAP = {"memory": 64, "passes": 1, "lanes": 1}
OPEN = Passphrase("correct horse", **CHEAP)


def made(path, unlock=OPEN) -> Keystore:
    store = Keystore.create(path, unlock, os.urandom)
    store.put("identity", b"\x01" * 32)
    store.put("onion/7", b"\x02" * 32)
    return store


def reopened(path, unlock=OPEN) -> Keystore:
    return Keystore.open(path, unlock, os.urandom)


def test_secrets_survive_a_restart(tmp_path):
    path = tmp_path / "keys"
    made(path)
    store = reopened(path)
    assert store.names() == ["identity", "onion/7"]
    assert store.get("identity") == b"\x01" * 32
    assert "identity" in store
    assert "other" not in store
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_erased_secret_is_gone(tmp_path):
    path = tmp_path / "keys"
    store = made(path)
    store.delete("onion/7")
    for each in (store, reopened(path)):
        with pytest.raises(UnknownSecretError):
            each.get("onion/7")
        with pytest.raises(UnknownSecretError):
            each.delete("onion/7")


def test_the_default_cost_is_that_of_the_standard(tmp_path):
    unlock = Passphrase("x")
    assert (unlock.memory, unlock.passes, unlock.lanes) == (65_536, 3, 4)
    made(tmp_path / "keys", unlock)
    assert reopened(tmp_path / "keys", Passphrase("x", **CHEAP)).names()


@pytest.mark.parametrize("text", ["", "correct hors", "correct horse ", "Correct horse"])
def test_a_wrong_passphrase_is_named(tmp_path, text):
    made(tmp_path / "keys")
    with pytest.raises(WrongPassphraseError):
        reopened(tmp_path / "keys", Passphrase(text))


def test_a_key_file_opens_it(tmp_path):
    key, path = KeyFile(tmp_path / "key"), tmp_path / "keys"
    with pytest.raises(KeyFileError):
        Keystore.create(path, key, os.urandom)
    key.make(os.urandom)
    assert key.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError):
        key.make(os.urandom)
    made(path, key)
    assert reopened(path, key).get("identity") == b"\x01" * 32
    other = KeyFile(tmp_path / "other")
    other.make(os.urandom)
    for wrong in (other, OPEN):
        with pytest.raises(WrongPassphraseError):
            reopened(path, wrong)
    key.path.chmod(0o644)
    with pytest.raises(StatePermissionError):
        reopened(path, key)
    key.path.unlink()
    with pytest.raises(KeyFileError):
        reopened(path, key)


def test_a_keystore_is_never_made_over_another_file(tmp_path):
    path = tmp_path / "keys"
    made(path)
    before = path.read_bytes()
    with pytest.raises(ForeignStateError):
        Keystore.create(path, OPEN, os.urandom)
    assert path.read_bytes() == before
    with pytest.raises(UnknownSecretError):
        reopened(tmp_path / "none")


def test_nothing_is_printed(tmp_path):
    store = made(tmp_path / "keys")
    shown = repr(store) + repr(OPEN)
    assert "correct" not in shown
    assert "\\x01" not in shown
    data = (tmp_path / "keys").read_bytes()
    assert b"\x01" * 32 not in data
    assert b"identity" not in data


def test_a_torn_write_keeps_the_old_secrets(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    store = made(path)

    def torn(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", torn)
        with pytest.raises(StateUnavailableError):
            store.put("identity", b"\x09" * 32)
    assert store.get("identity") == b"\x01" * 32
    assert (tmp_path / "keys.new").exists()
    assert reopened(path).get("identity") == b"\x01" * 32
    store.put("identity", b"\x09" * 32)
    assert reopened(path).get("identity") == b"\x09" * 32
    assert not (tmp_path / "keys.new").exists()


DAMAGE = (CorruptedFileError, ForeignStateError, StateVersionError, WrongPassphraseError)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_keystore_is_named_and_left_alone(tmp_path, data):
    path, key = tmp_path / "damaged", KeyFile(tmp_path / "key")
    path.unlink(missing_ok=True)
    key.path.write_bytes(bytes(32))
    key.path.chmod(0o600)
    made(path, key)
    sample = path.read_bytes()
    place = data.draw(st.integers(0, len(sample) - 1))
    flipped = bytes([sample[place] ^ data.draw(st.integers(1, 255))])
    cut = data.draw(st.booleans())
    bad = sample[:place] if cut else sample[:place] + flipped + sample[place + 1 :]
    path.write_bytes(bad)
    with pytest.raises(DAMAGE):
        reopened(path, key)
    assert path.read_bytes() == bad


def test_the_contents_of_one_keystore_do_not_fit_another(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b")
    files = {name: (tmp_path / name).read_bytes() for name in "ab"}
    head = 10 + int.from_bytes(files["a"][8:10], "big")
    (tmp_path / "a").write_bytes(files["a"][:head] + files["b"][head:])
    with pytest.raises(CorruptedFileError):
        reopened(tmp_path / "a")


def test_every_write_has_its_own_nonce(tmp_path):
    path = tmp_path / "keys"
    store = made(path)
    seen = set()
    for _ in range(20):
        store.put("identity", b"\x01" * 32)
        seen.add(hashlib.sha256(path.read_bytes()).digest())
    assert len(seen) == 20


def test_many_changes_are_one_write(tmp_path):
    path = tmp_path / "keys"
    store = made(path)
    store.change({"third": b"\x03"}, erase=["identity", "never there"])
    assert reopened(path).names() == store.names() == ["onion/7", "third"]


@pytest.mark.parametrize(("name", "size"), [("n" * 129, 1), ("n", 65_537)])
def test_more_than_it_may_hold_is_our_bug(tmp_path, name, size):
    store = made(tmp_path / "keys")
    with pytest.raises(ValueError):
        store.put(name, bytes(size))


def test_errors_do_not_hold_the_passphrase(tmp_path):
    made(tmp_path / "keys")
    with pytest.raises(StoreError) as caught:
        reopened(tmp_path / "keys", Passphrase("my secret", **CHEAP))
    assert "secret" not in str(caught.value)
