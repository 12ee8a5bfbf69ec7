"""`psp registry`: every refusal by name, and who learns what."""

import httpx2

from peerstream.node.config import RpcEndpoint
from tests.node.chain.chains import ACCOUNTS
from tests.node.cli.registries import OWN, STRANGERS, address, signed_registration

# Every refusal by name


def test_the_wrong_key(registry, relay):
    state = ("--state", relay)
    registry.change("relay", "register", *state)
    for command in (("renew",), ("exit",), ("withdraw",)):
        registry.refused("WrongKeyError", "relay", *command, *state, by=2, code=4)


def test_the_wrong_chain(registry):
    other = registry.network_file("other.json", [OWN], genesis_hash=bytes(32))
    registry.refused("WrongChainError", "revoke", network=other, code=5)
    assert registry.run("show", by=None, network=other).json["error"]["name"] == "WrongChainError"
    third = registry.network_file("third.json", [OWN], chain_id=5)
    registry.refused("WrongChainError", "revoke", network=third, code=5)
    contracts = {**registry.deployment.addresses, "relay_registry": ACCOUNTS[7].address}
    fourth = registry.network_file("fourth.json", [OWN], contracts=contracts)
    registry.refused("WrongContractError", "revoke", network=fourth, code=5)


def test_too_little_stake(registry, relay):
    options = ("relay", "register", "--state", relay, "--stake", "0.999999999999999999")
    registry.refused("StakeTooLowError", *options, code=1)


def test_stale_siblings(registry, relay, tmp_path):
    file = tmp_path / "transaction"
    registry.change("relay", "register", "--state", relay, "--sign-only", file)
    registry.chain.ledger.send(signed_registration(registry), registry.chain.wall)
    registry.refused("StaleSiblingsError", "submit", file, by=None, code=1)
    registry.change("relay", "register", "--state", relay)
    assert len(registry.show()["relays"]) == 2


def test_siblings_that_become_stale_while_we_ask(registry, relay, monkeypatch):
    """What would fail is not paid for: it is tried again after the answer."""
    other = signed_registration(registry)

    def agree():
        registry.chain.ledger.send(other, registry.chain.wall)
        return "y\n"

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdin.readline", agree, raising=False)
    before = registry.balance(1)
    done = registry.run("relay", "register", "--state", relay)
    assert done.json["error"]["name"] == "StaleSiblingsError"
    assert registry.balance(1) == before


def test_no_funds(registry, relay):
    poor = b"\x77" * 32
    for tokens in (("relay", "register", "--state", relay), ("revoke",), ("revoke", "--dry-run")):
        registry.refused("NoFundsError", *tokens, by=poor, code=1)


def test_a_closed_endpoint(registry, monkeypatch):
    def nobody(_request):
        raise httpx2.ConnectError("connection refused")

    monkeypatch.setattr(registry.chain, "handle", nobody)
    done = registry.refused("EndpointClosedError", "revoke", code=5)
    assert "own.example" in done.json["error"]["message"]
    shown = registry.run("show", by=None)
    assert (shown.code, shown.json["error"]["name"]) == (5, "EndpointClosedError")


# Who learns what


def test_strangers_learn_no_account_without_being_asked_for(registry, identity):
    strangers = registry.network_file("strangers.json", STRANGERS)
    for tokens in (("revoke",), ("identity", "clear"), ("revoke", "--dry-run")):
        registry.refused("OwnNodeError", *tokens, network=strangers, code=1)
    assert registry.sent == []
    registry.change("identity", "set", "--state", identity, "--stranger", network=strangers)
    assert {url for url, _ in registry.sent} == {STRANGERS[0].url}


def test_show_asks_every_endpoint_the_same_whoever_it_is_about(registry, identity):
    registry.change("identity", "set", "--state", identity)
    strangers = registry.network_file("strangers.json", STRANGERS)
    asked = []
    for tokens in ((), ("--account", address(1)), ("--account", address(30))):
        registry.sent.clear()
        registry.show(*tokens, network=strangers)
        asked.append(sorted(registry.sent))
        everything = b"".join(body for _, body in registry.sent).lower()
        assert ACCOUNTS[1].address.raw.hex().encode() not in everything
        assert ACCOUNTS[30].address.raw.hex().encode() not in everything
    assert asked[0] == asked[1] == asked[2]
    assert {url for url, _ in asked[0]} == {one.url for one in STRANGERS}


def test_one_stranger_alone_is_not_believed(registry):
    lonely = registry.network_file("lonely.json", STRANGERS[:1])
    done = registry.run("show", by=None, network=lonely)
    assert done.json["error"]["name"] == "TooFewEndpointsError"


def test_no_secret_and_no_url_is_printed(registry, relay, monkeypatch):
    keyed = RpcEndpoint("http://own.example/SECRETKEY", own_node=True)
    network = registry.network_file("keyed.json", [keyed])
    outcomes = [
        registry.run("relay", "register", "--state", relay, "--yes", network=network),
        registry.run("relay", "withdraw", "--state", relay, "--yes", network=network),
        registry.run("show", by=None, network=network),
    ]
    text = "".join(done.out + done.err for done in outcomes).lower()
    assert "secretkey" not in text
    assert ACCOUNTS[1].secret.hex() not in text


def test_people_see_the_same(registry, relay, identity):
    registry.change("relay", "register", "--state", relay)
    registry.change("identity", "set", "--state", identity)
    registry.change("revoke", "--device", "cd" * 32)
    text = registry.psp("registry", "show", "--network", registry.network).out
    found = registry.show()
    assert found["relays"][0]["relay_id"] in text
    assert found["identities"][0]["identity_key"] in text
    assert "cd" * 32 in text
    assert "1 ether" in text
    assert "not now" in text
    assert all(line == line.rstrip() for line in text.splitlines())
