"""`psp registry --sign-only` and `submit`: signed here, posted there, altered in between."""

import json

import pytest
import trio

from peerstream.node.chain.identities import SignedRequest
from peerstream.node.chain.posting import SignedTransaction
from peerstream.node.chain.transactions import Plan, current_fees, sign
from tests.node.chain.chains import ACCOUNTS
from tests.node.cli.registries import KEY, OWN, address
from tests.node.cli.shapes import require_shape


def test_a_request_is_signed_without_any_endpoint_and_posted_by_somebody(registry, tmp_path):
    file = tmp_path / "request"
    signed = registry.change("identity", "set", "--key", KEY, "--sign-only", file)
    assert (signed["state"], signed["file"], signed["gas"]) == ("signed", str(file), None)
    assert registry.sent == []
    assert SignedRequest.parse(file.read_bytes()).request.account == ACCOUNTS[1].address
    before = registry.balance(1)
    posted = registry.change("submit", file, by=2)
    assert posted["sender"] == address(2)
    assert any(address(1) in line and KEY in line for line in posted["summary"])
    assert registry.identity()["identity_key"] == "0x" + KEY
    assert registry.balance(1) == before
    registry.refused("RequestUsedError", "submit", file, by=2, code=1)


def test_a_request_is_posted_before_its_deadline_or_never(registry, tmp_path):
    file = tmp_path / "request"
    registry.change("revoke", "--sign-only", file, "--days", 1)
    registry.chain.advance(86_401)
    registry.refused("RequestExpiredError", "submit", file, by=2, code=1)


@pytest.mark.parametrize(
    ("member", "value", "name", "code"),
    [
        ("value", "0x" + "5c" * 32, "WrongKeyError", 4),
        ("account", str(ACCOUNTS[5].address), "WrongKeyError", 4),
        ("nonce", hex(7 << 64), "WrongKeyError", 4),
        ("deadline", 2**40, "WrongKeyError", 4),
        ("network_id", "0x" + "00" * 32, "RequestFileError", 1),
        ("change", "revokeDevice", "WrongKeyError", 4),
        ("change", "transfer", "RequestFileError", 1),
        ("schema", "psp.other/1", "RequestFileError", 1),
    ],
)
def test_an_altered_request_is_refused(registry, tmp_path, member, value, name, code):
    file = tmp_path / "request"
    registry.change("identity", "set", "--key", KEY, "--sign-only", file)
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, member: value}))
    registry.refused(name, "submit", file, by=2, code=code)
    assert registry.show()["identities"] == []


def test_a_transaction_is_posted_by_somebody_who_pays_nothing(registry, relay, tmp_path):
    file = tmp_path / "transaction"
    signed = registry.change("relay", "register", "--state", relay, "--sign-only", file)
    assert signed["state"] == "signed"
    assert registry.show()["relays"] == []
    assert SignedTransaction.parse(file.read_bytes()).sender == ACCOUNTS[1].address
    posted = registry.change("submit", file, by=None)
    assert posted["sender"] == address(1)
    assert registry.relay()["operator"] == address(1)
    registry.refused("AlreadyRegisteredError", "submit", file, by=None, code=1)


def test_what_a_file_says_of_itself_is_not_shown(registry, relay, tmp_path):
    file = tmp_path / "transaction"
    registry.change("relay", "register", "--state", relay, "--sign-only", file)
    found = json.loads(file.read_text())
    file.write_text(json.dumps({**found, "summary": ["harmless"]}))
    done = registry.run("submit", file, "--dry-run", by=None)
    require_shape(done.json, 0)
    assert done.json["state"] == "planned"
    assert "harmless" not in done.out + done.err
    assert "call RelayRegistry.register" in done.json["summary"]
    assert registry.show()["relays"] == []


def test_a_transaction_to_somewhere_else_is_not_posted(registry, tmp_path):
    """Whoever submits would post, under its own IP address, whatever a stranger signed."""
    raw = trio.run(_payment, registry)
    file = tmp_path / "transaction"
    file.write_bytes(SignedTransaction.of_raw(raw).encode())
    registry.refused("RequestFileError", "submit", file, by=None, code=1)
    other = registry.network_file("other.json", [OWN], chain_id=1)
    registry.refused("WrongChainError", "submit", file, by=None, network=other, code=5)


async def _payment(registry):
    async with registry.chain.client() as rpc:
        plan = Plan(to=ACCOUNTS[9].address, value=1, gas=21_000)
        return sign(ACCOUNTS[1].secret, 31_337, 0, plan, await current_fees(rpc))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff", b"[" * 60_000, b"{}"])
def test_what_is_no_signed_file(registry, tmp_path, data):
    file = tmp_path / "file"
    file.write_bytes(data)
    registry.refused("RequestFileError", "submit", file, code=1)
    file.write_bytes(b" " * 70_000)
    registry.refused("BadArgumentError", "submit", file, code=2)
    registry.refused("FileMissingError", "submit", tmp_path / "none", code=3)
