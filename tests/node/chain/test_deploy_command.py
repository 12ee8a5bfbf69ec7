import json
import os
from contextlib import contextmanager

import pytest
from eth_account import Account

from peerstream.node.chain import deploy_command
from peerstream.node.chain.deploy import Deployment
from peerstream.node.chain.deploy_command import main, read_key
from peerstream.node.chain.errors import WalletFileError
from peerstream.node.config import committed_constants, load_network
from tests.node.chain.chains import ACCOUNTS, Chain, new_chain

KEY = ACCOUNTS[0].secret
LIGHT = 2  # iterations of the key derivation, so that tests need not wait for it


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "open sesame", "pbkdf2", LIGHT)))
    return path


@contextmanager
def saying(text: str):
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    yield str(reader)


@pytest.fixture
def chain(monkeypatch) -> Chain:
    chain = new_chain()
    monkeypatch.setattr(deploy_command, "RpcClient", lambda url, **_: chain.client(url=url))
    return chain


def arguments(keystore, tmp_path, descriptor) -> list[str]:
    return [
        *("--rpc", "http://user:SECRET@own.example:8545", "--wallet", str(keystore)),
        *("--record", str(tmp_path / "record.json"), "--passphrase-fd", descriptor),
        *("--network-file", str(tmp_path / "network.json")),
    ]


def test_one_command_gives_a_network_file(keystore, tmp_path, chain, capsys):
    with saying("open sesame\n") as descriptor:
        assert main(arguments(keystore, tmp_path, descriptor)) == 0
    deployment = Deployment.parse((tmp_path / "record.json").read_bytes())
    network = load_network(tmp_path / "network.json")
    assert network.network_id == deployment.network_id
    assert network.parameters_hash == committed_constants("main").parameters_hash
    registry = str(deployment.relay_registry)
    assert len(chain.methods.call("eth_getCode", [registry])) > 1_000
    said = capsys.readouterr()
    assert str(ACCOUNTS[0].address) in said.err
    assert "SECRET" not in said.err + said.out


def test_a_wrong_passphrase(keystore, tmp_path, chain, capsys):
    with saying("guess") as descriptor:
        assert main(arguments(keystore, tmp_path, descriptor)) == 1
    assert "WalletFileError" in capsys.readouterr().err
    assert not (tmp_path / "record.json").exists()
    assert chain.ledger.head.header.block_number == 0


def test_an_account_without_funds(tmp_path, chain, capsys):
    path = tmp_path / "poor.json"
    path.write_text(json.dumps(Account.encrypt(b"\x77" * 32, "x", "pbkdf2", LIGHT)))
    with saying("x") as descriptor:
        assert main(arguments(path, tmp_path, descriptor)) == 1
    assert "NoFundsError" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"[" * 300_000, b'{"version": 3}', b"\xff"])
def test_what_is_no_key_file(tmp_path, data):
    path = tmp_path / "key.json"
    path.write_bytes(data)
    with pytest.raises(WalletFileError):
        read_key(path, "x")
    with pytest.raises(WalletFileError):
        read_key(tmp_path / "nothing", "x")
