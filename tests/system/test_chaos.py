"""`psp chaos` as a user runs it: real processes, real signals, real files."""

import json
import subprocess
import sys

import pytest

from peerstream.node.lab.faults import roles_of
from tests.node.cli.shapes import require_failure, require_shape

PSP = [sys.executable, "-m", "peerstream.node.cli"]
LIMIT_S = 400
SEED = 5
STALL_KILL_MAX_S = 6.0  # twice what `psp chaos` asks for: this machine has other things to do
STALL_FREEZE_MAX_S = 12.0


def run(*tokens):
    command = [*PSP, "chaos", *map(str, tokens), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "limit"), [("kill", STALL_KILL_MAX_S), ("freeze", STALL_FREEZE_MAX_S)]
)
def test_files_arrive_whatever_relay_dies_or_stands_still(places, kind, limit):
    done = run("--runs", 8, "--relays", 15, "--megabytes", 30, "--only", kind, "--seed", SEED)
    found = json.loads(done.stdout)
    require_shape(found)
    assert found["transfers"] == {"started": 8, "finished": 8, "failed": 0}, done.stderr
    assert [event["role"] for event in found["events"]] == list(roles_of(2))
    assert all(event["target"].startswith("relay-") for event in found["events"])
    assert (found["sha256_mismatches"], found["leftover_processes"]) == (0, 0)
    assert found["bytes"] == {"acknowledged": 8 * 30_000_000, "lost": 0}
    assert found["stall_s"][f"max_{kind}"] < limit, found["events"]
    assert list(places.iterdir()) == []


def test_a_session_of_three_relays_survives_as_well():
    found = json.loads(run("--runs", 6, "--level", "private", "--megabytes", 20).stdout)
    assert found["transfers"]["failed"] == found["sha256_mismatches"] == 0
    assert {event["role"] for event in found["events"][:6]} == set(roles_of(1)[:3])


def test_a_network_that_is_too_small_is_refused():
    done = run("--relays", 4)
    assert done.returncode == 2
    require_failure(json.loads(done.stdout), "psp.chaos/1", "BadArgumentError")
