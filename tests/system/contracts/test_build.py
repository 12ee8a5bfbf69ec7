"""The committed contracts are what the sources give, in both compilers' hands, and stay legible."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from peerstream.node.chain.artifacts import CONTRACTS, artifact_path, load_artifact
from peerstream.node.chain.build_artifacts import artifact_bytes, differing, main
from tests.system.contracts.toolchain import BUILD, LAYOUT, ROOT, encoded, forge, hardhat
from tests.system.contracts.toolchain import storage_layout as layout_of_sources

SOURCES = BUILD / "artifacts" / "contracts"
# OpenZeppelin's function, and getters, for which solc takes no @param.
EXEMPT = {
    *("nonces(address): owner", "nonces(address,uint192): owner", "nonces(address,uint192): key"),
    *("owner(bytes32): node", "addr(bytes32): node", "name(bytes32): node"),
}
CODE_MAXIMUM = 24_576  # EIP-170


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    hardhat("build", "--quiet")


def test_committed_artifacts_are_those_of_the_sources() -> None:
    assert differing(SOURCES) == []
    assert main(["--check", "--build", str(SOURCES)]) == 0


def test_a_changed_artifact_is_found(tmp_path, monkeypatch, capsys) -> None:
    changed = artifact_bytes(SOURCES, "RelayRegistry").replace(b"60", b"61", 1)
    monkeypatch.setattr(
        "peerstream.node.chain.build_artifacts.artifact_path",
        lambda name: tmp_path / name if name == "RelayRegistry" else artifact_path(name),
    )
    (tmp_path / "RelayRegistry").write_bytes(changed)
    assert main(["--check", "--build", str(SOURCES)]) == 1
    assert capsys.readouterr().err.startswith("RelayRegistry: ")


@pytest.mark.parametrize("name", CONTRACTS)
def test_hardhat_and_forge_give_the_same_bytes(name: str) -> None:
    forge("build", "--skip", "test")
    built = json.loads((BUILD / "forge" / "out" / f"{name}.sol" / f"{name}.json").read_text())
    assert bytes.fromhex(built["bytecode"]["object"][2:]) == load_artifact(name).bytecode
    assert len(built["deployedBytecode"]["object"]) // 2 - 1 <= CODE_MAXIMUM


def test_storage_layout_is_that_of_the_snapshot() -> None:
    assert encoded(layout_of_sources()) == LAYOUT.read_text()


def test_light_clients_find_the_roots_in_slots_0_to_4() -> None:
    (ring, *_) = json.loads(LAYOUT.read_text())["RelayRegistry"]
    assert (ring["name"], ring["slot"], ring["bytes"]) == ("_roots", 0, 160)
    assert [member["name"] for member in ring["members"]] == ["packed", "roots"]


def test_sources_are_formatted() -> None:
    forge("fmt", "--check", "contracts", "tests/contracts")


def test_the_lock_file_names_every_platform_and_no_address() -> None:
    lock = (ROOT / "package-lock.json").read_text()
    assert "resolved" not in lock
    for package in ("@nomicfoundation/edr", "@foundry-rs/forge", "@foundry-rs/anvil"):
        assert f'"node_modules/{package}-darwin-arm64"' in lock


@pytest.mark.parametrize("name", CONTRACTS)
def test_everything_external_is_documented(name: str) -> None:
    forge("build", "--skip", "test")
    built = json.loads((BUILD / "forge" / "out" / f"{name}.sol" / f"{name}.json").read_text())
    assert set(undocumented(built)) - EXEMPT == set()


def undocumented(built: Any) -> Iterator[str]:
    """Yield what of a contract's ABI has no sentence in NatSpec."""
    user, dev = built["userdoc"], built["devdoc"]
    for item in built["abi"]:
        signature = f"{item.get('name')}({','.join(map(_type, item.get('inputs', ())))})"
        said = [docs.get(f"{item['type']}s", {}).get(signature) for docs in (user, dev)]
        if item["type"] == "function":
            method = dev["methods"].get(signature, {})
            said = [user["methods"].get(signature), method.get("details")]
            named = {member["name"] for member in item["inputs"]} - {""}
            missing = named - method.get("params", {}).keys()
            yield from (f"{signature}: {parameter}" for parameter in missing)
        if item["type"] in {"function", "event", "error"} and not any(said):
            yield signature


def _type(member: Any) -> str:
    if not member["type"].startswith("tuple"):
        return str(member["type"])
    return f"({','.join(map(_type, member['components']))}){member['type'][5:]}"


def test_a_function_without_a_word_is_found() -> None:
    function = {"type": "function", "name": "f", "inputs": [{"name": "a", "type": "uint256"}]}
    silent = {"abi": [function], "userdoc": {"methods": {}}, "devdoc": {"methods": {}}}
    assert list(undocumented(silent)) == ["f(uint256): a", "f(uint256)"]
    documented = {"f(uint256)": {"params": {"a": "what"}, "details": "does"}}
    assert list(undocumented({**silent, "devdoc": {"methods": documented}})) == []
