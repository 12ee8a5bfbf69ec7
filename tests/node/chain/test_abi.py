import json

import pytest
from eth_abi.abi import encode

from peerstream.identity.keys import keccak256
from peerstream.node.chain.abi import (
    describe_call,
    encode_call,
    encode_creation,
    event_signatures,
    revert_error,
)
from peerstream.node.chain.artifacts import CONTRACTS, artifact_path, load_artifact
from peerstream.node.chain.build_artifacts import artifact_bytes, differing, main
from peerstream.node.chain.contract_calls import ROOT_FOR, selector
from peerstream.node.chain.errors import (
    StakeTooLowError,
    StaleSiblingsError,
    TransactionRevertedError,
    WrongKeyError,
)
from tests.node.chain.chains import ACCOUNTS, KEY


def reason(signature: str, *values) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], values)


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (reason("RelayTreeStaleProof()"), StaleSiblingsError, "RelayTreeStaleProof"),
        (
            reason("RelayRegistryStakeTooLow(uint256,uint256)", 3, 4),
            StakeTooLowError,
            "RelayRegistryStakeTooLow: stake 3, minimum 4",
        ),
        (
            reason("SigAuthInvalidSignature(address)", str(ACCOUNTS[1].address)),
            WrongKeyError,
            f"account {ACCOUNTS[1].address}",
        ),
        (reason("Error(string)", "no"), TransactionRevertedError, "Error: no"),
        (b"\x12\x34\x56\x78rest", TransactionRevertedError, "unknown error 0x12345678"),
        (b"", TransactionRevertedError, "unknown error"),
        (reason("RelayRegistryStakeTooLow(uint256,uint256)", 3, 4)[:20], StakeTooLowError, "Stake"),
        (bytes.fromhex("08c379a0") + b"\xff" * 64, TransactionRevertedError, "Error"),
    ],
)
def test_reasons_by_name(data, kind, text):
    error = revert_error(data)
    assert type(error) is kind
    assert text in str(error)


def test_calls_are_encoded_and_described():
    data = encode_call("IdentityRegistry", "setIdentity", (KEY,))
    assert data == selector("setIdentity(bytes32)") + KEY
    assert describe_call(data) == (
        "call IdentityRegistry.setIdentity",
        f"  identityKey: 0x{KEY.hex()}",
    )
    assert describe_call(data[:20])[0] == "call IdentityRegistry.setIdentity"
    assert describe_call(b"") == ("call with 0 bytes that are not for our contracts",)


def test_structs_are_described():
    entry = (KEY, str(ACCOUNTS[1].address), bytes(32), 3, 4)
    lines = describe_call(encode_call("RelayRegistry", "exit", (entry, 7, [KEY] * 12)))
    assert lines[0] == "call RelayRegistry.exit"
    assert "  slot: 7" in lines
    assert f"(0x{KEY.hex()}, {ACCOUNTS[1].address}, 0x{'00' * 32}, 3, 4)" in lines[1]


def test_selectors_by_hand_and_by_abi():
    assert encode_call("RelayRegistry", "rootFor", (5,))[:4] == ROOT_FOR


@pytest.mark.parametrize("name", CONTRACTS)
def test_artifacts_are_whole(name):
    artifact = load_artifact(name)
    assert artifact.name == name
    assert len(artifact.bytecode) > 500
    assert any(item["type"] == "function" for item in artifact.abi)
    assert all("(" in signature for signature in event_signatures(name))


def test_a_constructor_without_arguments_or_with_them():
    arguments = (600, 10, 60, 1, bytes(32), bytes(32))
    data = encode_creation("RelayRegistry", arguments)
    assert data.startswith(load_artifact("RelayRegistry").bytecode)
    assert len(data) == len(load_artifact("RelayRegistry").bytecode) + 6 * 32
    with pytest.raises(StopIteration):
        encode_call("RelayRegistry", "nothing", ())


def built(folder, name, bytecode="0x6001"):
    place = folder / f"{name}.sol"
    place.mkdir(parents=True)
    found = {"abi": [], "bytecode": bytecode, "sourceName": "left out", "_format": "left out"}
    (place / f"{name}.json").write_text(json.dumps(found))


def test_what_hardhat_built_is_compared_byte_for_byte(tmp_path, capsys):
    for name in CONTRACTS:
        committed = json.loads(artifact_path(name).read_bytes())
        built(tmp_path, name)
        place = tmp_path / f"{name}.sol" / f"{name}.json"
        place.write_text(json.dumps({"abi": committed["abi"], "bytecode": committed["bytecode"]}))
    assert differing(tmp_path) == []
    assert main(["--check", "--build", str(tmp_path)]) == 0
    place.write_text(json.dumps({"abi": [], "bytecode": "0x00"}))
    assert differing(tmp_path) == [CONTRACTS[-1]]
    assert main(["--check", "--build", str(tmp_path)]) == 1
    assert CONTRACTS[-1] in capsys.readouterr().err


def test_only_what_is_used_is_kept(tmp_path):
    built(tmp_path, "RelayRegistry")
    found = json.loads(artifact_bytes(tmp_path, "RelayRegistry"))
    assert found == {"contract": "RelayRegistry", "abi": [], "bytecode": "0x6001"}
