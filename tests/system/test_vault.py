"""The vault under a real Secret Service (gnome-keyring) and under systemd's own encryption."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from tests.node.cli.networks import write_network

PSP = [sys.executable, "-m", "peerstream.node.cli"]
PATIENCE_S = 120
CREDENTIAL = "psp-vault"


@pytest.fixture
def options(tmp_path):
    """What every `psp id new` here says; the state directory is `state`."""
    wallet = tmp_path / "wallet.hex"
    wallet.write_text("11" * 32)
    wallet.chmod(0o600)
    network = write_network(tmp_path / "network.json")
    return ["--network", network, "--wallet-key", wallet, "--state", tmp_path / "state", "--json"]


def run(command, env=None, **rest):
    done = subprocess.run(
        [str(part) for part in command],
        env={"PATH": os.environ["PATH"], **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **rest,
    )
    return done.returncode, done.stdout, done.stderr


def psp(*words, env=None):
    code, out, err = run([*PSP, *words], env)
    assert out, (code, err)
    return json.loads(out)


class Session:
    """A desktop's session: a bus, and a keyring that its user unlocked."""

    def __init__(self, home):
        self._env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}
        (home / "run").mkdir(mode=0o700, parents=True)

    def psp(self, *words):
        command = shlex.join(map(str, [*PSP, *words]))
        script = (
            "printf login | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
            f" && {command}"
        )
        code, out, err = run(["dbus-run-session", "--", "sh", "-c", script], self._env)
        assert out, (code, err)
        return json.loads(out)


def test_the_secret_service_of_a_desktop_opens_the_vault(tmp_path, options):
    state = ("--state", tmp_path / "state", "--json")
    mine, others = Session(tmp_path / "me"), Session(tmp_path / "other")
    made = mine.psp("id", "new", "--vault", "keyring", *options)
    assert made["ok"], made
    assert not (tmp_path / "state" / "keystore.key").exists()
    assert mine.psp("id", "show", *state)["account"] == made["account"]
    assert others.psp("id", "show", *state)["error"]["name"] == "KeyringEntryError"
    outside = psp("id", "show", *state, env={"HOME": str(tmp_path)})
    assert outside["error"]["name"] == "KeyringError"
    assert mine.psp("vault", "set", "key-file", *state)["ok"]
    assert mine.psp("vault", "remove", "keyring", *state)["ok"]
    assert psp("id", "show", *state)["account"] == made["account"]


def test_a_credential_that_systemd_encrypted_opens_the_vault(tmp_path, options):
    """What a unit's LoadCredentialEncrypted does, with the host's key in a file of the test."""
    host = {"SYSTEMD_CREDENTIAL_SECRET": str(tmp_path / "host-key")}
    (tmp_path / "drawn").write_bytes(os.urandom(32))
    for command in (
        ["systemd-creds", "setup"],
        [
            *("systemd-creds", "encrypt", "--with-key=host", f"--name={CREDENTIAL}"),
            *(tmp_path / "drawn", tmp_path / "sealed"),
        ],
    ):
        code, _, err = run(command, host)
        assert code == 0, err
    (tmp_path / "drawn").unlink()
    unit = tmp_path / "credentials"
    unit.mkdir(mode=0o500)
    decrypt = ["systemd-creds", "decrypt", f"--name={CREDENTIAL}", tmp_path / "sealed"]
    code, _, err = run([*decrypt, unit / CREDENTIAL], host)
    assert code == 0, err
    (unit / CREDENTIAL).chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(unit)}
    made = psp("id", "new", "--vault", "systemd", *options, env=env)
    assert made["ok"], made
    state = ("--state", tmp_path / "state", "--json")
    assert psp("id", "show", *state, env=env)["account"] == made["account"]
    assert psp("id", "show", *state)["error"]["name"] == "CredentialError"
