"""The configuration of a daemon: which source wins, and every fault by its name."""

from pathlib import Path

import pytest

from peerstream.node.library.daemon.configuration import FILE_MAX, Configuration
from peerstream.node.library.daemon.errors import (
    ConfigurationFileError,
    NotLoopbackError,
    SettingError,
    UnknownSettingError,
)


@pytest.fixture(autouse=True)
def _nobody_s_environment(monkeypatch, tmp_path):
    for name in ("PSP_NETWORK", "PSP_STATE", "PSP_CONFIG", "PSP_RELAY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "psp.toml"
        path.write_text(text)
        return path

    return write


def test_the_defaults_are_those_of_the_spec():
    found = Configuration.load()
    assert (found.gateway.socks, found.gateway.http) == ("127.0.0.1:9450", "127.0.0.1:8181")
    assert found.gateway.extended_errors is False
    assert (found.api.socket, found.api.tcp, found.api.streams) == (True, "off", True)
    assert (found.log.level, found.log.format, found.level) == ("info", "auto", "anonymous")


def test_flags_win_over_environment_over_file(written, monkeypatch):
    file = written('level = "private"\n[gateway]\nsocks = "127.0.0.1:1"\nhttp = "127.0.0.1:2"\n')
    monkeypatch.setenv("PSP_GATEWAY__HTTP", "off")
    monkeypatch.setenv("PSP_LOG__LEVEL", "debug")
    found = Configuration.load(file, {"log": {"level": "error"}})
    assert found.level == "private"
    assert (found.gateway.socks, found.gateway.http) == ("127.0.0.1:1", "off")
    assert found.log.level == "error"


def test_a_path_counts_from_where_it_is_written(written, monkeypatch, tmp_path):
    monkeypatch.setenv("PSP_RELAY_FILE", "relays.psp")
    found = Configuration.load(written('network = "network.json"\n'), {"state": Path("here")})
    assert found.network == tmp_path / "network.json"
    assert found.relay_file == Path.cwd() / "relays.psp"
    assert found.state == Path.cwd() / "here"


def test_the_user_s_own_file_is_found(written, tmp_path, monkeypatch):
    own = tmp_path / "xdg" / "peerstream" / "psp.toml"
    own.parent.mkdir(parents=True)
    own.write_text('level = "private"')
    assert Configuration.load().level == "private"
    monkeypatch.setenv("PSP_CONFIG", str(written('[log]\nformat = "json"')))
    assert (Configuration.load().level, Configuration.load().log.format) == ("anonymous", "json")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("netwrk = 1", "netwrk; did you mean network?"),
        ("[gatewy]", "gatewy; did you mean gateway?"),
        ('[gateway]\nsock = "off"', "gateway.sock; did you mean gateway.socks?"),
        ("[api]\nxyzzy = 1", "api.xyzzy"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(written, text, hint):
    with pytest.raises(UnknownSettingError) as caught:
        Configuration.load(written(text))
    assert str(caught.value) == f"there is no setting {hint}"


def test_an_unknown_key_of_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("PSP_API__TPC", "off")
    with pytest.raises(UnknownSettingError, match=r"did you mean api\.tcp"):
        Configuration.load()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("level = 3", SettingError),
        ('[gateway]\nsocks = "localhost:1"', SettingError),
        ('[gateway]\nsocks = "127.0.0.1:70000"', SettingError),
        ('[gateway]\nsocks = "127.0.0.1"', SettingError),
        ('[gateway]\nsocks = "999.0.0.1:1"', SettingError),
        ('[gateway]\nsocks = "0.0.0.0:1"', NotLoopbackError),
        ('[api]\ntcp = "192.0.2.1:1"', NotLoopbackError),
        ('[api]\ntcp = "[2001:db8::1]:1"', NotLoopbackError),
        ('source_address = "here"', SettingError),
        ("network = 1", SettingError),
        ("gateway = 1", SettingError),
        ("a = ", ConfigurationFileError),
        ("a = " + "[" * 5_000, ConfigurationFileError),
        ("#" * (FILE_MAX + 1), ConfigurationFileError),
    ],
)
def test_every_fault_has_a_name(written, text, error):
    with pytest.raises(error):
        Configuration.load(written(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationFileError, match="No such file"):
        Configuration.load(tmp_path / "none.toml")


def test_loopback_of_both_families(written):
    found = Configuration.load(written('[gateway]\nsocks = "[::1]:5"\nhttp = "127.9.9.9:6"'))
    assert (found.gateway.socks, found.gateway.http) == ("[::1]:5", "127.9.9.9:6")
