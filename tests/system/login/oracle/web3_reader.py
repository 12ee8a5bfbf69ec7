"""Verifies a contract wallet's message through web3 7.16: `web3_reader.py URL JSON`."""

import json
import sys

import web3
from web3 import HTTPProvider, Web3

from peerstream.identity.login.auth import SiweAuth
from peerstream.identity.login.chain import Web3Reader
from peerstream.identity.login.settings import LoginSettings
from peerstream.identity.siwe import SiweError, parse, verify

url, case = sys.argv[1], json.loads(sys.argv[2])
reader = Web3Reader(Web3(HTTPProvider(url)).eth)
known = {"domain": "app.example", "uri": "https://app.example", "nonce": case["nonce"]}
outcomes = []
for signature in case["signatures"]:
    try:
        kind = verify(
            parse(case["message"]), bytes.fromhex(signature), **known,
            chain_id=case["chain_id"], now=0, eth_call=reader,
        )  # fmt: skip
        outcomes.append(kind.name)
    except SiweError as error:
        outcomes.append(type(error).__name__)
SiweAuth(LoginSettings(origins=["https://app.example"], chains={1: reader}))
absent = sorted(name for name in ("libp2p", "trio", "multiaddr") if name in sys.modules)
sys.stdout.write(json.dumps({"web3": web3.__version__, "outcomes": outcomes, "absent": absent}))
