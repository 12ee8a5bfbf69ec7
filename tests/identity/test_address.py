"""Addresses and the ERC-55 checksum."""

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity import Address, LocalSigner
from peerstream.identity.errors import AddressError
from tests.identity.samples import fixed

raw = st.binary(min_size=20, max_size=20).map(Address)


@given(raw)
def test_parse_undoes_str(address):
    text = str(address)
    assert Address.parse(text) == address
    assert Address.parse(text.lower()) == address
    assert Address.parse("0x" + text[2:].upper()) == address
    assert text in repr(address)


@given(raw, st.integers(2, 41))
def test_a_letter_of_the_wrong_case_is_refused(address, position):
    text = str(address)
    wrong = text[:position] + text[position].swapcase() + text[position + 1 :]
    one_case = wrong[2:] in (wrong[2:].lower(), wrong[2:].upper())
    if wrong != text and not one_case:
        with pytest.raises(AddressError):
            Address.parse(wrong)


@given(st.text(max_size=50))
def test_arbitrary_text_is_refused(text):
    with pytest.raises(AddressError):
        Address.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "0x" + "0" * 39,
        "0x" + "0" * 41,
        "0X" + "0" * 40,
        "0x" + "٣" * 40,
        "0x" + "_0" * 20,
        " " * 42,
    ],
)
def test_near_misses_are_refused(text):
    with pytest.raises(AddressError):
        Address.parse(text)


@pytest.mark.parametrize("value", [b"", bytes(19), bytes(21), bytearray(20)])
def test_other_sizes_and_types_are_refused(value):
    with pytest.raises(AddressError):
        Address(value)


def test_a_key_has_the_address_that_eth_account_gives_it():
    for n in range(20):
        secret = fixed(f"key {n}")
        assert str(LocalSigner(secret).address) == Account.from_key(secret).address
