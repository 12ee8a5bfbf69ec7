"""The commands around a daemon: with one that runs, and without."""

import json
import os
import signal
import subprocess
import sys

import pytest
import structlog
import trio

import tests.node.library.conftest  # noqa: F401 - libp2p, without the warnings of its imports
from peerstream.node.cli import daemon_client
from peerstream.node.cli.errors import DaemonRefusedError
from peerstream.node.gateway.errors import ServiceConflictError
from peerstream.node.library.identities import NoIdentityError
from peerstream.node.store.errors import AliasTakenError
from peerstream.node.store.run_folder import RUN
from tests.node.cli.shapes import require_shape
from tests.node.library.test_node import relays

PATIENCE_S = 120


@pytest.fixture
def card():
    from peerstream.identity.address import Address  # noqa: PLC0415
    from peerstream.identity.contact import ContactCard  # noqa: PLC0415
    from peerstream.identity.keys import IdentityKey  # noqa: PLC0415

    key = IdentityKey.from_bytes(bytes(31) + b"\1")
    return str(ContactCard(Address(bytes(19) + b"\1"), key.public, bytes(range(32))))


def test_contacts_without_a_daemon(psp, tmp_path, card, monkeypatch):
    state = ("--state", tmp_path / "state")
    none = psp("contact", "list", *state, "--json").json
    require_shape(none)
    assert none["contacts"] == []
    assert "psp contact add" in psp("contact", "list", *state).out
    monkeypatch.setattr("sys.stdin.readline", lambda _=-1: f"{card}\n")
    added = psp("contact", "add", "bob", "-", *state, "--json")
    require_shape(added.json)
    assert added.json["contacts"][0]["alias"] == "bob"
    shown = psp("contact", "list", *state).out
    assert shown.startswith("bob  0x0000000000000000000000000000000000000001  by card")
    assert bytes(range(32)).hex() not in shown + added.out
    assert psp("contact", "remove", "eve", *state).code == 3
    assert psp("contact", "add", "Bob", card, *state).code == 2
    assert psp("contact", "add", "bob", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A", *state).code
    assert psp("contact", "remove", "bob", *state).out == "bob is no contact any more\n"


def test_where_no_daemon_runs(psp, tmp_path):
    done = psp("status", "--state", tmp_path / "state", "--json")
    assert (done.code, done.json["running"], done.json["ok"]) == (3, False, False)
    require_shape(done.json)
    assert "psp up" in psp("status", "--state", tmp_path / "state").out
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("netwrk = 1", "UnknownSettingError"),
        ('[gateway]\nsocks = "0.0.0.0:1"', "NotLoopbackError"),
        ("[", "ConfigurationFileError"),
        ("level = 1", "SettingError"),
    ],
)
def test_a_fault_of_the_configuration_is_wrong_use(psp, tmp_path, text, name):
    path = tmp_path / "psp.toml"
    path.write_text(text)
    done = psp("up", "--config", path, "--json")
    assert done.code == 2
    assert done.json["error"]["name"] == name


class Process:
    """`psp up` as users start it."""

    def __init__(self, arguments, environment):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "peerstream.node.cli", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.ready = json.loads(line)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def running(tmp_path):
    """Seven relays in this process, in a thread of their own, and a daemon beside it."""
    started = {}
    # the relays' lines would stand among what commands print
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())

    async def run():
        async with relays(tmp_path, 7) as (settings, _):
            started["settings"] = settings
            started["token"] = trio.lowlevel.current_trio_token()
            started["end"] = trio.Event()
            started["ready"].set()
            await started["end"].wait()

    import threading  # noqa: PLC0415

    started["ready"] = threading.Event()
    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    assert started["ready"].wait(PATIENCE_S)
    network = tmp_path / "network.json"
    network.write_text(json.dumps(started["settings"][0].network.to_json()))
    config = tmp_path / "psp.toml"
    config.write_text(
        f'network = "network.json"\nrelay_file = "{started["settings"][0].static_file}"\n'
        'state = "state"\nsource_address = "127.100.0.1"\n[gateway]\nsocks = "off"\nhttp = "off"\n'
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PSP_")}
    process = Process(["up", "--config", config, "--json"], environment)
    yield process
    if process.process.poll() is None:
        process.process.kill()
        process.process.communicate()
    started["token"].run_sync_soon(started["end"].set)
    thread.join(PATIENCE_S)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("service-conflict", ServiceConflictError),
        ("alias-taken", AliasTakenError),
        ("no-identity", NoIdentityError),
        ("of-a-later-daemon", DaemonRefusedError),
    ],
)
def test_a_refusal_is_the_error_that_the_daemon_names(code, kind):
    error = daemon_client._refusal({"code": code, "detail": "web"})
    assert type(error) is kind
    assert "web" in str(error)


def test_the_commands_ask_the_daemon(running, psp, tmp_path, card):
    state = tmp_path / "state"
    options = ("--state", state)
    require_shape(running.ready)
    found = psp("status", *options, "--json").json
    require_shape(found)
    assert (found["running"], found["relays"], found["pid"]) == (True, 7, running.process.pid)
    assert "7 relays (static)" in psp("status", *options).out
    checks = psp("doctor", *options, "--json").json
    require_shape(checks)
    assert checks["daemon"] is True
    assert {check["name"]: check["ok"] for check in checks["checks"]}["guards"] is True
    # without a keystore there is nowhere to keep one
    done = psp("contact", "add", "bob", card, *options, "--json")
    assert (done.code, done.json["error"]["name"]) == (3, "NoIdentityError")
    assert psp("id", "show", *options).code == 3
    assert psp("id", "card", *options, "--json").json["error"]["name"] == "NoIdentityError"
    exposed = psp("expose", "web=127.0.0.1:1", *options, "--json")
    assert exposed.json["error"]["name"] == "NoIdentityError"
    second = psp("up", "--config", tmp_path / "psp.toml", "--json")
    assert second.json["error"]["name"] == "InstanceRunningError"

    code, out, err = running.end()
    assert (code, out) == (0, "")
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "daemon.draining"
    assert list((state / RUN).iterdir()) == []
    assert psp("status", *options).code == 3
