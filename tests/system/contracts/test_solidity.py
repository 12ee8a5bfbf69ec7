"""The contracts' own tests in both runners, and what of the contracts they reach."""

import re
from pathlib import Path

import pytest

from tests.system.contracts.toolchain import BUILD, forge, hardhat, stage

FEW = 16
# Coverage wants every line once, and Hardhat 3.18 can break its heap at exit after more of them.
FEWEST = 2
OURS = re.compile(r"contracts/\w+\.sol")


def test_hardhat_runs_everything() -> None:
    said = hardhat("test", "solidity", runs=FEW).stdout
    assert int(re.search(r"(\d+) passing", said)[1]) > 100
    assert "failing" not in said


def test_forge_fuzzes_256_runs_of_64_calls() -> None:
    said = forge("test").stdout
    passed = re.search(r"(\d+) tests passed, 0 failed, 0 skipped", said)
    assert passed is not None, said
    assert int(passed[1]) > 100
    invariants = re.findall(r"invariant_\w+\(\) \(runs: (\d+), calls: (\d+), reverts: 0\)", said)
    assert len(invariants) == 3
    assert set(invariants) == {("256", str(256 * 64))}
    fuzzed = re.findall(r"testFuzz_\w+\(.*\) \(runs: (\d+),", said)
    assert len(fuzzed) >= 10
    assert set(fuzzed) == {"256"}


def reached(lcov: Path, hit: str, all_: str) -> dict[str, tuple[int, int]]:
    """Return (reached, there) of each contract of ours in an lcov file."""
    found = {}
    for record in lcov.read_text().split("end_of_record"):
        source = re.search(r"^SF:(.*)$", record, re.MULTILINE)
        if source and OURS.fullmatch(source[1]):
            counts = (re.search(rf"^{key}:(\d+)$", record, re.MULTILINE) for key in (hit, all_))
            found[source[1]] = tuple(int(count[1]) if count else 0 for count in counts)
    return found


@pytest.fixture(scope="module")
def sources() -> set[str]:
    root = Path(__file__).parents[3] / "contracts"
    code = (path for path in root.glob("*.sol") if not path.name.startswith("I"))
    return {f"contracts/{path.name}" for path in code} | {"contracts/IdentityRegistry.sol"}


def test_every_line_is_reached_in_hardhat(sources: set[str]) -> None:
    place = stage("hardhat-coverage", "contracts", "tests/contracts")
    hardhat("test", "solidity", "--coverage", cwd=place, runs=FEWEST)
    found = reached(place / "coverage" / "lcov.info", "LH", "LF")
    assert found.keys() == sources
    assert {name: (hit, there) for name, (hit, there) in found.items() if hit < there} == {}


def test_every_branch_is_reached_in_forge(sources: set[str]) -> None:
    report = BUILD / "forge" / "lcov.info"
    forge("coverage", "--report", "lcov", "--report-file", str(report), profile="coverage")
    found = reached(report, "BRH", "BRF")
    assert found.keys() == sources
    assert {name: (hit, there) for name, (hit, there) in found.items() if hit < there} == {}
    assert sum(there for _, there in found.values()) > 40
