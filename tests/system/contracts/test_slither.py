"""Whatever slither finds is explained in contracts/SECURITY.md, and nothing else is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.contracts.toolchain import ROOT, environment, run, stage, tool

SECURITY = ROOT / "contracts" / "SECURITY.md"
ROW = re.compile(r"^\| `([a-z-]+)` \| `([\w.]+)` \| \S.* \|$", re.MULTILINE)
NAMES = "naming-convention"  # immutables stand in capitals here, as constants do
FOUND = 255  # slither's status when it found anything


@pytest.fixture(scope="module")
def findings(npm_packages: None) -> list[Any]:
    place = stage("slither", "contracts")
    for part in ("test", "snapshots"):
        for path in (place / "contracts" / part).glob("*"):
            path.unlink()
    report = place / "report.json"
    report.unlink(missing_ok=True)
    options = ("--filter-paths", "node_modules", "--exclude", NAMES, "--json", report)
    said = run(tool("slither"), ".", *options, cwd=place, env=environment(), statuses=(0, FOUND))
    # It passes over a function that it cannot read, and says so in one line.
    assert "Impossible to generate IR" not in said.stdout + said.stderr
    return list(json.loads(report.read_text())["results"]["detectors"])


def place_of(finding: Any) -> tuple[str, str]:
    """Return (detector, Contract.function) of a finding."""
    element = next(e for e in finding["elements"] if e["type"] == "function")
    contract = element["type_specific_fields"]["parent"]["name"]
    return finding["check"], f"{contract}.{element['name']}"


def test_every_finding_is_explained_and_every_explanation_is_needed(findings: list[Any]) -> None:
    assert {place_of(finding) for finding in findings} == set(ROW.findall(SECURITY.read_text()))


def test_slither_reads_all_contracts(findings: list[Any]) -> None:
    files = {e["source_mapping"]["filename_relative"] for f in findings for e in f["elements"]}
    read = {Path(name).name for name in files}
    assert {"IdentityRegistry.sol", "RelayRegistry.sol", "RelayStakes.sol", "SigAuth.sol"} <= read
