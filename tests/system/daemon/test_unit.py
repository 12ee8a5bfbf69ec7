"""The unit for systemd: sound, confined, and what the daemon does under it."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

from peerstream.node.library.daemon.configuration import Configuration
from tests.system.daemon.running import DENIED, PATIENCE_S, notified, up

SYSTEMD = Path(__file__).parents[3] / "deploy" / "systemd"
EXPOSURE_MAX = 2.0


def staged(tmp_path):
    """Return the unit with a program that is there, or the check would be of this machine."""
    unit = tmp_path / "psp.service"
    text = (SYSTEMD / "psp.service").read_text()
    assert "ExecStart=/usr/bin/psp up" in text
    unit.write_text(text.replace("/usr/bin/psp", shutil.which("true")))
    return unit


def analyze(*arguments):
    command = ["systemd-analyze", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_no_fault(tmp_path):
    assert analyze("verify", "--man=no", staged(tmp_path)) == ""


def test_it_is_confined(tmp_path):
    said = analyze("security", "--offline=true", "--no-pager", staged(tmp_path))
    assert float(re.search(r"exposure level for psp\.service: ([\d.]+)", said)[1]) <= EXPOSURE_MAX


def test_the_configuration_beside_it_is_one(monkeypatch):
    monkeypatch.delenv("PSP_STATE", raising=False)
    found = Configuration.load(SYSTEMD / "psp.toml")
    assert found.network == SYSTEMD / "network.json"


def test_the_daemon_lives_as_the_unit_has_it(network, state, tmp_path):
    """Ready, watched and stopping are told; no memory is both writable and executable."""
    ports = ("--socks", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    with notified(tmp_path / "notify") as heard:
        with up(
            *("--network", network, "--state", state, *ports),
            program=("-c", DENIED),
            NOTIFY_SOCKET=str(tmp_path / "notify"),
            WATCHDOG_USEC="1000000",
        ) as (process, ready):
            said = [heard()]
            while "READY=1" not in said:
                said.append(heard())
            assert set(said) <= {"WATCHDOG=1", "READY=1"}
            assert heard() == "WATCHDOG=1"
            assert ready["listeners"]["socks"].startswith("127.0.0.1:")
            process.send_signal(signal.SIGTERM)
            while (word := heard()) != "STOPPING=1":
                assert word == "WATCHDOG=1"
            assert process.wait(PATIENCE_S) == 0
        assert list((state / "run").iterdir()) == []
