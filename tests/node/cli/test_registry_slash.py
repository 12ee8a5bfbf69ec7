"""`psp registry relay slash`: a relay that showed two keys loses its stake; no other does."""

import pytest

from peerstream.identity import LocalSigner
from peerstream.node.chain.evidence import Evidence
from peerstream.node.cli.options import StateOptions
from peerstream.node.library.relay_identity import init_relay
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
)
from tests.node.chain.chains import ACCOUNTS, EPOCH_S

ETHER = 10**18


@pytest.fixture
def liar(registry, tmp_path):
    """Register a relay of operator 1, and let it come into force; return its keys."""
    options = StateOptions(state=tmp_path / "relay")
    identity = init_relay(options.directory, options.new_unlock())
    registry.change("relay", "register", "--state", options.directory)
    registry.chain.advance(2 * EPOCH_S)
    return identity


def evidence(registry, identity, tmp_path, secret=None):
    """Write down that the relay signed two descriptors of the present epoch."""
    network_id = registry.deployment.network_id
    signer = LocalSigner(secret or identity.statement_secret)
    epoch = registry.chain.wall // EPOCH_S
    pair = [
        SignedRelayDescriptor.sign(
            RelayDescriptor(identity.relay_id, epoch, bytes(1_216), (version,), Role.GUARD, 0),
            identity.host_key,
            network_id=network_id,
            statement_signer=signer,
        )
        for version in (1, 2)
    ]
    file = tmp_path / "evidence.json"
    file.write_bytes(Evidence.of(*pair, network_id).encode())
    return file


def test_a_relay_that_showed_two_keys_loses_its_stake(registry, liar, tmp_path):
    file = evidence(registry, liar, tmp_path)
    done = registry.change("relay", "slash", file, by=5)
    assert str(ACCOUNTS[1].address) in " ".join(done["summary"])
    state = ("--state", tmp_path / "relay")
    for command in ("renew", "exit"):
        registry.refused("RelaySlashedError", "relay", command, *state, code=1)
    registry.refused("WrongKeyError", "relay", "withdraw", *state, code=4)
    before = registry.chain.ledger.vm(registry.chain.ledger.head).state
    registry.change("relay", "withdraw", "--reward", by=5)
    after = registry.chain.ledger.vm(registry.chain.ledger.head).state
    account = ACCOUNTS[5].address.raw
    gained = after.get_balance(account) - before.get_balance(account)
    assert ETHER // 20 - ETHER // 1_000 < gained < ETHER // 20
    registry.refused("WrongKeyError", "relay", "slash", file, "--operator",
                     ACCOUNTS[1].address, by=5, code=4)  # fmt: skip


def test_another_key_is_no_evidence(registry, liar, tmp_path):
    file = evidence(registry, liar, tmp_path, secret=b"\x33" * 32)
    registry.refused("WrongKeyError", "relay", "slash", file, by=5, code=4)
    operator = ("--operator", ACCOUNTS[1].address)
    registry.refused("NoEquivocationError", "relay", "slash", file, *operator, by=5, code=1)
    assert registry.show()["relays"][0]["counts"]


def test_what_is_no_evidence_costs_nothing(registry, tmp_path):
    file = tmp_path / "evidence.json"
    file.write_text("{}")
    registry.refused("EvidenceFileError", "relay", "slash", file, by=5, code=1)
    registry.refused("FileMissingError", "relay", "slash", tmp_path / "none", by=5, code=3)
    assert registry.sent == []
