"""`psp vault`: locks put, changed and removed; the one that works is found by itself."""

from peerstream.node.cli.options import StateOptions
from peerstream.node.library.relay_identity import init_relay, read_identity
from tests.node.cli.shapes import require_failure, require_shape
from tests.node.store.keyrings import install


def kinds(found):
    require_shape(found)
    return [lock["kind"] for lock in found["locks"]]


def test_status_needs_no_key(psp, made):
    (made / "keystore.key").unlink()
    found = psp("vault", "status", "--state", made, "--json").json
    assert kinds(found) == ["key-file"]
    assert found["format"] == 2
    assert "key-file" in psp("vault", "status", "--state", made).out


def test_there_is_nothing_to_show_where_nothing_is(psp, tmp_path):
    done = psp("vault", "status", "--state", tmp_path / "none", "--json")
    assert done.code == 3
    require_failure(done.json, "psp.vault/1", "NoKeystoreError")


def test_from_a_key_file_to_a_passphrase_and_to_another(psp, made, typed):
    prompts = typed("first", "first")
    done = psp("vault", "set", "passphrase", "--state", made, "--json")
    assert kinds(done.json) == ["passphrase", "key-file"]
    assert done.json["locks"][0]["memory_kib"] == 65_536
    assert len(prompts) == 2
    assert kinds(psp("vault", "remove", "key-file", "--state", made, "--json").json) == [
        "passphrase"
    ]
    assert not (made / "keystore.key").exists()
    typed("first", "second", "second")
    assert psp("vault", "set", "passphrase", "--state", made).code == 0
    typed("first")
    assert psp("id", "show", "--state", made).code == 4
    typed("second")
    assert psp("id", "show", "--state", made).code == 0


def test_the_last_lock_stays(psp, made):
    done = psp("vault", "remove", "key-file", "--state", made, "--json")
    require_failure(done.json, "psp.vault/1", "LastLockError")
    assert (made / "keystore.key").exists()
    done = psp("vault", "remove", "keyring", "--state", made, "--json")
    assert done.code == 3
    require_failure(done.json, "psp.vault/1", "NoLockError")


def test_an_empty_passphrase_is_refused(psp, made, typed):
    typed("", "")
    assert "EmptyPassphraseError" in psp("vault", "set", "passphrase", "--state", made).err


def test_nobody_types_on(psp, made, monkeypatch):
    def ended(*_, **__):
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", ended)
    done = psp("vault", "set", "passphrase", "--state", made)
    assert done.code == 130
    assert "StoppedError" in done.err


def test_a_key_file_elsewhere(psp, made, tmp_path):
    elsewhere = tmp_path / "elsewhere.key"
    done = psp("vault", "set", "key-file", "--state", made, "--json")
    require_failure(done.json, "psp.vault/1", "KeyFileError")
    assert psp("vault", "set", "key-file", "--new-file", elsewhere, "--state", made).code == 0
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert psp("id", "show", "--state", made).code == 4
    assert psp("id", "show", "--key-file", elsewhere, "--state", made).code == 0


def test_the_keyring_opens_it_unattended(psp, network, wallet, tmp_path, monkeypatch):
    install(monkeypatch)
    state = tmp_path / "s"
    options = ("--network", network, "--wallet-key", wallet, "--state", state)
    assert psp("id", "new", "--vault", "keyring", *options).code == 0
    assert not (state / "keystore.key").exists()
    assert psp("id", "show", "--state", state).code == 0
    install(monkeypatch)
    done = psp("id", "show", "--state", state, "--json")
    assert done.code == 4
    require_failure(done.json, "psp.id/1", "KeyringEntryError")


def test_a_credential_of_the_unit_goes_before_all_others(psp, made, tmp_path, monkeypatch):
    done = psp("vault", "set", "systemd", "--state", made, "--json")
    assert done.code == 4
    require_failure(done.json, "psp.vault/1", "CredentialError")
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "psp-vault").write_bytes(b"c" * 32)
    (folder / "psp-vault").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert kinds(psp("vault", "set", "systemd", "--state", made, "--json").json) == [
        "key-file",
        "systemd",
    ]
    assert psp("vault", "remove", "key-file", "--state", made).code == 0
    assert psp("id", "show", "--state", made).code == 0
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert "CredentialError" in psp("id", "show", "--state", made).err


def test_one_lock_at_a_time(psp, made, tmp_path):
    for options in (
        ("--passphrase", "--key-file", tmp_path / "k"),
        ("--vault", "keyring", "--passphrase"),
        ("--vault", "treasure"),
    ):
        assert psp("id", "show", *options, "--state", made).code == 2


def test_a_relay_starts_under_any_lock(psp, tmp_path, monkeypatch):
    install(monkeypatch)
    options = StateOptions(state=tmp_path / "relay", vault="keyring")
    made = init_relay(options.directory, options.new_unlock())
    again = StateOptions(state=options.directory)
    with again.keystore() as keystore:
        assert read_identity(keystore).relay_id == made.relay_id
    assert kinds(psp("vault", "status", "--state", again.directory, "--json").json) == ["keyring"]
