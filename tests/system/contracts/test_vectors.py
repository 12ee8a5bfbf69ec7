"""Solidity, Python and TypeScript make the same of the same: digests, messages, signatures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from web3.exceptions import ContractCustomError

from peerstream.identity.address import Address
from peerstream.identity.delegation import Delegation, Scope
from peerstream.identity.keys import IdentityKey
from peerstream.identity.network import chain_network_id
from peerstream.node.chain.deploy import Deployment, RegistrySettings
from peerstream.node.chain.identities import Change, IdentityRequest
from peerstream.node.protocol.directory.relay_descriptor import statement_digest
from tests.reference import slow_identity as slow
from tests.system.contracts import chain as chains
from tests.system.contracts import vectors
from tests.system.contracts.toolchain import HERE, ROOT, run

BIP340 = json.loads((vectors.VECTORS / "identity-bip340.json").read_text())["cases"]
CHANGES = {"SetIdentity": "identityKey", "RevokeBefore": "time", "RevokeDevice": "deviceKey"}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def cases(path: Path, *kinds: str) -> list[Any]:
    found = read(path)["cases"]
    return [case for case in found if not kinds or case["typed_data"]["primaryType"] in kinds]


ALL = [*cases(vectors.DELEGATION), *cases(vectors.REGISTRY)]
DELEGATIONS = cases(vectors.DELEGATION)
REQUESTS = cases(vectors.REGISTRY, *CHANGES)
STATEMENTS = cases(vectors.REGISTRY, "RelayStatement")
NETWORK = bytes.fromhex(read(vectors.REGISTRY)["network_id"])
WALLET = Account.from_key(bytes.fromhex(read(vectors.REGISTRY)["wallet_secret"]))


@pytest.fixture(scope="module")
def chain(npm_packages: None) -> Iterator[chains.Chain]:
    with chains.anvil() as web3:
        yield chains.Chain(web3)


def octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def request(case: Any) -> tuple[Any, ...]:
    message = case["typed_data"]["message"]
    value = message[CHANGES[case["typed_data"]["primaryType"]]]
    value = value if isinstance(value, int) else octets(value)
    return message["account"], value, int(message["nonce"]), int(message["deadline"])


def test_the_files_are_what_the_second_implementation_makes() -> None:
    for path, text in vectors.encoded().items():
        assert path.read_text() == text


@pytest.mark.parametrize("case", ALL)
def test_eth_account_agrees(case: Any) -> None:
    signable = encode_typed_data(full_message=case["typed_data"])
    assert _hash_eip191_message(signable) == octets(case["digest"])
    assert WALLET.sign_message(signable).signature == octets(case["signature"])


@pytest.mark.parametrize("path", [vectors.DELEGATION, vectors.REGISTRY])
def test_viem_agrees(path: Path) -> None:
    # viem is found from the project's root, where the script does not stand.
    script = ROOT / "build" / "digests.ts"
    script.write_bytes((HERE / "js" / "digests.ts").read_bytes())
    found = json.loads(run("node", script, path).stdout)
    assert [octets(item["digest"]) for item in found] == [octets(c["digest"]) for c in cases(path)]
    assert {item["signer"] for item in found} == {WALLET.address}


@pytest.mark.parametrize("case", DELEGATIONS)
def test_python_makes_the_delegations(case: Any) -> None:
    message = case["typed_data"]["message"]
    made = Delegation(
        account=Address.parse(message["account"]),
        identity_key=octets(message["identityKey"]),
        issued=message["issued"],
        not_before=message["notBefore"],
        not_after=message["notAfter"],
        scope=Scope(message["scope"]),
        label=message["label"],
    )
    assert made.digest(NETWORK) == octets(case["digest"])
    assert made.typed_data(NETWORK) == case["typed_data"]


@pytest.mark.parametrize("case", REQUESTS)
def test_python_makes_the_requests(case: Any) -> None:
    typed = case["typed_data"]
    account, value, nonce, deadline = request(case)
    change = Change(typed["primaryType"][0].lower() + typed["primaryType"][1:])
    made = IdentityRequest(change, Address.parse(account), value, nonce, deadline)
    deployment = Deployment(
        chain_id=vectors.CHAIN_ID,
        genesis_hash=chains.GENESIS,
        network_id=NETWORK,
        block=1,
        addresses={"identity_registry": Address.parse(typed["message"]["registry"])},
        settings=RegistrySettings(*chains.REGISTRY[:5]),
    )
    assert made.digest(deployment) == octets(case["digest"])


@pytest.mark.parametrize("case", STATEMENTS)
def test_python_makes_the_statements(case: Any) -> None:
    message = case["typed_data"]["message"]
    made = statement_digest(
        NETWORK, octets(message["relayId"]), message["epoch"], octets(message["hash"])
    )
    assert made == octets(case["digest"])


def test_the_network_has_one_name(chain: chains.Chain) -> None:
    registry = Address.parse(chain.relays.address)
    named = chain_network_id(chain.web3.eth.chain_id, registry, chains.GENESIS)
    assert chain.relays.functions.networkId().call() == named == NETWORK
    assert chain.identities.functions.networkId().call() == named
    assert chain.board.functions.networkId().call() == named


@pytest.mark.parametrize("case", DELEGATIONS)
def test_solidity_makes_the_delegations(case: Any, chain: chains.Chain) -> None:
    fields = tuple(case["typed_data"]["message"].values())
    assert chain.probe.functions.delegationDigest(fields).call() == octets(case["digest"])


@pytest.mark.parametrize("case", STATEMENTS)
def test_solidity_makes_the_statements(case: Any, chain: chains.Chain) -> None:
    fields = tuple(case["typed_data"]["message"].values())
    assert chain.relays.functions.statementDigest(fields).call() == octets(case["digest"])


def test_solidity_takes_the_signed_requests_once(chain: chains.Chain) -> None:
    assert chain.identities.address == REQUESTS[0]["typed_data"]["message"]["registry"]
    for case in REQUESTS:
        name = case["typed_data"]["primaryType"]
        function = chain.identities.functions[f"{name[0].lower()}{name[1:]}For"]
        signature = octets(case["signature"])
        wrong = signature[:40] + bytes([signature[40] ^ 1]) + signature[41:]
        with pytest.raises(ContractCustomError):
            function(request(case), wrong).call()
        chain.send(function(request(case), signature))
        with pytest.raises(ContractCustomError):
            function(request(case), signature).call()
    set_identity, revoke, device = (request(case) for case in REQUESTS)
    identity = chain.identities.functions.identityOf(WALLET.address).call()
    assert (identity[0], identity[2]) == (set_identity[1], revoke[1])
    assert chain.identities.functions.isDeviceRevoked(WALLET.address, device[1]).call()


@pytest.mark.parametrize("case", BIP340)
def test_solidity_judges_the_vectors_of_bip340(case: Any, chain: chains.Chain) -> None:
    signature = octets(case["signature"])
    try:
        y = slow.lift(signature[:32])[1]
    except ValueError:
        y = 0  # no point has that x
    parts = (int.from_bytes(signature[:32]), y, int.from_bytes(signature[32:]))
    key, message = octets(case["public_key"]), octets(case["message"])
    assert chain.probe.functions.verifies(key, message, parts).call() is case["valid"]


def test_python_and_solidity_agree_on_a_commitment(chain: chains.Chain) -> None:
    found = read(vectors.COMMITMENT)
    key, message = octets(found["blinded_key"]), octets(found["message"])
    signature = octets(found["signature"])
    assert IdentityKey.from_bytes(octets(found["secret"])).public == key
    assert IdentityKey.from_bytes(octets(found["secret"])).sign(message) == signature
    commitment = (key, found["period"], found["revision"], octets(found["hash"]))
    assert chain.board.functions.messageOf(commitment).call() == message
    rx, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    chain.send(chain.board.functions.commit(commitment, (rx, vectors.nonce_y(signature), s)))
    stands = chain.board.functions.commitmentOf(key, found["period"]).call()
    assert stands == [found["revision"], octets(found["hash"])[:24]]
