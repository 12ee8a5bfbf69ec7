"""Running `psp` inside the test's process, and as a process of its own."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest

from peerstream.node.cli import main
from peerstream.node.cli.options import StateOptions
from peerstream.node.library.relay_identity import init_relay
from tests.node.cli.networks import write_network

WALLET = "11" * 32
ACCOUNT = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one object on standard output."""
        [line] = self.out.splitlines()
        return json.loads(line)


@pytest.fixture
def psp(capsys, monkeypatch):
    """Run a command in this process; return its code and what it wrote."""
    for name in ("PSP_NETWORK", "PSP_STATE", "PSP_DEBUG", "PSP_RELAY_FILE"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def run(*tokens):
        capsys.readouterr()
        code = main([str(token) for token in tokens])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def psp_process():
    """Run a command as a process."""

    def run(*tokens, **options):
        command = [sys.executable, "-m", "peerstream.node.cli", *map(str, tokens)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def network(tmp_path):
    """Return the file of a static network that nobody runs."""
    return write_network(tmp_path / "network.json")


@pytest.fixture
def wallet(tmp_path):
    """Return a file with a wallet's key."""
    path = tmp_path / "wallet.hex"
    path.write_text(f"0x{WALLET}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def made(psp, network, wallet, tmp_path):
    """Make an identity; return its state directory."""
    state = tmp_path / "state"
    done = psp("id", "new", "--network", network, "--wallet-key", wallet, "--state", state)
    assert done.code == 0, done.err
    return state


@pytest.fixture
def typed(monkeypatch):
    """Type these passphrases at the prompts, in turn."""
    prompts = []

    def typing(*words):
        left = list(words)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr(
            "getpass.getpass", lambda prompt, **_: prompts.append(prompt) or left.pop(0)
        )
        return prompts

    return typing


@pytest.fixture(scope="session")
def registry_chain():
    """Return a chain in this process with our contracts."""
    from tests.node.chain.chains import deployed_chain  # noqa: PLC0415 - py-evm, a second

    return deployed_chain()


@pytest.fixture
def registry(registry_chain, psp, tmp_path, monkeypatch):
    """Return `psp registry` against the chain; what it does there is taken back."""
    from tests.node.cli.registries import Registry, patched  # noqa: PLC0415 - likewise

    with registry_chain.undone() as chain:
        yield patched(monkeypatch, Registry(chain, psp, tmp_path))


@pytest.fixture
def relay(tmp_path):
    """Make the keys of a relay; return its state directory."""
    options = StateOptions(state=tmp_path / "relay")
    init_relay(options.directory, options.new_unlock())
    return options.directory


@pytest.fixture
def identity(registry, tmp_path):
    """Make the identity of account 1; return its state directory."""
    state = tmp_path / "me"
    options = ("--network", registry.network, "--wallet-key", registry.wallet(1), "--state", state)
    assert registry.psp("id", "new", "--listed", *options).code == 0
    return state
