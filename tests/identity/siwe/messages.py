"""Messages, signatures and vectors that the tests of sign-in share."""

import json
from pathlib import Path

from eth_account import Account
from eth_account.messages import encode_defunct

from peerstream.identity.siwe import SiweMessage
from tests.identity.samples import fixed

VECTORS = Path(__file__).parents[2] / "vectors" / "siwe"
KEY = fixed("siwe wallet")
ACCOUNT = Account.from_key(KEY).address
NOW = 1_800_000_000  # 2027-01-15T08:00:00Z


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def message(**changes):
    values = {
        "domain": "app.example",
        "address": ACCOUNT,
        "statement": "Sign in.",
        "uri": "https://app.example/login",
        "chain_id": 1,
        "nonce": "12345678abcd",
        "issued_at": "2027-01-15T08:00:00Z",
    }
    return SiweMessage(**values | changes)


def sign(signed, key=KEY):
    """The signature as a wallet makes it, by another implementation of ERC-191."""
    return bytes(Account.sign_message(encode_defunct(text=str(signed)), key).signature)


def expected(**changes):
    values = {
        "domain": "app.example",
        "uri": "https://app.example",
        "nonce": "12345678abcd",
        "chain_id": 1,
        "now": NOW,
    }
    return values | changes
