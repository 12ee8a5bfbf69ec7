"""Machines apart, as root: a file over slow and lossy links, one of which is cut (SPEC 14.7)."""

import hashlib
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from socket import if_nameindex

import pytest
import trio

from peerstream.node.lab.demo import open_parties, sha256_of
from peerstream.node.lab.shaped.machines import CUBIC, run_on
from peerstream.node.lab.shaped.network import ADDRESSES, ShapedOptions, open_shaped
from peerstream.node.lab.shaped.shape import LinkShape
from peerstream.node.lab.steps import SilentSteps

LIMIT_S = 240  # against hanging
FILE_BYTES = 6_000_000
LEVEL = 2


async def test_a_file_arrives_over_lossy_links_though_one_is_cut(tmp_path):
    file = tmp_path / "file.bin"
    file.write_bytes(os.urandom(FILE_BYTES))
    home = tmp_path / "network"
    home.mkdir(mode=0o700)
    options = ShapedOptions(
        directory=home, shape=LinkShape(delay_s=0.02, rate=12.5e6, loss=0.01), mtu=1_500
    )
    steps = SilentSteps()
    with trio.fail_after(LIMIT_S):
        async with (
            open_shaped(options, steps) as shaped,
            open_parties(shaped.network, LEVEL, steps) as (caller, callee),
        ):
            whom = {"address": callee.account, "level": LEVEL}
            await caller.process.tell({"do": "send", "file": str(file), **whom})
            cut = await cut_under_way(shaped, caller)
            while (await caller.process.event("progress", "sent"))["event"] != "sent":
                pass
            received = await callee.process.event("received")
            counts = await shaped.counts()
    assert cut
    assert sha256_of(Path(received["path"])) == hashlib.sha256(file.read_bytes()).hexdigest()
    assert received["sender"] == caller.account
    assert counts["lost"] > 100
    assert counts["carried"] > 10 * counts["lost"]


async def cut_under_way(shaped, caller):
    """Cut the link between the first two relays of the path, once a part of the file is through."""
    while (await caller.process.event("progress"))["done"] < FILE_BYTES / 10:
        pass
    places = await caller.process.ask({"do": "places"}, "places")
    names = {relay.proven.relay_id.hex(): relay.process.name for relay in shaped.network.relays}
    guard, vanguard = (names[relay_id] for relay_id in places["ways"][0][:2])
    await shaped.cut(guard, [vanguard])
    return guard, vanguard


# A process of its own, since tests connect to nobody but their own machine.
CONNECT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as stream:
    name = stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    print(name.rstrip(b"\\0").decode())
"""


def connect_to(host, port):
    command = [sys.executable, "-c", CONNECT, host, str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def test_machines_have_the_congestion_control_that_was_asked_for(tmp_path):
    """Both ends of a connection: what the bench of slow links reports is what it ran on."""
    options = ShapedOptions(directory=tmp_path, shape=LinkShape(), relays=0, congestion=CUBIC)
    async with open_shaped(options, SilentSteps()) as shaped:
        assert shaped.congestion == [CUBIC]
        there = (ADDRESSES.callee, 0)
        with run_on(shaped.namespaces["callee"], partial(socket.create_server, there)) as server:
            connect = partial(connect_to, *server.getsockname())
            assert run_on(shaped.namespaces["caller"], connect) == CUBIC
            with server.accept()[0] as taken:
                name = taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
                assert name.rstrip(b"\0").decode() == CUBIC


async def test_nothing_is_left_of_the_machines(tmp_path):
    before = if_nameindex()
    options = ShapedOptions(directory=tmp_path, shape=LinkShape(), relays=0)
    async with open_shaped(options, SilentSteps()) as shaped:
        path = shaped.namespaces["caller"]
        assert [name for _, name in run_on(path, if_nameindex)] == ["lo", "psp0"]
        assert if_nameindex() == before
    with pytest.raises(FileNotFoundError):
        run_on(path, if_nameindex)
    assert if_nameindex() == before
