"""The state directory and its small files: private, whole, ours, and for one process."""

import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peerstream.node.protocol.directory.guards import GuardState, Term
from peerstream.node.protocol.directory.static import StaticPin
from peerstream.node.store import files
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    InstanceRunningError,
    StatePermissionError,
    StateUnavailableError,
    StateVersionError,
    StoreError,
)
from peerstream.node.store.guard_state import load_guards, load_pin, save_guards, save_pin
from peerstream.node.store.state import StateDirectory, default_path

NETWORK = bytes(range(32))
GUARDS = GuardState(NETWORK, guards=(Term(bytes(32), 5),))


def mode(path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_directory_is_private(tmp_path):
    path = tmp_path / "a" / "state"
    with StateDirectory.open(path) as state:
        assert mode(path) == 0o700
        assert {child.name: mode(child) for child in path.iterdir()} == {
            "lock": 0o600,
            "state.json": 0o600,
            "run": 0o700,
        }
        assert mode(state.directory("replay")) == 0o700
    with StateDirectory.open(path):
        pass


def test_the_umask_does_not_matter(tmp_path):
    before = os.umask(0)
    try:
        with StateDirectory.open(tmp_path / "state") as state:
            files.write_whole(state.file("x"), b"x")
            assert mode(state.path) == 0o700
            assert mode(state.file("x")) == 0o600
    finally:
        os.umask(before)


def test_a_second_instance_is_kept_out(tmp_path):
    path = tmp_path / "state"
    with StateDirectory.open(path), pytest.raises(InstanceRunningError):
        StateDirectory.open(path)
    StateDirectory.open(path).close()


def test_a_killed_process_holds_no_lock(tmp_path):
    path = tmp_path / "state"
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from peerstream.node.store.state import StateDirectory\n"
        "state = StateDirectory.open(Path(sys.argv[1]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    StateDirectory.open(path).close()


def test_a_directory_of_somebody_else_is_left_alone(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ForeignStateError):
        StateDirectory.open(tmp_path)
    assert [child.name for child in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("leftover", ["lock", "state.json.new", "run"])
def test_what_a_start_that_was_killed_left_is_ours(tmp_path, leftover):
    tmp_path.chmod(0o700)
    if leftover == "run":
        (tmp_path / leftover).mkdir(mode=0o700)
    else:
        (tmp_path / leftover).touch(mode=0o600)
    StateDirectory.open(tmp_path).close()


def test_a_directory_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    path.chmod(0o755)
    with pytest.raises(StatePermissionError):
        StateDirectory.open(path)


def test_a_file_in_its_place_is_refused(tmp_path):
    path = tmp_path / "state"
    path.write_text("x")
    with pytest.raises(StateUnavailableError):
        StateDirectory.open(path)


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ('{"schema": "psp.state", "version": 3}', StateVersionError),
        ('{"schema": "psp.state", "version": 0}', CorruptedFileError),
        ('{"schema": "psp.state"}', CorruptedFileError),
        ('{"schema": "other", "version": 1}', ForeignStateError),
        ("[1]", ForeignStateError),
        ("", CorruptedFileError),
        ("{", CorruptedFileError),
        ("[" * 250, CorruptedFileError),
        (" " * 300, CorruptedFileError),
    ],
)
def test_a_marker_that_is_not_ours_is_left_alone(tmp_path, marker, error):
    path = tmp_path / "state"
    StateDirectory.open(path).close()
    (path / "state.json").write_text(marker)
    for _ in range(2):
        with pytest.raises(error):
            StateDirectory.open(path)
    assert (path / "state.json").read_text() == marker


def test_each_name_has_its_place():
    assert default_path("relay").name == "relay"
    assert default_path("relay") != default_path("client")


def test_a_torn_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    files.write_whole(path, b"old")
    for step in ("fsync", "replace"):

        def fail(*args):
            raise OSError(28, "No space left on device")

        owner = os if step == "fsync" else files.Path
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, fail)
            with pytest.raises(StateUnavailableError, match="No space"):
                files.write_whole(path, b"new and longer")
        assert files.read_private(path, 100) == b"old"
    files.write_whole(path, b"new")
    assert files.read_private(path, 100) == b"new"
    assert [child.name for child in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_touch_is_refused(tmp_path, bits):
    path = tmp_path / "x"
    files.write_whole(path, b"secret")
    path.chmod(bits)
    with pytest.raises(StatePermissionError):
        files.read_private(path, 100)


def test_only_plain_files_of_a_bounded_size_are_read(tmp_path):
    path = tmp_path / "x"
    files.write_whole(path, b"12345")
    with pytest.raises(CorruptedFileError):
        files.read_private(path, 4)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(StateUnavailableError):
        files.read_private(link, 10)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ForeignStateError):
        files.read_private(pipe, 10)
    assert files.read_private(tmp_path / "none", 10) is None


def test_guards_survive_a_restart(tmp_path):
    path = tmp_path / "guards"
    assert load_guards(path, NETWORK) == GuardState(NETWORK)
    save_guards(path, GUARDS)
    assert load_guards(path, NETWORK) == GUARDS
    with pytest.raises(ForeignStateError):
        load_guards(path, bytes(32))


def test_pins_survive_a_restart(tmp_path):
    path = tmp_path / "pin"
    assert load_pin(path) == StaticPin()
    save_pin(path, StaticPin(7, NETWORK))
    assert load_pin(path) == StaticPin(7, NETWORK)
    with pytest.raises(ForeignStateError):
        load_guards(path, NETWORK)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_named_and_left_alone(tmp_path, data):
    path = tmp_path / "guards"
    save_guards(path, GUARDS)
    sample = path.read_bytes()
    place = data.draw(st.integers(0, len(sample) - 1))
    cut = data.draw(st.booleans())
    flipped = bytes([sample[place] ^ data.draw(st.integers(1, 255))])
    bad = sample[:place] if cut else sample[:place] + flipped + sample[place + 1 :]
    path.write_bytes(bad)
    with pytest.raises((CorruptedFileError, ForeignStateError)):
        load_guards(path, NETWORK)
    assert path.read_bytes() == bad


def test_every_store_error_says_what_to_do():
    assert all(error.__doc__ for error in StoreError.__subclasses__())
