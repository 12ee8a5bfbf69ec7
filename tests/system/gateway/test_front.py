"""The daemon's front under load, with a dying guard, and what it never does (SPEC 16)."""

import ast
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import time

import trio

from tests.node.gateway.test_associate import datagram
from tests.node.gateway.test_socks import OPEN, by_name
from tests.system.gateway.conftest import MEGABYTE
from tests.system.gateway.servers import PATIENCE_S, run

STREAMS = 200
SECONDS = float(os.environ.get("PSP_STREAMS_SECONDS", "5"))
WARM_S = SECONDS / 3
PIECE = 2_000
EVENTS = ("socket.connect", "socket.sendto", "socket.getaddrinfo")


def ask(caller, request, size):
    """Ask the front, and return the connection and its answer."""
    local = socket.create_connection(("127.0.0.1", caller.port), 4 * PATIENCE_S)
    local.sendall(request)
    answer = b""
    while len(answer) < size:
        data = local.recv(size - len(answer))
        assert data, answer
        answer += data
    return local, answer


def test_a_program_of_datagrams_through_udp_associate(callee, caller):
    connection, answer = ask(caller, OPEN + bytes([5, 3, 0, 1]) + bytes(6), 12)
    assert answer[:4] == b"\x05\x00\x05\x00"
    relay = ("127.0.0.1", int.from_bytes(answer[10:], "big"))
    question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03any\x07example\0\0\x10\0\x01"
    with connection, socket.socket(type=socket.SOCK_DGRAM) as program:
        program.settimeout(4 * PATIENCE_S)
        program.bind(("127.0.0.1", 0))
        program.sendto(datagram(b"example.com", question), relay)
        program.sendto(datagram(callee.host.encode(), question), relay)
        found = program.recv(2_000)
        caller.programs.add(program.getsockname())
    head = datagram(callee.host.encode(), b"\x12\x34\x84\0")
    assert found.startswith(head)
    assert found.endswith(b"\x05hello")


async def talk(caller, callee, until, failures):
    """Say something to the echo again and again, and compare."""
    stream = await trio.open_tcp_stream("127.0.0.1", caller.port)
    async with stream:
        try:
            await stream.send_all(OPEN + by_name(f"echo.{callee.host}".encode()))
            answer = await exactly(stream, 12)
            assert answer[3] == 0, f"refused: {answer[3]}"
            while trio.current_time() < until:
                said = secrets.token_bytes(PIECE)
                await stream.send_all(said)
                assert await exactly(stream, PIECE) == said
                await trio.sleep(0.2)
            await stream.send_eof()
            assert await stream.receive_some() == b""
        except (trio.BrokenResourceError, AssertionError) as error:
            failures.append(repr(error))


async def exactly(stream, size):
    found = b""
    while len(found) < size:
        data = await stream.receive_some(size - len(found))
        assert data, "it ended"
        found += data
    return found


async def talk_all(caller, callee):
    """Return what failed, and the daemon's memory in the second third of the time, and last."""
    failures, memory = [], []
    with trio.fail_after(SECONDS + 4 * PATIENCE_S):
        async with trio.open_nursery() as nursery:
            until = trio.current_time() + SECONDS
            for _ in range(STREAMS):
                nursery.start_soon(talk, caller, callee, until, failures)
            for _ in range(2):
                await trio.sleep(WARM_S)
                memory.append(caller.memory())
    return failures, [*memory, caller.memory()]


def test_two_hundred_streams_at_once(callee, caller):
    failures, memory = trio.run(talk_all, caller, callee)
    assert failures == []
    assert memory[-1] < memory[0] * 1.1 + MEGABYTE


def test_a_guard_that_dies_does_not_fail_a_download(network, callee, caller, tmp_path):
    data = secrets.token_bytes(8 * MEGABYTE)
    (callee.files / "slow").write_bytes(data)
    target = tmp_path / "slow"
    proxy = f"socks5h://127.0.0.1:{caller.port}"
    url = f"http://{callee.host}/slow"
    command = ["curl", "-sS", "--proxy", proxy, "--limit-rate", "2M", url, "-o", target]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE) as download:
        deadline = time.monotonic() + 2 * PATIENCE_S
        while not target.exists() or target.stat().st_size < MEGABYTE:
            assert download.poll() is None, download.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)  # another process: its clock is the real one
        sessions = caller.circuits()["sessions"]
        guards = {
            session["ways"][0][0] for session in sessions if session["peer"] == callee.address
        }
        for relay_id, pid in network.relays.items():
            if any(relay_id.startswith(guard) for guard in guards):
                os.kill(pid, signal.SIGKILL)
        assert guards
        assert download.wait(4 * PATIENCE_S) == 0, download.stderr.read()
    assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(data).digest()


def test_nothing_is_dialled_in_clear(network, callee, caller):
    """All that left the daemon's process went to relays, or to the chain, and by number."""
    (callee.files / "clear").write_text("hello")
    proxy = f"socks5h://127.0.0.1:{caller.port}"
    tunnel = f"http://127.0.0.1:{caller.port}"
    assert run(["curl", "-sS", "--proxy", proxy, f"http://{callee.host}/clear"]).stdout == "hello"
    hosts = ("example.com", "127.0.0.1", "localhost", "192.0.2.1", "stranger.eth", "x.psp.alt")
    for host in hosts:
        for way in (["--proxy", proxy], ["--proxytunnel", "--proxy", tunnel]):
            asked = ["curl", "-sS", *way, f"http://{host}/"]
            assert subprocess.run(asked, capture_output=True, check=False).returncode in {56, 97}
    left = [line.split(" ", 1) for line in caller.reached()]
    assert {place for event, place in left if event not in EVENTS} <= {"/sbin/ldconfig"}  # ctypes
    connected = {ast.literal_eval(place) for event, place in left if event in EVENTS[:2]}
    assert len(connected & network.places) > 3
    assert connected <= network.places | caller.programs
    assert {place for event, place in left if event == "socket.getaddrinfo"} <= {"127.0.0.1"}
