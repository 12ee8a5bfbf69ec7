"""A relay's keys by epoch: which SETUPs it opens when, and what is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError
from peerstream.node.protocol.onion.errors import KemError
from peerstream.node.protocol.onion.onion_keys import OnionKeyRing
from tests.node.protocol.onion.paths import Entropy

EPOCH = 21_600
EARLY = 1_200  # 20 minutes
START = 100 * EPOCH


def ring(wall=START):
    keys = OnionKeyRing(EPOCH)
    assert keys.rotate(wall, Entropy(b"ring"))
    return keys


def ids(keys, *epochs):
    return {keys.key(epoch).public.key_id for epoch in epochs}


def test_the_present_and_the_last_key_are_accepted_and_the_next_for_twenty_minutes():
    keys = ring()
    assert set(keys.accepted(START)) == ids(keys, 100)
    assert keys.rotate(START + EPOCH, Entropy(b"later"))
    wall = START + EPOCH
    assert set(keys.accepted(wall)) == ids(keys, 100, 101)
    assert set(keys.accepted(wall + EPOCH - EARLY - 1)) == ids(keys, 100, 101)
    assert set(keys.accepted(wall + EPOCH - EARLY)) == ids(keys, 100, 101, 102)
    with pytest.raises(LocalProtocolError):
        keys.key(103)


@given(st.lists(st.integers(0, 3 * EPOCH), max_size=8))
def test_no_seed_outlives_its_time(steps):
    """However long nobody rotates: what is over is gone at the first call."""
    keys, wall = ring(), START
    for step in steps:
        wall += step
        known = set(keys.seeds())
        changed = keys.rotate(wall, Entropy(step.to_bytes(4, "big")))
        held = set(keys.seeds())
        assert held <= {wall // EPOCH + offset for offset in (-1, 0, 1)}
        assert {wall // EPOCH, wall // EPOCH + 1} <= held
        assert changed == (held != known)
        assert len(set(keys.seeds().values())) == len(held)


def test_a_restart_keeps_the_keys_and_asks_for_nothing_new():
    keys = ring()
    again = OnionKeyRing(EPOCH)
    again.load(keys.seeds())
    assert not again.rotate(START + 5, Entropy())
    assert again.seeds() == keys.seeds()
    assert set(again.accepted(START + 5)) == set(keys.accepted(START + 5))
    with pytest.raises(KemError):
        again.load({100: bytes(31)})


def test_two_keys_with_one_id_are_never_held():
    same, other = b"s" * 32, b"o" * 32
    draws = [same, same, same, other]
    keys = OnionKeyRing(EPOCH)
    keys.rotate(START, lambda _: draws.pop(0))
    assert keys.seeds() == {100: same, 101: other}


def test_an_epoch_must_last_and_nothing_secret_is_shown():
    with pytest.raises(LocalProtocolError):
        OnionKeyRing(0)
    assert repr(ring()) == "<OnionKeyRing of epochs [100, 101]>"
