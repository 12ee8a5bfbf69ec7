"""The vault's locks: each opens it by itself, and none can be added, weakened or asked too much."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

from peerstream.node.store.errors import (
    CorruptedFileError,
    CredentialError,
    ForeignStateError,
    KeyringEntryError,
    KeyringError,
    KeyringMissingError,
    LastLockError,
    NoLockError,
    StateUnavailableError,
    StateVersionError,
    WrongPassphraseError,
)
from peerstream.node.store.keystore import (
    Credential,
    KeyFile,
    Keystore,
    OsKeyring,
    Passphrase,
    read_terms,
)
from peerstream.node.store.locks import LockKind
from tests.node.store.keyrings import MemoryKeyring, install
from tests.reference import slow_vault

CHEAP = {"memory": 64, "passes": 1, "lanes": 1}
OPEN = Passphrase("correct horse", **CHEAP)
FORMAT_1 = json.loads((Path(__file__).parents[2] / "vectors/keystore-1.json").read_text())
SECRETS = {name: bytes.fromhex(value) for name, value in FORMAT_1["secrets"].items()}


def private(path, data):
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.fixture
def keyfile(tmp_path):
    return KeyFile(private(tmp_path / "key", bytes(range(32))))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys"


@pytest.fixture
def four(tmp_path, keyfile, monkeypatch):
    """All four kinds of locks."""
    install(monkeypatch)
    credential = private(tmp_path / "psp-vault", b"c" * 40)
    return [OPEN, keyfile, OsKeyring(), Credential(credential)]


def made(path, unlock=OPEN):
    store = Keystore.create(path, unlock, os.urandom)
    store.put("identity/key", b"\x01" * 32)
    return store


def opened(path, unlock):
    return Keystore.open(path, unlock, os.urandom)


def test_each_lock_opens_it_alone(path, four):
    first, *others = four
    store = made(path, first)
    for unlock in others:
        store.set_lock(unlock)
    assert read_terms(path).kinds == tuple(LockKind)
    for unlock in four:
        assert opened(path, unlock).get("identity/key") == b"\x01" * 32
        opened(path, unlock).put("seen", bytes([unlock.kind]))
    for unlock in four[:3]:
        opened(path, four[3]).remove_lock(unlock)
        with pytest.raises(WrongPassphraseError):
            opened(path, unlock)
    with pytest.raises(LastLockError):
        opened(path, four[3]).remove_lock(four[3])
    assert opened(path, four[3]).get("seen") == bytes([4])


def test_a_passphrase_is_changed_by_setting_it(path, keyfile):
    store = made(path)
    store.set_lock(keyfile)
    store.set_lock(Passphrase("battery staple", **CHEAP))
    with pytest.raises(WrongPassphraseError):
        opened(path, OPEN)
    assert opened(path, Passphrase("battery staple")).lock_kinds == tuple(LockKind)[:2]
    assert opened(path, keyfile).get("identity/key")
    with pytest.raises(NoLockError):
        store.remove_lock(OsKeyring())


def test_a_lock_that_cannot_be_written_changes_nothing(path, keyfile, monkeypatch):
    store = made(path)

    def torn(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("peerstream.node.store.files.os.fsync", torn)
        with pytest.raises(StateUnavailableError):
            store.set_lock(keyfile)
    assert store.lock_kinds == (LockKind.PASSPHRASE,)
    store.put("next", b"1")
    assert opened(path, OPEN).get("next") == b"1"


# The second implementation


def test_a_second_implementation_reads_what_we_write(path, keyfile):
    store = made(path)
    store.set_lock(keyfile)
    for kind, given in ((1, b"correct horse"), (2, bytes(range(32)))):
        secrets, database = slow_vault.read(path.read_bytes(), kind, given)
        assert secrets == {"identity/key": b"\x01" * 32}
        assert database == store.database_key("contacts")
    assert store.database_key("messages") != database


def test_we_read_what_a_second_implementation_writes(path, keyfile):
    locks = [(1, [64, 2, 1], b"correct horse"), (2, [], bytes(range(32)))]
    private(path, slow_vault.write(random.Random(5).randbytes, locks, SECRETS))
    for unlock in (OPEN, keyfile):
        store = opened(path, unlock)
        assert {name: store.get(name) for name in store.names()} == SECRETS


# Format 1


@pytest.fixture(params=["passphrase", "key-file"])
def format_1(request, path, keyfile):
    private(path, bytes.fromhex(FORMAT_1[request.param]["file"]))
    return OPEN if request.param == "passphrase" else keyfile


def test_format_1_is_read_and_becomes_format_2_at_the_first_change(path, format_1):
    before = path.read_bytes()
    store = opened(path, format_1)
    assert {name: store.get(name) for name in store.names()} == SECRETS
    assert path.read_bytes() == before
    assert read_terms(path).format == 1
    store.put("new", b"1")
    assert read_terms(path).format == 2
    again = opened(path, format_1)
    assert {name: again.get(name) for name in again.names()} == {**SECRETS, "new": b"1"}
    assert read_terms(path).kinds == (format_1.kind,)


def test_what_knows_format_1_alone_refuses_format_2_by_name(path, format_1):
    # that software compared eight bytes, and said ForeignStateError for all others
    opened(path, format_1).put("new", b"1")
    assert path.read_bytes()[:8] != b"PSPkeys1"


def test_the_key_of_a_database_outlives_the_change_of_format(path, format_1):
    key = opened(path, format_1).database_key("contacts")
    assert opened(path, format_1).database_key("contacts") == key


def test_a_damaged_file_of_format_1_is_named(path, format_1):
    sample = path.read_bytes()
    for place in (8, 20, 60, len(sample) - 1):
        private(path, sample[:place] + bytes([sample[place] ^ 0x55]) + sample[place + 1 :])
        with pytest.raises((CorruptedFileError, WrongPassphraseError)):
            opened(path, format_1)
        private(path, sample[:place])
        with pytest.raises(CorruptedFileError):
            opened(path, format_1)


@pytest.mark.parametrize("magic", [b"PSPkeys3", b"PSPkeys9"])
def test_a_later_format_is_named(path, magic):
    private(path, magic + bytes(200))
    with pytest.raises(StateVersionError):
        opened(path, OPEN)


@pytest.mark.parametrize("magic", [b"PSPkeys0", b"PSPkeysx", b"", b"PSP"])
def test_another_file_is_none_of_ours(path, magic):
    private(path, magic + bytes(200 if len(magic) > 3 else 0))
    with pytest.raises(ForeignStateError):
        read_terms(path)


# Hostile files


def relocked(path, change):
    """Change the head of a file by hand; its secrets stay."""
    file = path.read_bytes()
    end = 10 + int.from_bytes(file[8:10], "big")
    head = cbor2.loads(file[10:end])
    body = cbor2.dumps(change(head) or head)
    private(path, b"PSPkeys2" + len(body).to_bytes(2, "big") + body + file[end:])


def with_cost(*cost):
    def change(head):
        head[1][0][2] = list(cost)

    return change


@pytest.mark.parametrize(
    "cost",
    [
        (2**32 - 1, 1, 1),
        (2**40, 1, 1),
        (1_048_576, 5, 4),
        (64, 0, 1),
        (64, 2**32 - 1, 1),
        (64, 65, 1),
        (64, 1, 0),
        (64, 1, 255),
        (7, 1, 1),
        (),
        (64, 1),
        (64, 1, True),
    ],
)
def test_a_file_cannot_ask_for_the_whole_machine(path, cost, monkeypatch):
    made(path)
    relocked(path, with_cost(*cost))
    monkeypatch.setattr("peerstream.node.store.locks.Argon2id", None)  # not even begun
    with pytest.raises(CorruptedFileError):
        opened(path, OPEN)


def test_lowering_the_cost_of_a_file_does_not_open_it(path):
    made(path, Passphrase("correct horse", memory=128, passes=2, lanes=1))
    relocked(path, with_cost(64, 2, 1))
    with pytest.raises(WrongPassphraseError):
        opened(path, OPEN)


def test_a_lock_that_was_taken_away_or_brought_back_is_found(path, keyfile):
    store = made(path)
    store.set_lock(keyfile)
    both = path.read_bytes()
    relocked(path, lambda head: [head[0], head[1][:1]])
    with pytest.raises(CorruptedFileError):
        opened(path, OPEN)
    private(path, both)
    store.remove_lock(keyfile)
    old = cbor2.loads(both[10 : 10 + int.from_bytes(both[8:10], "big")])
    relocked(path, lambda _: old)
    for unlock in (OPEN, keyfile):
        with pytest.raises(CorruptedFileError):
            opened(path, unlock)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: [head[0], []],
        lambda head: [head[0], head[1] * 2],
        lambda head: [head[0], head[1][::-1]],
        lambda head: [head[0], [[9, *head[1][0][1:]]]],
        lambda head: [head[0], [[0, *head[1][0][1:]]]],
        lambda head: [head[0][1:], head[1]],
        lambda head: [*head, 1],
        lambda head: [head[0], [[*row[:2], [1], *row[3:]] for row in head[1]]],
        lambda head: {1: head},
        lambda _: [[[[[[[[[1]]]]]]]]],
        lambda head: [head[0], [[*head[1][0], bytes(1_000)]]],
    ],
)
def test_locks_that_no_writer_writes_are_damage(path, keyfile, change):
    store = made(path)
    store.set_lock(keyfile)
    relocked(path, change)
    with pytest.raises(CorruptedFileError):
        opened(path, OPEN)


# The system's keyring


def test_the_keyring_holds_one_entry_a_lock(path, monkeypatch, keyfile):
    backend = install(monkeypatch)
    store = made(path, OsKeyring())
    [(service, name)] = backend.held
    assert service == "peerstream"
    assert b"\x01" * 32 not in backend.held[service, name].encode()
    store.set_lock(OsKeyring())
    assert len(backend.held) == 1
    assert (service, name) not in backend.held
    assert opened(path, OsKeyring()).names()
    store.set_lock(keyfile)
    store.remove_lock(OsKeyring())
    assert backend.held == {}


def test_another_machines_keyring_is_named(path, monkeypatch):
    install(monkeypatch)
    made(path, OsKeyring())
    for text in (None, "zz", "00"):
        backend = install(monkeypatch)
        if text is not None:
            monkeypatch.setattr(backend, "get_password", lambda *_, text=text: text)
        with pytest.raises(KeyringEntryError):
            opened(path, OsKeyring())


def test_a_locked_keyring_is_named_and_its_text_is_not_repeated(path, monkeypatch):
    install(monkeypatch, MemoryKeyring(locked=True))
    with pytest.raises(KeyringError) as caught:
        made(path, OsKeyring())
    assert "hunter2" not in str(caught.value)
    assert not path.exists()


def test_a_keyring_that_keeps_nothing_is_found_before_the_vault_depends_on_it(path, monkeypatch):
    install(monkeypatch, MemoryKeyring(forgetful=True))
    with pytest.raises(KeyringError):
        made(path, OsKeyring())
    assert not path.exists()


@pytest.mark.parametrize("module", ["keyrings.alt.file", "keyring.backends.null", "__main__"])
def test_a_keyring_in_a_plain_file_is_none(path, monkeypatch, module):
    install(monkeypatch, module=module)
    with pytest.raises(KeyringError):
        made(path, OsKeyring())


def test_a_missing_library_is_named_with_the_line_for_pip(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyringMissingError) as caught:
        made(path, OsKeyring())
    assert "pip install 'peerstream[keyring]'" in type(caught.value).__doc__


# Credentials of systemd


@pytest.mark.parametrize("size", [0, 31, 4_097])
def test_a_credential_has_at_least_32_bytes(tmp_path, path, size):
    with pytest.raises(CredentialError):
        made(path, Credential(private(tmp_path / "psp-vault", bytes(size))))
    assert not path.exists()


def test_a_credential_is_a_file_that_is_not_for_everybody(tmp_path, path):
    open_to_all = private(tmp_path / "psp-vault", bytes(32))
    open_to_all.chmod(0o444)
    link = tmp_path / "link"
    link.symlink_to(private(tmp_path / "target", bytes(32)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for bad in (open_to_all, link, pipe, tmp_path, tmp_path / "none"):
        with pytest.raises(CredentialError):
            made(path, Credential(bad))
    open_to_all.chmod(0o440)  # root with an access list, as systemd gives it
    assert made(path, Credential(open_to_all)).names()


def test_secrets_of_locks_are_printed_nowhere(path, four):
    store = made(path)
    for unlock in four:
        store.set_lock(unlock)
    shown = repr(store) + repr(four) + repr(read_terms(path))
    assert "correct horse" not in shown
    assert "cccc" not in shown


# Killed at any moment

KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from peerstream.node.store import files
from peerstream.node.store.keystore import KeyFile, Keystore

folder = Path(sys.argv[1])
key = KeyFile(folder / "key")
key.make(os.urandom)
sample = folder / "sample"
Keystore.create(sample, key, os.urandom).put("secret", b"old")

def killed_at(step):
    path = folder / f"keys-{step}"
    shutil.copy(sample, path)
    store = Keystore.open(path, key, os.urandom)
    child = os.fork()
    if not child:
        left = step
        def count(frame, event, arg):
            nonlocal left
            if frame.f_code.co_filename != files.__file__:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return count
        sys.settrace(count)
        store.put("secret", b"new")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    again = Keystore.open(path, key, os.urandom)
    found = again.get("secret")
    again.put("secret", b"after")
    assert Keystore.open(path, key, os.urandom).get("secret") == b"after"
    return os.WIFSIGNALED(status), found

step, seen = 0, []
while True:
    killed, found = killed_at(step)
    if not killed:
        break
    seen.append(found.decode())
    step += 1
print(" ".join(seen), found.decode())
"""


def test_killed_at_any_line_of_a_write_there_is_the_old_or_the_new_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = done.stdout.split()
    assert len(seen) > 10
    assert set(seen) == {"old", "new"}
    assert seen == sorted(seen, reverse=True)  # once new, always new
