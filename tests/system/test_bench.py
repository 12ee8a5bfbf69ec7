"""`psp bench onion` as users run it: short, alone and against Tor; nothing stays behind."""

import json
import subprocess
from pathlib import Path

import pytest

PSP = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "psp"
FIGURES = {
    "cold_dial_ms": {"n", "p50", "p90", "p99"},
    "further_stream_ms": {"n", "p50", "p90", "p99"},
    "echo_ms": {"n", "p50", "p90", "p99"},
    "echo_rested_ms": {"n", "p50", "p90"},
    "mb_s": {"down", "up"},
    "cpu_ms_per_mb": {"all", "relay", "caller", "callee"},
    "rss_mb": {"relay", "client", "callee"},
}


def bench(tmp_path, *words):
    """Run it with its temporary files in `tmp_path`; return its object once they are gone."""
    command = [str(PSP), "bench", "onion", "--json", "--quick", *words]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=600
    )
    assert ended.returncode in (0, 1), ended.stderr
    assert [path.name for path in tmp_path.glob("psp-bench-*")] == []
    assert running_in(tmp_path) == []
    return json.loads(ended.stdout)


def running_in(directory):
    """Processes that have the directory in their words: Tor's are told where their files are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if str(directory).encode() in words:
            found.append(words)
    return found


def check(system):
    for name, keys in FIGURES.items():
        assert keys <= set(system[name]), name
    assert system["cold_dial_ms"]["p50"] > 0
    assert system["echo_ms"]["p50"] > 0
    for direction in ("down", "up"):
        assert system["mb_s"][direction]["1"] > 0
    assert system["cpu_ms_per_mb_by_flows"]["1"]["all"] > 0
    assert system["rss_mb"]["relay"] > 1


def test_our_network_alone(tmp_path):
    plot = tmp_path / "plot.svg"
    found = bench(tmp_path, "--plot", str(plot))
    assert found["schema"] == "psp.bench.onion/1"
    assert {"cpu", "cores", "kernel", "tcp_cc", "python"} == set(found["machine"])
    [ours] = found["systems"]
    check(ours)
    assert found["ok"] == (ours["failures"] == {})
    assert found["ratios"] == {}
    assert plot.read_text().startswith("<svg")


@pytest.mark.parametrize("profile", ["public", "vanilla"])
def test_against_tor(tmp_path, profile):
    found = bench(tmp_path, "--against", "tor", "--profile", profile)
    ours, tor = found["systems"]
    assert (ours["name"], tor["name"], tor["profile"]) == ("peerstream", "tor", profile)
    check(ours)
    check(tor)
    better = found["ratios"][f"tor_{profile}"]
    assert better["cold_dial_p50"] == pytest.approx(
        tor["cold_dial_ms"]["p50"] / ours["cold_dial_ms"]["p50"], rel=0.01
    )
