"""What is written for Tor, read from it, and said when it is not there."""

import os

import pytest
import trio

from peerstream.node.lab.bench.errors import TorMissingError
from peerstream.node.lab.bench.meter import Meter, cpu_seconds, memory_of
from peerstream.node.lab.bench.tor_config import (
    TorNode,
    authority_part,
    client_part,
    common_part,
    relay_part,
    service_part,
)
from peerstream.node.lab.bench.tor_control import wait_for_uploads
from peerstream.node.lab.bench.tor_network import tor_version
from peerstream.node.lab.errors import ProcessEndedError


@pytest.fixture
def node(tmp_path):
    return TorNode("n", tmp_path, 1001, 1002, 1003, 1004)


def test_profiles_differ_in_the_scheduler_alone(node):
    public, vanilla = (
        common_part(node, each, ["DirAuthority a"]) for each in ("public", "vanilla")
    )
    assert vanilla == public + "Schedulers Vanilla\n"
    assert "DirAuthority a\n" in public


def test_every_port_is_on_loopback(node):
    parts = (
        common_part(node, "public", []), relay_part(node), authority_part(node), client_part(node),
        service_part(node, 2, 80, 4_000),
    )  # fmt: skip
    lines = [line.split() for part in parts for line in part.splitlines() if line]
    ports = [words[-1] if words[0] == "HiddenServicePort" else words[1]
             for words in lines if words[0].endswith("Port")]  # fmt: skip
    assert sorted(ports) == ["0", "0"] + [
        f"127.0.0.1:{port}" for port in (1001, 1002, 1003, 1004, 4_000, 4_000)
    ]


def test_each_service_has_its_own_directory(node):
    text = service_part(node, 3, 80, 4_000)
    directories = [line for line in text.splitlines() if line.startswith("HiddenServiceDir ")]
    assert len(set(directories)) == 3


async def test_uploads_are_awaited_for_every_service(nursery):
    said = []

    async def serve(stream):
        said.append(await stream.receive_some(100))
        await stream.send_all(
            b"250 OK\r\n250 OK\r\n650 HS_DESC UPLOADED aa UNKNOWN $1\r\n650 HS_DE"
        )
        await stream.send_all(b"SC UPLOADED bb UNKNOWN $2\r\n650 HS_DESC FAILED cc UNKNOWN $3\r\n")
        await trio.sleep_forever()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    port = listeners[0].socket.getsockname()[1]
    with trio.fail_after(10):
        await wait_for_uploads(port, ["aa", "bb"])
    assert said == [b"AUTHENTICATE\r\nSETEVENTS HS_DESC\r\n"]
    with trio.move_on_after(0.1) as scope:
        await wait_for_uploads(port, ["aa", "cc"])
    assert scope.cancelled_caught


async def test_a_machine_without_tor_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TorMissingError) as caught:
        await tor_version()
    assert "apt-get install tor" in (type(caught.value).__doc__ or "")


def test_the_meter_counts_by_role():
    with Meter({"busy": [os.getpid()]}, []) as meter:
        before = cpu_seconds(os.getpid())
        while cpu_seconds(os.getpid()) < before + 0.05:
            pass
    assert round(meter.cpu["busy"], 2) >= 0.05
    assert meter.total == meter.cpu["busy"]
    assert meter.wall > 0


def test_memory_is_counted_and_a_process_that_is_gone_is_named():
    found = memory_of(os.getpid())
    assert found.resident >= found.proportional > 1
    for read in (memory_of, cpu_seconds):
        with pytest.raises(ProcessEndedError):
            read(2**22 + 1)
