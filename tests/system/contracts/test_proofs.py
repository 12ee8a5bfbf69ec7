"""What halmos proves of the identity registry, for every state, sender, call and signature."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.contracts.toolchain import environment, run, stage, tool

PROOFS = {
    "check_revocationVoidsEveryOlderDelegation",
    "check_aVoidDelegationNeverCountsAgain",
    "check_revocationVoidsTheDevice",
    "check_aVoidDeviceNeverCountsAgain",
    "check_aListedKeyCountsUnlessRevokedLater",
    "check_noRevocationIsInTheFuture",
    "check_strangersChangeNothing",
}
FALSE_CLAIMS = {
    "check_nothingIsEverRevoked",
    "check_noDeviceIsEverRevoked",
    "check_nobodyListsForAnother",
}
PROVEN, REFUTED = 0, 1


def outcomes(contract: str, place: Path) -> dict[str, int]:
    """Return how halmos ended with each statement of a contract."""
    report = place / f"{contract}.json"
    report.unlink(missing_ok=True)
    command = (tool("halmos"), "--root", place, "--contract", contract, "--solver", "z3")
    options = ("--forge-build-out", "build/forge/out", "--json-output", report, "--no-status")
    run(*command, *options, cwd=place, env=environment(), statuses=(0, 1))
    (results,) = json.loads(report.read_text())["test_results"].values()
    return {result["name"].split("(")[0]: _exit_code(result) for result in results}


def _exit_code(result: Any) -> int:
    # No path may have been cut short: then a proof would be of a part only.
    assert not result["num_bounded_loops"], result
    return int(result["exitcode"])


@pytest.fixture(scope="module")
def place(npm_packages: None) -> Path:
    return stage("halmos", "contracts", "tests/contracts/symbolic")


def test_revocation_is_for_ever(place: Path) -> None:
    assert outcomes("RevocationProof", place) == dict.fromkeys(PROOFS, PROVEN)


def test_false_claims_are_refuted(place: Path) -> None:
    """So the solver really reaches what the proofs speak of."""
    assert outcomes("RevocationRefutation", place) == dict.fromkeys(FALSE_CLAIMS, REFUTED)
