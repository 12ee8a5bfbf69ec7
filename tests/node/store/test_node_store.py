"""What roles keep over restarts: guards, pins, onion keys, replay tags."""

import os

import pytest

from peerstream.identity.address import Address
from peerstream.node.ports import StorageError
from peerstream.node.protocol.directory.guards import GuardState, Term
from peerstream.node.protocol.onion.replay import ReplayRecord
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    StateUnavailableError,
)
from peerstream.node.store.keystore import KeyFile, Keystore
from peerstream.node.store.node_store import ONION_SEEDS, NodeStore, RelayStore
from peerstream.node.store.pins import PINS_MAX
from peerstream.node.store.state import StateDirectory

NETWORK, OTHER = b"n" * 32, b"o" * 32
WALL = 1_800_000_000
ALICE, BOB = Address(b"a" * 20), Address(b"b" * 20)


@pytest.fixture
def state(tmp_path):
    with StateDirectory.open(tmp_path / "state") as state:
        yield state


def node_store(state, network_id=NETWORK, wall=WALL):
    return NodeStore(state, network_id, lambda: wall)


def key_number(number):
    return number.to_bytes(32, "big")


def test_guards_and_pins_come_back(state):
    store = node_store(state)
    assert store.load_guards() == GuardState(NETWORK)
    guards = GuardState(NETWORK, guards=(Term(b"r" * 32, WALL),))
    store.save_guards(guards)
    store.pin_issued(ALICE, 7)
    store.pin_revision(b"k" * 32, 5, WALL + 10)
    again = node_store(state)
    assert again.load_guards() == guards
    assert again.newest_issued(ALICE) == 7
    assert again.highest_revision(b"k" * 32) == 5
    assert again.newest_issued(BOB) == again.highest_revision(b"j" * 32) == 0


def test_pins_only_rise(state):
    store = node_store(state)
    store.pin_issued(ALICE, 7)
    store.pin_issued(ALICE, 6)
    store.pin_revision(b"k" * 32, 5, WALL + 10)
    store.pin_revision(b"k" * 32, 4, WALL + 99)
    for each in (store, node_store(state)):
        assert each.newest_issued(ALICE) == 7
        assert each.highest_revision(b"k" * 32) == 5


def test_networks_do_not_share_them(state):
    node_store(state).pin_issued(ALICE, 7)
    assert node_store(state, OTHER).newest_issued(ALICE) == 0
    path = next(state.path.glob("pins-*"))
    path.rename(state.file(f"pins-{OTHER.hex()[:16]}"))
    with pytest.raises(ForeignStateError):
        node_store(state, OTHER)


def test_pins_are_bounded_and_those_that_end_first_go(state, monkeypatch):
    store = node_store(state)
    monkeypatch.setattr(store, "_save", lambda: None)
    for number in range(PINS_MAX + 1):
        store.pin_issued(Address(number.to_bytes(20, "big")), 1)
        store.pin_revision(key_number(number), 1, WALL + 1_000 - number % 7)
    assert store.newest_issued(Address(bytes(20))) == 0
    assert store.newest_issued(Address(PINS_MAX.to_bytes(20, "big"))) == 1
    assert store.highest_revision(key_number(6)) == 0
    assert store.highest_revision(key_number(PINS_MAX)) == 1
    monkeypatch.undo()
    store.pin_issued(ALICE, 9)
    again = node_store(state)
    assert again.newest_issued(ALICE) == 9
    assert again.highest_revision(key_number(PINS_MAX)) == 1


def test_revisions_that_are_over_make_room(state):
    store = node_store(state)
    store.pin_revision(b"k" * 32, 5, WALL)
    store.pin_revision(b"j" * 32, 5, WALL + 1)
    assert store.highest_revision(b"k" * 32) == 0
    assert store.highest_revision(b"j" * 32) == 5


@pytest.mark.parametrize("place", [3, 20, 60])
def test_damaged_pins_are_refused_and_stay(state, place):
    node_store(state).pin_issued(ALICE, 7)
    path = next(state.path.glob("pins-*"))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises((CorruptedFileError, ForeignStateError)):
        node_store(state)
    assert path.read_bytes() == data


@pytest.fixture
def keystore(state, tmp_path):
    unlock = KeyFile(tmp_path / "unlock")
    unlock.make(os.urandom)
    return Keystore.create(state.file("keystore"), unlock, os.urandom)


def test_onion_seeds_replace_each_other_and_leave_the_disk(state, keystore):
    store = RelayStore(state, keystore, 600)
    assert store.load_onion_seeds() == {}
    store.save_onion_seeds({1: b"1" * 32, 2: b"2" * 32})
    store.save_onion_seeds({2: b"2" * 32, 3: b"3" * 32})
    assert RelayStore(state, keystore, 600).load_onion_seeds() == {2: b"2" * 32, 3: b"3" * 32}
    keystore.put(ONION_SEEDS, b"\x81\x82\x01\x41\x00")
    with pytest.raises(CorruptedFileError):
        store.load_onion_seeds()


def test_tags_come_back_until_their_bucket_is_over(state, keystore):
    store = RelayStore(state, keystore, 600)
    bucket = WALL // 600
    assert store.load_tags(WALL) == {}
    store.append_tag(ReplayRecord(bucket, b"t" * 16))
    store.close()
    store = RelayStore(state, keystore, 600)
    assert store.load_tags(WALL) == {bucket: [b"t" * 16]}
    store.expire_tags(WALL + 2_000)
    assert not list(state.directory("replays").iterdir())
    store.close()


def test_a_disk_that_refuses_is_a_storage_error(state, keystore):
    store = RelayStore(state, keystore, 600)
    store.load_tags(WALL)
    store.append_tag(ReplayRecord(WALL // 600, b"t" * 16))
    path = state.directory("replays")
    for file in path.iterdir():
        file.unlink()
        file.mkdir()
    with pytest.raises(StateUnavailableError):
        store.expire_tags(WALL + 2_000)
    assert issubclass(StateUnavailableError, StorageError)
