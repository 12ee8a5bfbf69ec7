"""What a key committed itself to rules out what is older or other, and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from peerstream.identity.blinding import BlindedKey, blind_secret
from peerstream.identity.descriptor.commitment import Commitment
from peerstream.identity.descriptor.record import Record
from peerstream.identity.errors import (
    BadSignatureError,
    OtherIdentityError,
    OtherRecordError,
    RolledBackError,
)
from peerstream.identity.keys import IdentityKey
from tests.node.protocol.directory.test_store import (
    NETWORK,
    PERIOD,
    RECORDS,
    WALL,
    identity,
    key_of,
    record,
)

VECTOR = json.loads(
    (Path(__file__).parents[2] / "vectors" / "chain-commitment.json").read_text("utf-8")
)


def made(revision=WALL, name="S"):
    return Record.parse(record(key_of(name), revision=revision)).verify(now=WALL, rules=RECORDS)


def test_the_vector():
    octets = {k: bytes.fromhex(v) for k, v in VECTOR.items() if isinstance(v, str)}
    said = Commitment(octets["blinded_key"], VECTOR["period"], VECTOR["revision"], octets["hash"])
    key = BlindedKey(IdentityKey.from_bytes(octets["secret"]), VECTOR["period"])
    assert said.message(octets["network_id"]) == octets["message"]
    said.verify(octets["network_id"], octets["signature"])
    said.verify(octets["network_id"], said.sign(key, octets["network_id"]))


def test_older_records_are_refused_and_newer_ones_are_not():
    said = Commitment.of(made())
    said.require(made())
    said.require(made(WALL + 1))
    with pytest.raises(RolledBackError):
        said.require(made(WALL - 1))


def test_at_the_committed_revision_there_is_one_record():
    with pytest.raises(OtherRecordError):
        replace(Commitment.of(made()), digest=bytes(32)).require(made())


@pytest.mark.parametrize("change", [{"blinded": bytes(32)}, {"period": PERIOD + 1}])
def test_another_key_or_period_is_refused(change):
    with pytest.raises(OtherIdentityError):
        replace(Commitment.of(made()), **change).require(made())


def test_only_the_key_itself_signs():
    said = Commitment.of(made())
    signature = said.sign(blind_secret(identity("S"), PERIOD), NETWORK)
    said.verify(NETWORK, signature)
    with pytest.raises(OtherIdentityError):
        said.sign(blind_secret(identity("T"), PERIOD), NETWORK)
    with pytest.raises(BadSignatureError):
        said.verify(bytes(32), signature)
    with pytest.raises(BadSignatureError):
        replace(said, revision=WALL + 1).verify(NETWORK, signature)
