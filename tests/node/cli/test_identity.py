"""`psp id`: keys made, signed for, shown without secrets, moved; files that are nobody else's."""

import json

import pytest

from peerstream.identity import ContactCard, LocalSigner
from tests.node.cli.conftest import ACCOUNT, WALLET
from tests.node.cli.shapes import require_failure, require_shape


def test_an_identity_is_made_and_shown(psp, made):
    shown = psp("id", "show", "--state", made, "--json").json
    require_shape(shown)
    assert shown["account"] == ACCOUNT
    assert shown["listed"] is False
    assert shown["card"] is None
    text = psp("id", "show", "--state", made).out
    assert ACCOUNT in text
    assert shown["identity_key"] in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_card_holds_the_secret_of_an_unlisted_identity_and_nothing_else_shows_it(psp, made):
    text = psp("id", "card", "--state", made).out.strip()
    card = ContactCard.parse(text)
    assert str(card.account) == ACCOUNT
    assert len(card.contact_secret) == 32
    as_json = psp("id", "card", "--state", made, "--json").json
    require_shape(as_json)
    assert as_json["card"] == text
    for command in (("id", "show"), ("id", "show", "--json")):
        assert card.contact_secret.hex() not in psp(*command, "--state", made).out


def test_a_listed_identity_has_a_card_without_a_secret(psp, network, wallet, tmp_path):
    options = ("--network", network, "--wallet-key", wallet, "--state", tmp_path / "s")
    assert psp("id", "new", "--listed", *options, "--json").json["listed"] is True
    card = ContactCard.parse(psp("id", "card", "--state", tmp_path / "s").out.strip())
    assert card.contact_secret == b""


def test_every_file_is_private(made):
    for path in made.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert made.stat().st_mode & 0o777 == 0o700


def test_the_wallets_key_is_kept_nowhere(made, psp):
    raw = bytes.fromhex(WALLET)
    stored = [path.read_bytes() for path in made.rglob("*") if path.is_file()]
    assert stored
    assert not any(raw in data or WALLET.encode() in data for data in stored)


def test_an_identity_is_not_made_twice(psp, made, network, wallet):
    options = ("--network", network, "--wallet-key", wallet, "--state", made, "--json")
    done = psp("id", "new", *options)
    assert done.code == 1
    require_failure(done.json, "psp.id/1", "IdentityExistsError")


def test_a_question_about_nothing_makes_no_directory(psp, tmp_path):
    done = psp("id", "show", "--state", tmp_path / "none", "--json")
    assert done.code == 3
    require_failure(done.json, "psp.id/1", "NoIdentityError")
    assert not (tmp_path / "none").exists()


def test_an_external_wallet_signs_in_a_second_step(psp, network, tmp_path):
    state, out = tmp_path / "s", tmp_path / "typed.json"
    asked = psp(
        *("id", "new", "--network", network, "--state", state, "--sign-with", "external"),
        *("--account", ACCOUNT, "--out", out, "--json"),
    ).json
    require_shape(asked)
    assert asked["typed_data_file"] == str(out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert psp("id", "show", "--state", state).code == 4
    signature = LocalSigner(bytes.fromhex(WALLET)).sign_typed_data(json.loads(out.read_text()))
    answer = tmp_path / "signature"
    for text, name, code in (
        ("0x" + bytes(65).hex(), "SignatureFormatError", 4),
        ("no", "SignatureFileError", 1),
        ("0x" + signature.hex(), None, 0),
    ):
        answer.write_text(f'"{text}"\n')
        done = psp("id", "import-signature", answer, "--state", state, "--json")
        assert done.code == code
        if name is not None:
            require_failure(done.json, "psp.id/1", name)
    assert psp("id", "show", "--state", state, "--json").json["account"] == ACCOUNT


@pytest.mark.parametrize("options", [[], ["--sign-with", "external"]])
def test_somebody_has_to_sign(psp, network, tmp_path, options):
    done = psp("id", "new", "--network", network, "--state", tmp_path / "s", *options)
    assert done.code == 2
    assert not (tmp_path / "s").exists()


def test_a_renewal_keeps_the_card(psp, made, wallet):
    card = psp("id", "card", "--state", made).out
    renewed = psp("id", "renew", "--state", made, "--wallet-key", wallet, "--days", 3, "--json")
    assert renewed.json["not_after"] - renewed.json["issued"] == 3 * 86_400
    assert psp("id", "card", "--state", made).out == card
    too_long = psp("id", "renew", "--state", made, "--wallet-key", wallet, "--days", 91, "--json")
    require_failure(too_long.json, "psp.id/1", "LifetimeError")


def test_export_and_restore_need_the_passphrase(psp, made, tmp_path, typed, network):
    out, other = tmp_path / "identity.psp", tmp_path / "other"
    prompts = typed("right", "right")
    exported = psp("id", "export", out, "--state", made, "--json").json
    require_shape(exported)
    assert len(prompts) == 2
    assert out.stat().st_mode & 0o777 == 0o600
    typed("wrong")
    assert psp("id", "restore", out, "--state", other).code == 4
    typed("right")
    restored = psp("id", "restore", out, "--network", network, "--state", other, "--json").json
    require_shape(restored)
    assert restored["account"] == ACCOUNT
    assert restored["old_device_key"] == exported["device_key"] != restored["device_key"]
    assert psp("id", "card", "--state", other).out == psp("id", "card", "--state", made).out


def test_files_are_looked_for_before_anybody_types(psp, made, tmp_path, typed):
    typed()
    (tmp_path / "there").write_text("mine")
    for command in ("export", "move"):
        done = psp("id", command, tmp_path / "there", "--state", made, "--json")
        require_failure(done.json, "psp.id/1", "FileExistsHereError")
    done = psp("id", "restore", tmp_path / "none", "--state", tmp_path / "other", "--json")
    assert done.code == 3
    require_failure(done.json, "psp.id/1", "FileMissingError")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_move_ends_the_identity_here(psp, made, tmp_path, typed):
    out, other = tmp_path / "identity.psp", tmp_path / "other"
    card = psp("id", "card", "--state", made).out
    typed("right", "right")
    done = psp("id", "move", out, "--state", made)
    assert "no longer here" in done.out
    gone = psp("id", "show", "--state", made, "--json")
    assert gone.code == 4
    require_failure(gone.json, "psp.id/1", "IdentityMovedError")
    assert ACCOUNT in gone.json["error"]["message"]
    typed("right")
    shown = psp("id", "restore", out, "--state", other)
    assert "psp registry revoke --device 0x" in shown.out
    assert psp("id", "card", "--state", other).out == card


def test_passphrases_are_typed_twice_and_never_read_from_a_pipe(psp, made, tmp_path, typed):
    done = psp("id", "export", tmp_path / "x", "--state", made)
    assert "NoTerminalError" in done.err
    typed("one", "two")
    assert "PassphraseMismatchError" in psp("id", "export", tmp_path / "x", "--state", made).err
    assert not (tmp_path / "x").exists()


def test_a_keystore_under_a_passphrase(psp, network, wallet, tmp_path, typed):
    state = tmp_path / "s"
    typed("right", "right")
    options = ("--network", network, "--wallet-key", wallet, "--passphrase", "--state", state)
    assert psp("id", "new", *options).code == 0
    assert not (state / "keystore.key").exists()
    typed("wrong")
    assert psp("id", "show", "--passphrase", "--state", state).code == 4
    typed("right")
    assert psp("id", "show", "--passphrase", "--state", state).code == 0


def test_no_option_takes_a_secret(psp):
    done = psp("id", "show", "--passphrase", "hunter2")
    assert done.code == 2
    done = psp("id", "new", "--help")
    for option in ("--wallet-key", "--key-file"):
        assert option in done.out
    for word in ("--key ", "--secret", "--private-key", "--passphrase TEXT"):
        assert word not in done.out
