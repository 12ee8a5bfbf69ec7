from dataclasses import replace

import pytest
from eth_abi import encode as abi_encode
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.keys import keccak256
from peerstream.node.protocol.directory.errors import (
    BadPossessionError,
    MalformedDocumentError,
    RootMismatchError,
    UnknownRelayError,
)
from peerstream.node.protocol.directory.merkle import (
    CAPACITY,
    DEPTH,
    merkle_root,
    merkle_siblings,
)
from peerstream.node.protocol.directory.relay_set import RelayEntry, registry_root, registry_view
from tests.node.protocol.directory.network import EPOCH, EPOCH_S, NETWORK, relay, view_of

LEAVES = st.dictionaries(st.integers(0, CAPACITY - 1), st.binary(min_size=32, max_size=32))


def slow_root(leaves: dict[int, bytes]) -> bytes:
    row = [leaves.get(slot, bytes(32)) for slot in range(CAPACITY)]
    while len(row) > 1:
        row = [keccak256(row[i] + row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


@pytest.mark.parametrize("slots", [[], [0], [4095], [0, 1, 2, 5, 1_000, 4_094]])
def test_the_root_is_that_of_a_whole_tree(slots):
    leaves = {slot: keccak256(b"%d" % slot) for slot in slots}
    assert merkle_root(leaves) == slow_root(leaves)


@given(LEAVES, st.integers(0, CAPACITY - 1))
def test_siblings_lead_to_the_root(leaves, slot):
    node, place = leaves.get(slot, bytes(32)), slot
    for sibling in merkle_siblings(leaves, slot):
        node = keccak256(sibling + node if place & 1 else node + sibling)
        place >>= 1
    assert node == merkle_root(leaves)


def test_there_are_twelve_siblings():
    assert len(merkle_siblings({}, 7)) == DEPTH


def test_a_leaf_is_abi_encoded():
    entry = relay(3, weight=2**95).entry
    kinds = ["address", "bytes32", "address", "bytes32", "uint256", "uint64", "uint64"]
    values = [
        "0x" + entry.operator.hex(),
        entry.relay_id,
        "0x" + entry.sign_key.hex(),
        entry.family,
        entry.weight,
        entry.from_epoch,
        entry.to_epoch,
    ]
    assert entry.leaf() == keccak256(abi_encode(kinds, values))


def test_an_entry_survives_its_encoding():
    entry = relay(3, signed=True).entry
    assert RelayEntry.from_fields(entry.to_fields()) == entry


@pytest.mark.parametrize("place", range(9))
@pytest.mark.parametrize("bad", [None, -1, b"", b"x" * 33, "text", [], True])
def test_a_wrong_field_is_malformed(place, bad):
    fields = relay(1).entry.to_fields()
    fields[place] = bad
    with pytest.raises(MalformedDocumentError):
        RelayEntry.from_fields(fields)


def test_an_entry_that_ends_before_it_begins_is_malformed():
    with pytest.raises(MalformedDocumentError):
        RelayEntry.from_fields(replace(relay(1).entry, from_epoch=5, to_epoch=4).to_fields())


def test_a_squatted_relay_is_no_relay():
    honest, thief = relay(1), relay(2)
    squat = replace(thief.entry, relay_id=honest.relay_id, slot=0)
    with pytest.raises(BadPossessionError):
        squat.verify_possession(NETWORK)
    entries = [squat, honest.entry]
    view = registry_view(
        EPOCH, registry_root(entries), entries, network_id=NETWORK, epoch_s=EPOCH_S
    )
    assert [entry.operator for entry in view] == [honest.entry.operator]
    assert view.unproven == ()


def test_an_entry_with_a_damaged_proof_is_reported():
    bad = replace(relay(1).entry, possession=bytes(64))
    view = registry_view(EPOCH, registry_root([bad]), [bad], network_id=NETWORK, epoch_s=EPOCH_S)
    assert len(view) == 0
    assert view.unproven == (bad.relay_id,)


def test_of_two_proven_entries_the_lower_slot_counts():
    first = relay(1)
    second = replace(first.entry, slot=9, weight=5)
    for entries in ([first.entry, second], [second, first.entry]):
        view = registry_view(
            EPOCH, registry_root(entries), entries, network_id=NETWORK, epoch_s=EPOCH_S
        )
        assert view.get(first.relay_id).slot == 1


def test_other_entries_than_those_under_the_root_are_refused():
    entries = [relay(n).entry for n in range(3)]
    root = registry_root(entries)
    for wrong in (entries[:2], [*entries, relay(7).entry], [*entries, entries[0]]):
        with pytest.raises(RootMismatchError):
            registry_view(EPOCH, root, wrong, network_id=NETWORK, epoch_s=EPOCH_S)


def test_entries_out_of_force_are_under_the_root_but_in_no_view():
    over = replace(relay(1).entry, to_epoch=EPOCH - 1)
    entries = [over, relay(2).entry]
    view = registry_view(
        EPOCH, registry_root(entries), entries, network_id=NETWORK, epoch_s=EPOCH_S
    )
    assert len(view) == 1
    assert over.relay_id not in view
    with pytest.raises(UnknownRelayError):
        view.get(over.relay_id)


def test_a_view_is_in_force_for_its_epoch():
    view = view_of([relay(1)])
    assert view.in_force(EPOCH * EPOCH_S)
    assert not view.in_force((EPOCH + 1) * EPOCH_S)
