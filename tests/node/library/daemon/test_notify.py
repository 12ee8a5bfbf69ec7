"""What systemd is told, over a real socket."""

import os
import socket

import pytest

from peerstream.node.library.daemon.notify import READY, notify, watchdog_interval


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_it(tmp_path, monkeypatch, abstract):
    name = f"@psp-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0") if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify(READY)
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("name", ["", "relative", "/nonexistent/notify"])
def test_nobody_who_listens_is_no_fault(monkeypatch, name):
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    notify(READY)


@pytest.mark.parametrize(
    ("usec", "pid", "wanted"),
    [
        ("20000000", None, 10.0),
        ("20000000", "ours", 10.0),
        ("20000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_how_often_the_watchdog_is_fed(monkeypatch, usec, pid, wanted):
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "ours" else value)
    assert watchdog_interval() == wanted
