"""`psp audit` as a user runs it: both levels, each planted leak, and what guards can do."""

import json
import re
import statistics
import subprocess
import sys
from collections import Counter

import pytest
import trio

from peerstream.node.lab.audit.facts import Fact
from peerstream.node.lab.audit.play import play
from peerstream.node.lab.audit.scenarios import SCENARIOS
from peerstream.node.lab.audit.stage import ADDRESSES, StageOptions
from peerstream.node.lab.audit.verdict import judge
from peerstream.node.lab.steps import SilentSteps
from peerstream.node.protocol.wire.frames import FrameType
from tests.node.cli.shapes import require_failure, require_shape

PSP = [sys.executable, "-m", "peerstream.node.cli"]
LIMIT_S = 300
BIN_S = 0.1
BOTH_PLACES = Fact("ip", "caller"), Fact("ip", "callee")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Keep what the command writes in a directory of the test."""
    found = tmp_path / "tmp"
    found.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(found))
    return found


def run(*tokens):
    command = [*PSP, "audit", *tokens]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def found_by(done):
    [line] = done.stdout.splitlines()
    found = json.loads(line)
    require_shape(found)
    return found


@pytest.mark.parametrize("level", ["private", "anonymous"])
def test_nobody_links_what_nobody_may(home, level):
    done = run("--json", "--level", level, "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    found = found_by(done)
    assert (found["ok"], found["level"], found["seed"]) == (True, level, 7)
    assert found["scenarios"] == list(SCENARIOS)
    assert found["findings"] == []
    processes = {process["name"]: process for process in found["processes"]}
    assert len(processes) == 12 + 3
    assert all(process["records"] > 0 for process in processes.values())
    # the parties know each other, so what is looked for can be found
    assert {"address:callee", "content:file"} <= set(processes["caller"]["knows"])
    assert {"address:caller", "content:file"} <= set(processes["callee"]["knows"])
    guards = [process["guard_of"] for process in processes.values() if process["guard_of"]]
    assert {party for theirs in guards for party in theirs} == {"caller", "callee"}
    assert all(len(theirs) == 1 for theirs in guards)
    assert found["coalitions"]["size"] == 2
    assert found["coalitions"]["checked"] + found["coalitions"]["exempt"] == 13 * 12 // 2
    assert found["coalitions"]["checked"] > 0
    assert list(home.iterdir()) == []


# where each leak must be seen, and what it gives away
PLANTED = {
    "identify": ("stream", {"ip:caller", "address:caller"}),
    "descriptor": ("stream", {"ip:callee", "address:callee"}),  # which stores hand on
    "handshake": ("link", {"ip:caller", "key:caller.device"}),
    "socket": ("socket", {"ip:caller", "address:caller"}),
    "rpc": ("rpc", {"ip:caller", "address:callee"}),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_leak_is_found(home, plant):
    done = run("--json", "--plant", plant, "--scenario", "dial")
    assert done.returncode == 1, done.stderr
    found = found_by(done)
    assert (found["ok"], found["plant"]) == (False, plant)
    assert found["scenarios"] == ["publish", "dial"]
    layer, facts = PLANTED[plant]
    leaks = [finding for finding in found["findings"] if set(finding["facts"]) == facts]
    assert layer in {finding["layer"] for finding in leaks}
    if plant == "rpc":
        assert [finding["who"] for finding in leaks] == [["rpc"]]
    assert list(home.iterdir()) == []


def test_a_line_in_a_log_is_found_and_shown_to_people(home):
    done = run("--level", "private", "--scenario", "lookup", "--plant", "log")
    assert done.returncode == 1
    for words in ("Who knew what: private, publish, lookup", "relay-12", "rpc", "✗"):
        assert words in done.stdout
    assert re.search(
        r"relay-\d\d links ip:caller with address:callee through relay-\d\d log\n", done.stdout
    )
    assert "✓ lookup" in done.stderr
    assert list(home.iterdir()) == []


def test_what_cannot_be_played_is_refused(home):
    for tokens, words in (
        (["--relays", "11"], "need 12 relays"),
        (["--scenario", "nothing"], "no scenario 'nothing'"),
    ):
        done = run("--json", *tokens)
        assert done.returncode == 2
        failure = json.loads(done.stdout)
        require_failure(failure, "psp.audit/1", "BadArgumentError")
        assert words in failure["error"]["message"]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    directory = tmp_path_factory.mktemp("audit")
    directory.chmod(0o700)
    return audited(directory, ["dial", "file", "socks", "gateway"], level=2)


def test_what_local_programs_ask_for_is_dialled_at_relays_alone(verdict):
    """Names and addresses outside the network were asked for too (SPEC 15.1)."""
    relays = {source.ip for source in verdict.played.sources if source.role == "relay"}
    for party, own in ADDRESSES.items():
        [source] = [source for source in verdict.played.sources if source.name == party]
        reached = {ip for ip, _ in source.open().peers.values()}
        assert reached & relays
        assert reached <= relays | {own, verdict.played.rpc[0]}  # programs of its own machine


def test_all_relays_together_link_both_parties(verdict):
    """That nobody links anything alone is worth something only if the audit can."""
    assert verdict.ok
    relays = [process.name for process in verdict.processes if process.role == "relay"]
    assert set(BOTH_PLACES) in [set(finding.facts) for finding in verdict.could_know(*relays)]


def test_a_shared_guard_sees_both_and_matches_them_by_time(tmp_path):
    """Two parties have one guard by chance; that is not defended (SPEC 6.9, 15.6)."""
    verdict = audited(tmp_path, ["dial", "file"], level=2, shared_guard=True)
    guards = [process for process in verdict.processes if len(process.guard_of) == 2]
    assert guards
    assert {guard.name for guard in guards} <= set(verdict.who_knew(*BOTH_PLACES))
    assert verdict.findings == []  # by what it reads it links nothing
    sources = {source.name: source for source in verdict.played.sources}
    views = [sources[guard.name].open() for guard in guards]
    carried_most = max(views, key=lambda view: len(view.frames))  # another one saw a few cells
    assert correlation(carried_most, *ADDRESSES.values()) > 0.8


def audited(directory, scenarios, **options):
    settings = StageOptions(directory=directory, relays=12, seed=7, **options)
    return judge(trio.run(play, settings, scenarios, SilentSteps()))


def correlation(view, *ips):
    """Return how alike the cells of two clients are, counted in tenths of a second."""
    counts = {ip: Counter() for ip in ips}
    for connection, frame in view.frames:
        ip = view.peers[connection][0]
        if ip in counts and frame.kind == FrameType.CELL:
            counts[ip][int(view.times[frame.record] / BIN_S)] += 1
    bins = range(min(map(min, counts.values())), max(map(max, counts.values())) + 1)
    first, second = ([found[number] for number in bins] for found in counts.values())
    return statistics.correlation(first, second)
