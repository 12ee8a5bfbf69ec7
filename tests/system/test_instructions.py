"""A cell must not cost more instructions than it did, beside the bare cryptography of a cell."""

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.append(str(BENCH))

import instructions  # noqa: E402 - beside the benchmarks


def test_a_cell_costs_no_more_instructions_than_committed():
    command = [sys.executable, str(BENCH / "instructions.py"), "--check"]
    counted = subprocess.run(command, check=False, capture_output=True, text=True)
    assert counted.returncode == 0, counted.stderr
    found = json.loads(counted.stdout)
    # A layer and a frame cannot be cheaper than the cryptography in them: the marks were missed.
    assert 1 < found["pass_through_ratio"] < found["splice_ratio"]


def test_growth_by_more_than_a_tenth_is_found():
    committed = {"pass_through_ratio": 2.0, "splice_ratio": 3.0}
    assert instructions.grown({"pass_through_ratio": 2.19, "splice_ratio": 1.0}, committed) == []
    worse = instructions.grown({"pass_through_ratio": 2.21, "splice_ratio": 3.0}, committed)
    assert worse == ["pass_through_ratio is 2.21, and 2.0 is committed"]
