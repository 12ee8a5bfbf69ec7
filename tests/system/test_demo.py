"""`psp demo` and `psp devnet` as a user runs them: real processes, a real file, nothing left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from peerstream.node.lab.kernel import start_ticks
from peerstream.node.lab.places import free_endpoint
from tests.node.cli.shapes import require_failure, require_shape

PSP = [sys.executable, "-m", "peerstream.node.cli"]
USABLE = "know each other"
LIMIT_S = 150


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Keep what the commands write in a directory of the test."""
    home = tmp_path / "tmp"
    home.mkdir()
    monkeypatch.setenv("TMPDIR", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("PSP_NETWORK", "PSP_STATE", "PSP_RELAY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return home


def run(*tokens, **options):
    command = [*PSP, *map(str, tokens)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LIMIT_S, **options
    )


def processes_of(directory):
    """Return the processes that have a file of this directory open, or it in their arguments."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                names = [str(link.readlink()) for link in (entry / "fd").iterdir()]
                names.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if any(str(directory) in name for name in names):
                found.add(int(entry.name))
    return found


def assert_nothing_left(directory, *, files=True):
    deadline = time.monotonic() + 20
    while (left := processes_of(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)  # other processes: their clock is the real one
    assert left == set()
    if files:
        assert list(directory.iterdir()) == []


def assert_good(done, level, hops):
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    found = json.loads(line)
    require_shape(found)
    assert (found["ok"], found["level"], found["hops"]) == (True, level, hops)
    assert found["places"] == hops
    assert found["caller_verified"] is True
    assert found["callee_verified"] is True
    assert found["caller"] != found["callee"]
    assert found["sha256_ok"] is True
    return found


@pytest.mark.parametrize(("level", "hops"), [("anonymous", 6), ("private", 3)])
@pytest.mark.parametrize("directory", ["chain", "dht", "static"])
def test_a_file_crosses_the_network(places, level, hops, directory):
    done = run(
        *("demo", "--json", "--level", level, "--directory", directory),
        *("--backend", "embedded"),
    )
    found = assert_good(done, level, hops)
    assert found["file_bytes"] > 10_000_000
    assert (found["directory"], found["relays"]) == (directory, 12)
    assert found["backend"] == ("embedded" if directory == "chain" else "none")
    assert_nothing_left(places)


def test_a_file_of_ones_own_and_the_table(places, tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("dear contact\n" * 1_000)
    done = run("demo", "--directory", "static", "--file", file, "--relays", "9")
    assert done.returncode == 0, done.stderr
    for word in ("✓ verified", "✓ equal", " hops", "9 relays"):
        assert word in done.stdout
    assert "✓ sent letter.txt" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert_nothing_left(places)


# As a script starts what it has in the background: nobody's Ctrl-C is for that.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@pytest.mark.parametrize(
    ("number", "moment", "started_by"),
    [
        (signal.SIGINT, "✓ 12 relay processes", ()),
        (signal.SIGINT, USABLE, ()),
        (signal.SIGINT, "✓ dialled", ()),
        (signal.SIGTERM, USABLE, ()),
        (signal.SIGTERM, USABLE, IN_BACKGROUND),
        (signal.SIGKILL, "✓ dialled", ()),
    ],
)
def test_nothing_is_left_whenever_it_is_ended(places, number, moment, started_by):
    command = [*started_by, *PSP, "demo", "--json", "--directory", "static"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        assert any(moment in line for line in demo.stderr)
        assert processes_of(places)
        if started_by:
            demo.send_signal(signal.SIGINT)
        demo.send_signal(number)
        out, _ = demo.communicate(timeout=60)
    assert_nothing_left(places, files=number != signal.SIGKILL)
    if number != signal.SIGKILL:
        assert demo.returncode == 130
        require_failure(json.loads(out), "psp.demo/1", "StoppedError")


def test_a_relay_that_dies_meanwhile_is_named(places):
    command = [*PSP, "demo", "--json", "--directory", "static"]
    started = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        assert any("✓ 12 relay processes" in line for line in demo.stderr)
        relay = next(
            pid
            for pid in processes_of(places)
            if Path(f"/proc/{pid}/comm").read_text() == "psp relay-07\n"
        )
        os.kill(relay, signal.SIGKILL)
        out, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1
    found = json.loads(out)
    require_failure(found, "psp.demo/1", "ProcessEndedError")
    assert "relay-07" in found["error"]["message"]
    assert time.monotonic() - started < 60, "it was noticed by the time that a start may take"
    assert_nothing_left(places)


def test_what_is_kept_can_be_talked_to_and_ended(places, tmp_path, monkeypatch):
    done = run("demo", "--keep", "--backend", "embedded", "--relays", "9")
    assert done.returncode == 0, done.stderr
    [home] = places.iterdir()
    try:
        callee = next(line.split()[2] for line in done.stdout.splitlines() if "psp ping" in line)
        monkeypatch.setenv("PSP_NETWORK", str(home / "run" / "network.json"))
        monkeypatch.setenv("PSP_STATE", str(home / "me"))
        monkeypatch.chdir(tmp_path)
        use_the_network(callee, tmp_path, home)
        no_secret_in_logs(home)
    finally:
        ended = json.loads(run("devnet", "down", "--state-dir", home, "--json").stdout)
    require_shape(ended, 1)
    assert len(ended["stopped"]) == 9 + 5  # fork server, chain's two, caller, callee
    assert_nothing_left(places, files=False)


def use_the_network(callee, tmp_path, home):
    wallet, file = tmp_path / "wallet.hex", tmp_path / "file"
    wallet.write_text(os.urandom(32).hex())
    wallet.chmod(0o600)
    file.write_bytes(os.urandom(100_000))
    assert run("id", "new", "--wallet-key", wallet).returncode == 0
    pinged = json.loads(run("ping", callee, "--count", "3", "--json").stdout)
    require_shape(pinged)
    assert (pinged["address"], pinged["hops"], pinged["count"]) == (callee, 6, 3)
    sent = json.loads(run("send", file, callee, "--level", "private", "--json").stdout)
    require_shape(sent)
    assert (home / "run" / "received" / "file").read_bytes() == file.read_bytes()
    nobody = run("ping", "0x" + "00" * 19 + "01", "--json")
    assert nobody.returncode == 3
    require_failure(json.loads(nobody.stdout), "psp.ping/1", "AddressUnknownError")


def no_secret_in_logs(home):
    keys = [path.read_bytes() for path in (home / "run").rglob("*.key")]
    assert len(keys) >= 10
    for log in (home / "run" / "logs").iterdir():
        text = log.read_bytes()
        assert not any(key in text or key.hex().encode() in text for key in keys)
        assert b"Traceback" not in text, log.name


def test_both_ends_of_send_and_receive(places, tmp_path, monkeypatch):
    home, inbox = tmp_path / "net", tmp_path / "inbox"
    inbox.mkdir()
    up = run("devnet", "up", "--backend", "embedded", "--relays", "8", "--state-dir", home)
    assert up.returncode == 0, up.stderr
    try:
        monkeypatch.setenv("PSP_NETWORK", str(home / "run" / "network.json"))
        exchange(tmp_path, inbox)
        relay_of_a_user(tmp_path)
    finally:
        assert run("devnet", "down", "--state-dir", home).returncode == 0
    assert_nothing_left(home, files=False)


def exchange(tmp_path, inbox):
    for name in ("alice", "bob"):
        wallet = tmp_path / f"{name}.hex"
        wallet.write_text(os.urandom(32).hex())
        wallet.chmod(0o600)
        assert run("id", "new", "--wallet-key", wallet, "--state", tmp_path / name).returncode == 0
    bob = run("id", "card", "--state", tmp_path / "bob").stdout.strip()
    file = tmp_path / "report.pdf"
    file.write_bytes(os.urandom(2_000_000))
    command = [*PSP, "receive", "--state", tmp_path / "bob", "--dir", inbox, "--count", "2"]
    with subprocess.Popen(
        [*map(str, command), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as receiver:
        assert receiver.stderr is not None
        assert any("reachable as" in line for line in receiver.stderr)
        for _ in range(2):
            sent = run("send", file, bob, "--state", tmp_path / "alice", "--json")
            assert sent.returncode == 0, sent.stderr
        out, _ = receiver.communicate(timeout=60)
    assert receiver.returncode == 0
    found = json.loads(out)
    require_shape(found)
    alice = json.loads(run("id", "show", "--state", tmp_path / "alice", "--json").stdout)
    assert [item["sender"] for item in found["files"]] == [alice["account"]] * 2
    assert [Path(item["path"]).read_bytes() for item in found["files"]] == [file.read_bytes()] * 2


def relay_of_a_user(tmp_path):
    options = ["--state", str(tmp_path / "relay"), "--json"]
    made = json.loads(run("relay", "init", *options).stdout)
    endpoint = str(free_endpoint("127.99.0.1"))
    listen = ["--listen", endpoint, "--source-address", "127.99.0.1"]
    command = [*PSP, "relay", "run", *listen, *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as relay:
        assert relay.stdout is not None
        found = json.loads(relay.stdout.readline())
        relay.send_signal(signal.SIGTERM)
        out, log = relay.communicate(timeout=60)
    require_shape(found)
    assert (found["relay_id"], found["endpoints"]) == (made["relay_id"], [endpoint])
    assert (relay.returncode, out) == (130, "")
    assert "relay.started" in log


def test_a_devnet_is_up_until_it_is_down(places, tmp_path):
    home, state = tmp_path / "net", tmp_path / "chain.json"
    options = ("--state-dir", home, "--json")
    up = run(
        *("devnet", "up", "--backend", "embedded", "--relays", "2", "--state", state), *options
    )
    assert up.returncode == 0, up.stderr
    found = json.loads(up.stdout)
    require_shape(found)
    assert len(found["relays"]) == 2
    assert all(start_ticks(relay["pid"]) for relay in found["relays"])
    status = run("devnet", "status", *options)
    assert (status.returncode, json.loads(status.stdout)) == (0, found)
    again = run("devnet", "up", *options)
    assert again.returncode == 1
    require_failure(json.loads(again.stdout), "psp.devnet/1", "AlreadyRunningError")
    down = json.loads(run("devnet", "down", *options).stdout)
    require_shape(down, 1)
    assert {relay["pid"] for relay in found["relays"]} | {found["pid"]} <= set(down["stopped"])
    assert down["leftover"] == []
    assert state.stat().st_size > 0
    assert run("devnet", "status", *options).returncode == 3
    assert_nothing_left(home, files=False)


def test_a_devnet_in_the_foreground_ends_with_its_command(places, tmp_path):
    command = [*PSP, "devnet", "up", "--foreground", "--relays", "2", "--backend", "embedded"]
    home = tmp_path / "net"
    with subprocess.Popen(
        [*command, "--json", "--state-dir", str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as devnet:
        assert devnet.stdout is not None
        require_shape(json.loads(devnet.stdout.readline()))
        devnet.send_signal(signal.SIGINT)
        assert devnet.stdout.read() == ""
    assert devnet.returncode == 130
    assert_nothing_left(home, files=False)
