"""A devnet and an identity for the tests of the daemon, made by the commands that users have."""

import json
import os
import subprocess
import sys

import pytest

PATIENCE_S = 300


def psp(*arguments, **environment):
    """Run a command to its end and return its object."""
    done = subprocess.run(
        [sys.executable, "-m", "peerstream.node.cli", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return the network file of a devnet that runs while the tests of a module do."""
    home = tmp_path_factory.mktemp("devnet")
    found = psp("devnet", "up", "--relays", 12, "--state-dir", home)
    yield found["network_file"]
    psp("devnet", "down", "--state-dir", home)


@pytest.fixture
def state(network, tmp_path):
    """Return the state directory of a new identity."""
    wallet = tmp_path / "wallet"
    wallet.touch(mode=0o600)
    wallet.write_text(os.urandom(32).hex())
    path = tmp_path / "state"
    psp("id", "new", "--network", network, "--wallet-key", wallet, "--state", path)
    return path
