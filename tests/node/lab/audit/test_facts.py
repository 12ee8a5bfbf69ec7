"""What is looked for, and in which spellings."""

import base64
import os
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.lab.audit.facts import Fact, Known, is_forbidden

ADDRESS = bytes.fromhex("265188114eb5d5536bc8654d8e9710fe72c28c4d")
NAME = Fact("address", "callee")
PLACE = Fact("ip", "caller")


def known():
    return Known.of({"caller": "127.201.0.1"}, [(NAME, ADDRESS)])


def facts_in(data):
    return {fact for _, fact in known().find(data)}


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_an_address_is_found_wherever_it_stands_and_however_it_is_written(before, after):
    whole = before + ADDRESS + after
    for data in (
        whole,
        whole.hex().encode(),
        whole.hex().upper().encode(),
        base64.standard_b64encode(whole),
        base64.urlsafe_b64encode(whole),
    ):
        assert facts_in(data) == {NAME}
        assert known().held([b"", data]) == {NAME}


def test_a_checksummed_address_is_found():
    assert facts_in(b"psp 0x265188114EB5d5536BC8654d8e9710FE72C28c4d\n") == {NAME}


@pytest.mark.parametrize(
    "data",
    [
        b"/ip4/127.201.0.1/tcp/4001",
        bytes.fromhex("047fc90001060fa1"),
        bytes.fromhex("447fc90001"),
        b"7FC90001",
    ],
)
def test_an_ip_address_is_found(data):
    assert facts_in(data) == {PLACE}


def test_four_bytes_that_are_marked_as_nothing_are_no_ip_address():
    assert facts_in(b"....\x7f\xc9\x00\x01....") == set()


def test_random_bytes_hold_nothing():
    assert facts_in(os.urandom(1_000_000)) == set()


def test_a_fact_is_told_with_its_place():
    assert (30, NAME) in known().find(bytes(30) + ADDRESS)


def test_what_nobody_may_know_together():
    facts = [
        Fact("ip", "caller"),
        Fact("ip", "callee"),
        Fact("address", "caller"),
        Fact("key", "caller.identity"),
        Fact("address", "callee"),
        Fact("key", "callee.blinded"),
    ]
    allowed = {frozenset(facts[2:4]), frozenset(facts[4:6])}  # two names of one party
    for pair in combinations(facts, 2):
        assert is_forbidden(*pair) == (frozenset(pair) not in allowed)
    assert str(facts[3]) == "key:caller.identity"
    assert [fact.party for fact in facts[3:5]] == ["caller", "callee"]
    assert Fact("content", "file").party is None
