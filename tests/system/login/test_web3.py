"""The extra [login] alone, beside the web3 that an application already has (7.16)."""

import json
import os
import subprocess

import pytest
from eth_account import Account

from peerstream.identity import Address
from peerstream.identity.siwe import SiweMessage
from tests.identity.samples import fixed
from tests.identity.siwe.messages import sign
from tests.system.login import chain
from tests.system.login.programs import HERE, PATIENCE_S, ROOT
from tests.system.login.test_http import python_tool

KEY = fixed("web3 wallet")
LOCKS = [HERE / "oracle" / "web3.lock", ROOT / "requirements" / "login.lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_the_extra_brings_neither_the_network_nor_its_loop(lock):
    names = {line.partition("==")[0] for line in lock.read_text().splitlines() if "==" in line}
    assert "fastapi" in names
    assert not names & {"libp2p", "trio", "multiaddr", "py-evm", "fastecdsa"}


def test_web3_is_no_part_of_it():
    assert not any(line.startswith("web3==") for line in LOCKS[1].read_text().splitlines())


def test_a_contract_wallet_is_asked_through_web3_of_the_last_major_version():
    python = python_tool("web3") / "python"
    with chain.running() as devnet:
        owner = Address.parse(Account.from_key(KEY).address)
        wallet = devnet.deploy("OwnedWallet", owner)
        message = SiweMessage(
            domain="app.example",
            address=str(wallet),
            uri="https://app.example",
            chain_id=devnet.id,
            nonce="12345678abcd",
            issued_at="2027-01-15T08:00:00Z",
        )
        good, bad = sign(message, KEY), sign(message, fixed("stranger"))
        case = {
            "message": str(message),
            "nonce": message.nonce,
            "chain_id": devnet.id,
            "signatures": [good.hex(), bad.hex(), good[:-1].hex()],
        }
        done = subprocess.run(
            [python, HERE / "oracle" / "web3_reader.py", devnet.url, json.dumps(case)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "web3": "7.16.0",
        "outcomes": ["CONTRACT", "SiweSignatureError", "SiweSignatureError"],
        "absent": [],
    }
