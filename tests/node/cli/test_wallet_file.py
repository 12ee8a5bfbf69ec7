"""Files with a wallet's key: opened as wallets wrote them, never worked on as strangers like."""

import copy
import json

import pytest
from eth_account import Account

from peerstream.node.cli.errors import WalletFileError
from peerstream.node.cli.wallet_file import read_keystore, read_wallet_key
from tests.node.cli.conftest import ACCOUNT, WALLET
from tests.node.cli.shapes import require_failure

KEY = bytes.fromhex(WALLET)
SEALED = {
    kdf: Account.encrypt(KEY, "right", kdf=kdf, iterations=count)
    for kdf, count in (("pbkdf2", 1_000), ("scrypt", 2))
}


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("text", [WALLET, f"0x{WALLET}", f"\n {WALLET}\n\n"])
def test_a_key_in_hexadecimal(tmp_path, text):
    assert read_wallet_key(write(tmp_path / "w", text)) == KEY


@pytest.mark.parametrize("kdf", SEALED)
def test_a_v3_keystore_asks_for_its_passphrase(psp, network, tmp_path, typed, kdf):
    path = write(tmp_path / "w", json.dumps(SEALED[kdf]))
    options = ("--network", network, "--wallet-key", path, "--state", tmp_path / "s")
    typed("wrong")
    done = psp("id", "new", *options)
    assert (done.code, "WalletPassphraseError" in done.err) == (4, True)
    prompts = typed("right")
    assert psp("id", "new", *options, "--json").json["account"] == ACCOUNT
    assert str(path) in prompts[-1]


def test_names_may_be_in_capitals_as_old_wallets_wrote_them(tmp_path, typed):
    old = json.dumps({**SEALED["scrypt"], "Crypto": SEALED["scrypt"]["crypto"], "crypto": None})
    with pytest.raises(WalletFileError):
        read_keystore(old.encode())
    typed("right")
    path = write(tmp_path / "w", json.dumps(SEALED["scrypt"]).replace('"crypto"', '"Crypto"'))
    assert read_wallet_key(path) == KEY


def changed(kdf, *path_and_value):
    *path, name, value = path_and_value
    found = copy.deepcopy(SEALED[kdf])
    inner = found
    for each in path:
        inner = inner[each]
    if value is None:
        del inner[name]
    else:
        inner[name] = value
    return json.dumps(found)


COST = ("crypto", "kdfparams")
# Each would have the library that opens keystores work without an end, or out of memory.
ENDLESS = [
    changed("scrypt", *COST, "n", 1 << 30),
    changed("scrypt", *COST, "p", 1 << 30),
    changed("scrypt", *COST, "r", 1 << 40),
    changed("scrypt", *COST, "dklen", 1 << 40),
    changed("pbkdf2", *COST, "dklen", 1 << 31),
    changed("pbkdf2", *COST, "c", 10**9),
    changed("pbkdf2", *COST, "C", 10**9),
    changed("pbkdf2", "CRYPTO", json.loads(changed("pbkdf2", *COST, "c", 10**9))["crypto"]),
    changed("pbkdf2", "crypto", "KdfParams", {"c": 10**9}),
    changed("pbkdf2", "version", 4),
]


@pytest.mark.parametrize(
    "text",
    [
        *ENDLESS,
        "",
        WALLET[2:],
        WALLET + "00",
        "0X" + WALLET,
        "é" * 32,
        "{",
        "{}",
        '{"crypto": 1}',
        '{"version": 3, "crypto": []}',
        "{" + "[" * 100_000,
        "1" * 70_000,
        changed("scrypt", *COST, "n", -5),
        changed("scrypt", *COST, "n", 3),
        changed("scrypt", *COST, "n", "2"),
        changed("scrypt", *COST, "n", True),
        changed("scrypt", *COST, "n", 2.0),
        changed("scrypt", *COST, "r", None),
        changed("scrypt", *COST, "salt", "00" * 129),
        changed("scrypt", *COST, "salt", "zz"),
        changed("scrypt", "crypto", "kdf", "md5"),
        changed("scrypt", "crypto", "cipher", "rot13"),
        changed("scrypt", "crypto", "cipherparams", {}),
        changed("scrypt", "crypto", "ciphertext", "00" * 33),
        changed("scrypt", "crypto", "mac", "00"),
        changed("scrypt", "crypto", "mac", 5),
        changed("scrypt", "version", "3"),
        changed("pbkdf2", *COST, "prf", "hmac-md5"),
        changed("pbkdf2", *COST, "dklen", 16),
        json.dumps(SEALED["scrypt"])[:-1] + ', "version": 3}',
        json.dumps(SEALED["scrypt"]).replace('"n": 2', '"n": NaN'),
    ],
)
def test_what_is_no_wallet_file_is_refused_before_any_work(psp, network, tmp_path, text, typed):
    typed()  # and before anybody is asked for a passphrase
    path = write(tmp_path / "w", text)
    options = ("--network", network, "--wallet-key", path, "--state", tmp_path / "s", "--json")
    done = psp("id", "new", *options)
    require_failure(done.json, "psp.id/1", "WalletFileError")
    assert len(text) < 8 or text[:60] not in done.out + done.err


def test_a_wallet_file_that_others_may_read_is_refused(psp, network, wallet, tmp_path):
    wallet.chmod(0o644)
    options = ("--network", network, "--wallet-key", wallet, "--state", tmp_path / "s")
    done = psp("id", "new", *options)
    assert done.code == 4
    assert "chmod 600" in done.err
