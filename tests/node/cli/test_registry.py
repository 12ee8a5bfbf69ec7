"""`psp registry`: relays, identities, and what comes before anything is signed."""

import json

import pytest

from tests.node.chain.chains import EPOCH_S
from tests.node.cli.registries import ETHER, KEY, address
from tests.node.cli.shapes import require_failure, require_shape


@pytest.fixture
def elsewhere(registry, psp_process, tmp_path):
    """Make the keys of a relay for operator 2, in a process; return the file of what it printed."""
    options = ("--network", registry.network, "--operator", address(2), "--json")
    done = psp_process("relay", "init", "--state", tmp_path / "elsewhere", *options)
    assert done.code == 0, done.err
    file = tmp_path / "relay.json"
    file.write_text(done.out)
    return file


# The life of a relay


def test_the_life_of_a_relay(registry, relay):
    state = ("--state", relay)
    before = registry.balance(1)
    made = registry.change("relay", "register", *state)
    assert made["state"] == "sent"
    assert made["sender"] == address(1)
    assert made["value_wei"] == str(ETHER)
    assert made["gas_used"] <= made["gas"]
    found = registry.relay()
    assert (found["operator"], found["stake_wei"], found["counts"]) == (
        address(1),
        str(ETHER),
        False,
    )
    registry.chain.advance(2 * EPOCH_S)
    assert registry.relay()["counts"]

    renewed = registry.change("relay", "renew", "--add-stake", "0.5", "--family", "ab" * 32, *state)
    assert renewed["value_wei"] == str(ETHER // 2)
    after = registry.relay()
    assert after["stake_wei"] == str(ETHER * 3 // 2)
    assert after["family"] == "0x" + "ab" * 32
    assert (after["from_epoch"], after["to_epoch"]) == (found["from_epoch"], found["to_epoch"] + 2)

    registry.change("relay", "exit", *state)
    assert registry.show()["relays"] == []
    locked = registry.refused("StakeLockedError", "relay", "withdraw", *state, code=1)
    end = (registry.chain.wall // EPOCH_S + 2) * EPOCH_S + 60
    assert f"unlockAt {end}" in locked.json["error"]["message"]
    registry.chain.advance(end - registry.chain.wall)
    registry.change("relay", "withdraw", *state)
    spent = before - registry.balance(1)
    assert 0 < spent < ETHER // 100, "all but the gas is back"
    registry.refused("WrongKeyError", "relay", "withdraw", *state, code=4)


def test_a_relay_whose_keys_are_elsewhere(registry, elsewhere):
    printed = json.loads(elsewhere.read_text())
    # The contract cannot check the proof, and readers would drop the relay in silence.
    options = ("relay", "register", "--init-file", elsewhere, "--stake", "2.5")
    registry.refused("RelayProofError", *options, by=3, code=1)
    assert registry.show()["relays"] == []
    registry.change(*options, by=2)
    found = registry.relay()
    assert found["relay_id"] == printed["relay_id"]
    assert found["sign_key"] == printed["sign_key"]
    assert found["stake_wei"] == str(ETHER * 5 // 2)
    registry.change(
        "relay", "renew", "--relay-id", found["relay_id"], "--sign-key", address(9), by=2
    )
    assert registry.relay()["sign_key"] == address(9)
    registry.change("relay", "exit", "--init-file", elsewhere, by=2)
    assert registry.show()["relays"] == []


NO_ADDRESS = json.dumps({"relay_id": "ab" * 32, "sign_key": "0x12", "possession": "cd" * 64})
NO_PROOF = json.dumps({"relay_id": "ab" * 32, "sign_key": address(9), "possession": None})


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "[" * 60_000, '{"relay_id": 1}', NO_ADDRESS, NO_PROOF],
)
def test_what_relay_init_never_printed(registry, tmp_path, text):
    file = tmp_path / "relay.json"
    file.write_text(text)
    registry.refused("RelayProofError", "relay", "register", "--init-file", file, code=1)


def test_a_relay_without_keys(registry, tmp_path):
    options = ("relay", "register", "--state", tmp_path / "none")
    registry.refused("NoRelayError", *options, code=3)
    registry.refused("BadArgumentError", *options, "--relay-id", "ab" * 32, code=2)
    assert not (tmp_path / "none").exists()


# Identities


def test_an_identity_is_listed_rotated_and_taken_away(registry, identity):
    own = registry.psp("id", "show", "--state", identity, "--json").json["identity_key"]
    registry.refused("NotListedError", "identity", "rotate", "--key", KEY, code=3)
    registry.refused("NotListedError", "identity", "clear", code=3)
    listed = registry.change("identity", "set", "--state", identity)
    assert listed["action"] == "identity set"
    assert registry.identity()["identity_key"] == own
    registry.change("identity", "set", "--state", identity)
    registry.refused("OtherKeyListedError", "identity", "set", "--key", KEY, code=1)
    registry.change("identity", "rotate", "--key", "0x" + KEY)
    assert registry.identity()["identity_key"] == "0x" + KEY
    registry.change("identity", "clear")
    assert registry.identity() == {
        "account": address(1), "identity_key": None, "issued": None, "revoked_before": None,
        "revoked_devices": [],
    }  # fmt: skip


def test_only_the_account_s_own_identity_is_listed(registry, identity):
    done = registry.refused("WrongKeyError", "identity", "set", "--state", identity, by=2, code=4)
    assert address(1) in done.json["error"]["message"]
    assert registry.show()["identities"] == []


def test_an_identity_of_another_network_is_not_listed(registry, network, tmp_path):
    options = ("--network", network, "--wallet-key", registry.wallet(1), "--state", tmp_path / "o")
    assert registry.psp("id", "new", *options).code == 0
    options = ("identity", "set", "--state", tmp_path / "o")
    registry.refused("WrongNetworkError", *options, code=4)


def test_revocations(registry, identity):
    registry.change("identity", "set", "--state", identity)
    registry.change("revoke", "--device", "cd" * 32)
    assert registry.identity()["revoked_devices"] == ["0x" + "cd" * 32]
    registry.chain.advance(10)
    now = registry.chain.wall
    registry.change("revoke")
    found = registry.identity()
    assert (found["identity_key"], found["revoked_before"]) == (None, now)
    registry.refused("RevocationTimeError", "revoke", "--before", now - 5, code=1)
    registry.chain.advance(100)
    registry.change("revoke", "--before", now + 50)
    assert registry.identity()["revoked_before"] == now + 50


@pytest.mark.parametrize(
    "options",
    [
        ("--before", "3000-01-01"), ("--before", "0"), ("--before", "-5"), ("--before", "soon"),
        ("--before", "²"), ("--device", "ab"), ("--device", "xy" * 32),
        ("--before", "1", "--device", "cd" * 32),
    ],
)  # fmt: skip
def test_revocations_that_make_no_sense(registry, options):
    registry.refused("BadArgumentError", "revoke", *options, code=2)
    assert registry.sent == []


def test_a_moment_without_a_zone_is_universal_time(registry):
    registry.change("revoke", "--before", "2026-01-01T00:00")
    assert registry.identity()["revoked_before"] == 1_767_225_600


def test_a_key_that_is_no_point_is_not_listed(registry):
    registry.refused("BadArgumentError", "identity", "set", "--key", "ff" * 32, code=2)


# Before anything is signed


def test_a_dry_run_tells_all_and_changes_nothing(registry, relay):
    before = registry.chain.ledger.head.header.hash
    done = registry.run("relay", "register", "--state", relay, "--dry-run")
    require_shape(done.json, 0)
    found = done.json
    assert (done.code, found["state"], found["transaction"]) == (0, "planned", None)
    assert int(found["cost_wei"]) == ETHER + found["gas"] * int(found["fee_wei"])
    options = ("--network", registry.network, "--wallet-key", registry.wallet(1), "--dry-run")
    text = registry.psp("registry", "relay", "register", "--state", relay, *options).out
    assert "stake 1 ether" in text
    assert f"from {address(1)} on chain 31337, nonce 0" in text
    assert text.splitlines() == found["summary"]
    assert registry.chain.ledger.head.header.hash == before
    assert not any(b"eth_sendRawTransaction" in body for _, body in registry.sent)


def test_nothing_is_signed_that_nobody_agreed_to(registry, relay, tmp_path, monkeypatch):
    options = ("relay", "register", "--state", relay)
    assert "NotConfirmedError" in registry.run(*options).err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for word, code in (("", 4), ("n\n", 4), ("yes please\n", 4), ("y\n", 0)):
        monkeypatch.setattr("sys.stdin.readline", lambda word=word: word, raising=False)
        file = tmp_path / "file"
        done = registry.run(*options, "--sign-only", file)
        assert (done.code, file.exists()) == (code, not code)
        assert "stake 1 ether" in done.err
    assert not any(b"eth_sendRawTransaction" in body for _, body in registry.sent)


def test_options_that_contradict_each_other(registry, tmp_path):
    file = tmp_path / "file"
    registry.refused("BadArgumentError", "revoke", "--dry-run", "--sign-only", file, code=2)
    registry.refused("BadArgumentError", "revoke", by=None, code=2)
    registry.refused("BadArgumentError", "submit", file, "--sign-only", file, code=2)
    for amount in ("-1", "1e3", "0.1234567890123456789", "NaN", "", "1_0", "999999999999"):
        options = ("relay", "renew", "--relay-id", "ab" * 32, f"--add-stake={amount}")
        registry.refused("BadArgumentError", *options, code=2)
    assert registry.sent == []


def test_a_network_without_a_chain(registry, network):
    for tokens in (("show",), ("revoke",), ("relay", "exit", "--relay-id", "ab" * 32)):
        done = registry.run(*tokens, network=network, by=1 if len(tokens[0]) > 4 else None)
        require_failure(done.json, "psp.registry/1", "NoRegistryError")
