"""`psp login`: a new service's file, its tables up and down, its document."""

import json

import pytest

from peerstream.identity import Delegation, Scope
from peerstream.identity.address import Address
from peerstream.identity.siwe import SiweMessage, write_time
from peerstream.identity.siwe.grant import wrap_grant
from peerstream.node.cli.application import run
from tests.identity.siwe.messages import ACCOUNT, KEY, sign
from tests.node.cli.conftest import network, psp

__all__ = ["network", "psp"]  # fixtures


def printed(capsys, *words, code=0):
    assert run([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def config(tmp_path, capsys):
    made = printed(capsys, "login", "init", str(tmp_path), "--origin", "https://app.example")
    assert made["origins"] == ["https://app.example"]
    return made["config"]


def test_the_tables_go_up_and_down(config, capsys):
    for to, there in (("head", "0002"), ("0001", "0001"), ("base", None), ("0002", "0002")):
        made = printed(capsys, "login", "migrate", config, "--to", to)
        assert made["schema"] == "psp.login/1"
        assert made["revision"] == there
    refused = printed(capsys, "login", "migrate", config, "--to", "9999", code=2)
    assert refused["error"]["name"] == "BadArgumentError"


def test_what_is_there_is_not_written_over(config, tmp_path, capsys):
    words = ("login", "init", str(tmp_path), "--origin", "https://app.example")
    assert printed(capsys, *words, code=1)["error"]["name"] == "FileExistsError"
    words = ("login", "init", str(tmp_path / "new"), "--origin", "https://app.example/path")
    assert printed(capsys, *words, code=1)["error"]["name"] == "OriginListError"
    assert not (tmp_path / "new").exists()


def test_the_document_is_printed(capsys):
    assert run(["login", "openapi"]) == 0
    assert "/siwe/verify" in json.loads(capsys.readouterr().out)["paths"]


def granted(typed):
    """What the JavaScript package makes of the JSON that a node prints: a login that grants it."""
    asked = typed["message"]
    delegation = Delegation(
        account=Address.parse(asked["account"]),
        identity_key=bytes.fromhex(asked["identityKey"][2:]),
        issued=asked["issued"],
        not_before=asked["notBefore"],
        not_after=asked["notAfter"],
        scope=Scope(asked["scope"]),
        label=asked["label"],
    )
    terms = delegation.login_terms(bytes.fromhex(typed["domain"]["salt"][2:]))
    message = SiweMessage(
        domain="app.example",
        address=asked["account"],
        statement=f"Sign in to this site. {asked['statement']}",
        uri="https://app.example",
        chain_id=1,
        nonce="12345678abcd",
        issued_at=write_time(asked["issued"]),
        resources=(terms.resource,),
    )
    return wrap_grant(message, sign(message, KEY))


def test_a_node_takes_the_signature_of_a_login(psp, network, tmp_path):
    state, out, answer = tmp_path / "s", tmp_path / "typed.json", tmp_path / "signature"
    options = ("--network", network, "--state", state, "--sign-with", "external")
    words = ("--account", ACCOUNT, "--out", out, "--days", 30, "--label", "my laptop")
    assert psp("id", "new", *options, *words, "--json").code == 0
    grant = granted(json.loads(out.read_text()))
    answer.write_text("0x" + grant[:-40].hex() + grant[-39:].hex())
    assert psp("id", "import-signature", answer, "--state", state, "--json").code == 4
    answer.write_text("0x" + grant.hex())
    done = psp("id", "import-signature", answer, "--state", state, "--json")
    assert done.code == 0, done.err
    assert psp("id", "show", "--state", state, "--json").json["account"] == ACCOUNT
