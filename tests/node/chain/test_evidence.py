"""Two descriptors of one epoch as a file: it proves, or it is refused before it costs anything."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import LocalSigner
from peerstream.node.chain.errors import EvidenceFileError
from peerstream.node.chain.evidence import Evidence
from peerstream.node.protocol.directory.relay_descriptor import (
    RelayDescriptor,
    Role,
    SignedRelayDescriptor,
)
from tests.node.chain.chains import host_key, relay_id

NETWORK = b"\x0e" * 32
SIGNER = LocalSigner(b"\x21" * 32)
OTHER = LocalSigner(b"\x22" * 32)


def signed(version=1, *, number=1, epoch=5, signer=SIGNER, network_id=NETWORK):
    """A descriptor; another version makes another one of the same epoch."""
    descriptor = RelayDescriptor(relay_id(number), epoch, bytes(1_216), (version,), Role.GUARD, 0)
    key = host_key(number)
    return SignedRelayDescriptor.sign(
        descriptor, key, network_id=network_id, statement_signer=signer
    )


def test_a_file_keeps_the_evidence():
    made = Evidence.of(signed(1), signed(2), NETWORK)
    assert Evidence.parse(made.encode(), NETWORK) == made
    assert made.sign_key == SIGNER.address
    assert made.relay_id == relay_id(1)
    assert made.equivocation.epoch == 5
    assert made.equivocation.first_hash != made.equivocation.second_hash


@pytest.mark.parametrize(
    "second",
    [
        signed(1),
        signed(2, epoch=6),
        signed(2, number=2),
        signed(2, signer=OTHER),
        signed(2, signer=None),
        signed(2, network_id=bytes(32)),
    ],
    ids=["equal", "epoch", "relay", "key", "unsigned", "network"],
)
def test_what_proves_nothing(second):
    with pytest.raises(EvidenceFileError):
        Evidence.of(signed(1), second, NETWORK)
    pair = replace(Evidence.of(signed(1), signed(2), NETWORK), second=second)
    with pytest.raises(EvidenceFileError):
        Evidence.parse(pair.encode(), NETWORK)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 60_000, b'{"first": 1, "second": "0x"}']
)
def test_what_is_no_evidence(data):
    with pytest.raises(EvidenceFileError):
        Evidence.parse(data, NETWORK)


def test_another_schema():
    found = json.loads(Evidence.of(signed(1), signed(2), NETWORK).encode())
    with pytest.raises(EvidenceFileError):
        Evidence.parse(json.dumps({**found, "schema": "psp.other/1"}).encode(), NETWORK)


@given(data=st.data())
def test_damaged_evidence_is_refused_or_names_another_key(data):
    """A signature of which a bit is changed recovers to somebody else, if to anybody."""
    found = json.loads(Evidence.of(signed(1), signed(2), NETWORK).encode())
    name = data.draw(st.sampled_from(["first", "second"]))
    raw = bytearray.fromhex(found[name][2:])
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = json.dumps({**found, name: "0x" + raw.hex()}).encode()
    try:
        read = Evidence.parse(damaged, NETWORK)
    except EvidenceFileError:
        return
    # Only the host key's signature is not part of what the contract looks at.
    assert read.equivocation == Evidence.of(signed(1), signed(2), NETWORK).equivocation
