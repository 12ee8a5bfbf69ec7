"""Typed data as wallets take it: numbers that JavaScript would round go as text."""

import json

from eth_account.messages import encode_typed_data
from hypothesis import example, given
from hypothesis import strategies as st

from peerstream.identity import eip712
from peerstream.identity.keys import keccak256

NETWORK = b"\x0c" * 32
STRUCT = eip712.Struct("Wish", (("nonce", "uint256"), ("time", "uint64")))


def as_javascript_reads(typed):
    """The same after a JSON parser that has doubles for all numbers."""
    return json.loads(json.dumps(typed), parse_int=lambda text: int(float(text)))


@given(nonce=st.integers(0, 2**256 - 1), time=st.integers(0, 2**64 - 1))
@example(nonce=2**53 - 1, time=2**53)
@example(nonce=(2**192 - 1) << 64, time=2**53 + 1)
def test_a_wallet_in_javascript_signs_the_same(nonce, time):
    message = {"nonce": nonce, "time": time}
    typed = as_javascript_reads(eip712.typed_data(STRUCT, NETWORK, message))
    signable = encode_typed_data(full_message=typed)
    whole = b"\x19" + signable.version + signable.header + signable.body
    assert keccak256(whole) == eip712.digest(STRUCT, NETWORK, message)


def test_numbers_stay_numbers_while_they_are_exact():
    typed = eip712.typed_data(STRUCT, NETWORK, {"nonce": 2**53, "time": 2**53 - 1})
    assert typed["message"] == {"nonce": "9007199254740992", "time": 9007199254740991}
