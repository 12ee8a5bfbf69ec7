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
    StoreError,
    UnknownSecretError,
    WrongPassphraseError,
)
from peerstream.node.store.keystore import _HEADER, KeyFile, Keystore, Passphrase

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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_keystore_is_named_and_left_alone(tmp_path, data):
    path = tmp_path / "damaged"
    path.unlink(missing_ok=True)
    made(path)
    sample = path.read_bytes()
    place = data.draw(st.integers(0, len(sample) - 1))
    flipped = bytes([sample[place] ^ data.draw(st.integers(1, 255))])
    cut = data.draw(st.booleans())
    bad = sample[:place] if cut else sample[:place] + flipped + sample[place + 1 :]
    # A flip in the cost may ask for gigabytes of memory within our bounds; that is the next test.
    if not cut and 9 <= place < _HEADER.size - 28:
        bad = sample[:-1]
    path.write_bytes(bad)
    with pytest.raises((CorruptedFileError, ForeignStateError, WrongPassphraseError)):
        reopened(path)
    assert path.read_bytes() == bad


@pytest.mark.parametrize(
    ("memory", "passes", "lanes"),
    [(2**32 - 1, 1, 1), (64, 0, 1), (64, 2**32 - 1, 1), (64, 1, 0), (64, 1, 255), (7, 1, 1)],
)
def test_a_file_cannot_ask_for_the_whole_machine(tmp_path, memory, passes, lanes):
    path = tmp_path / "keys"
    made(path)
    data = bytearray(path.read_bytes())
    data[9:18] = memory.to_bytes(4, "big") + passes.to_bytes(4, "big") + bytes([lanes])
    path.write_bytes(data)
    with pytest.raises(CorruptedFileError):
        reopened(path)


def test_lowering_the_cost_of_a_file_does_not_open_it(tmp_path):
    path = tmp_path / "keys"
    made(path, Passphrase("correct horse", memory=128, passes=2, lanes=1))
    data = bytearray(path.read_bytes())
    data[9:13] = (64).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(WrongPassphraseError):
        reopened(path)


def test_the_contents_of_one_keystore_do_not_fit_another(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b")
    head = _HEADER.size + 48
    mixed = (tmp_path / "a").read_bytes()[:head] + (tmp_path / "b").read_bytes()[head:]
    (tmp_path / "a").write_bytes(mixed)
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
