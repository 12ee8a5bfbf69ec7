"""Real processes of one network: both ends of a file are killed, then a third of the relays are."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import trio

from peerstream.node.lab.demo import open_parties
from peerstream.node.lab.network import NetworkOptions, open_network
from peerstream.node.lab.steps import SilentSteps

PSP = [sys.executable, "-m", "peerstream.node.cli"]
RELAYS = 15
LIMIT_S = 240.0  # against hanging; nothing here is about speed
FILE_MB = 120
PART_MIN = 5_000_000


async def test_what_recovers_by_itself(tmp_path, monkeypatch):
    directory = tmp_path / "net"
    directory.mkdir(mode=0o700)
    options = NetworkOptions(directory=directory, relays=RELAYS, source="static")
    async with open_network(options, SilentSteps()) as network:
        monkeypatch.setenv("PSP_NETWORK", str(network.rooted.network_file))
        monkeypatch.setenv("PSP_RELAY_FILE", str(network.rooted.static_file))
        await trio.to_thread.run_sync(both_ends_of_a_file_are_killed, tmp_path)
        async with open_parties(network, 2, SilentSteps()) as (caller, callee):
            await points_and_stores_die(network, caller, callee)


# Both endpoints


def psp(*tokens):
    command = [*PSP, *map(str, tokens), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(process):
    out, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, log
    return json.loads(out)


def receiving(tmp_path):
    """Bob's end, once he can be reached."""
    process = psp("receive", "--state", tmp_path / "bob", "--dir", tmp_path / "inbox", "--count", 1)
    assert any("reachable as" in line for line in process.stderr)
    return process


def both_ends_of_a_file_are_killed(tmp_path):
    """A file that goes on where it stopped, between processes that are new on both sides."""
    for name in ("alice", "bob"):
        wallet = tmp_path / f"{name}.hex"
        wallet.write_text(os.urandom(32).hex())
        wallet.chmod(0o600)
        answer(psp("id", "new", "--wallet-key", wallet, "--state", tmp_path / name))
    card = answer(psp("id", "card", "--state", tmp_path / "bob"))["card"]
    (tmp_path / "inbox").mkdir()
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(FILE_MB * 1_000_000))
    ends = [receiving(tmp_path), psp("send", file, card, "--state", tmp_path / "alice")]
    wait_for_a_part(tmp_path / "inbox")
    for end in ends:
        end.send_signal(signal.SIGKILL)
        end.communicate()
    receiver = receiving(tmp_path)
    sent = answer(psp("send", file, card, "--state", tmp_path / "alice"))
    received = answer(receiver)["files"][0]
    assert sent["resumed_at"] == received["resumed_at"] >= PART_MIN
    assert sent["sha256"] == received["sha256"]
    assert Path(received["path"]).read_bytes() == file.read_bytes()


def wait_for_a_part(inbox):
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if any(part.stat().st_size >= PART_MIN for part in inbox.rglob("*") if part.is_file()):
            return
        time.sleep(0.01)  # another process writes: its clock is the real one
    raise AssertionError("nothing arrived")


# Relays


async def points_and_stores_die(network, caller, callee):
    """Two of three points and half of the stores; then others, until a third of all is dead."""
    with trio.fail_after(LIMIT_S):
        assert await arrives(network, caller, callee) == 1
    places = await callee.process.ask({"do": "places"}, "places")
    points, stores = places["points"][0], places["stores"][0]
    others = [relay.proven.relay_id.hex() for relay in network.relays]
    third = len(network.relays) // 3
    wanted = [*points[:2], *stores[: len(stores) // 2], *others]
    dead = list(dict.fromkeys(wanted))[:third]
    for relay in network.relays:
        if relay.proven.relay_id.hex() in dead:
            os.kill(relay.process.pid, signal.SIGKILL)
    with trio.fail_after(LIMIT_S):
        await arrives(network, caller, callee)
    while set(dead) & set(places["points"][0]) or len(places["points"][0]) < 3:
        await trio.sleep(0.5)
        places = await callee.process.ask({"do": "places"}, "places")
    with trio.fail_after(LIMIT_S):
        await arrives(network, caller, callee)


async def arrives(network, caller, callee):
    """Send a small file over a new session until it arrives; how many tries that took."""
    file = network.options.directory / "small.bin"
    file.write_bytes(os.urandom(100_000))
    tries = 0
    while True:
        tries += 1
        await caller.process.ask({"do": "hang up"}, "hung up")
        send = {"do": "send", "file": str(file), "unsent": True, "level": 2}
        await caller.process.tell({**send, "address": callee.account})
        ended = await caller.process.event("sent", "unsent")
        if ended["event"] == "sent":
            return tries
        await trio.sleep(2)
