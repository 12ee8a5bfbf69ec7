"""Sockets of a running daemon: ours alone, of any length, and gone with it."""

import socket

import pytest

from peerstream.node.store import run_folder
from peerstream.node.store.errors import (
    DaemonNotRunningError,
    StatePermissionError,
    StateUnavailableError,
)
from peerstream.node.store.state import StateDirectory


@pytest.fixture
def folder(tmp_path):
    with StateDirectory.open(tmp_path / "state") as state:
        yield state.directory("run")


def greet(folder):
    with (
        run_folder.listen(folder, "x.sock") as server,
        run_folder.connect(folder, "x.sock") as client,
    ):
        taken, _ = server.accept()
        with taken:
            taken.send(b"hello")
            assert client.recv(5) == b"hello"


def test_the_socket_is_ours_alone(folder):
    with run_folder.listen(folder, "x.sock"):
        assert (folder / "x.sock").stat().st_mode & 0o777 == 0o600
    run_folder.empty(folder)
    assert list(folder.iterdir()) == []


def test_a_path_longer_than_the_kernel_takes(tmp_path):
    path = tmp_path / ("a" * 100) / ("b" * 100)
    with StateDirectory.open(path) as state:
        greet(state.directory("run"))
        with socket.socket(socket.AF_UNIX) as plain, pytest.raises(OSError, match="too long"):
            plain.connect(str(path / "run" / "x.sock"))


def test_where_no_daemon_runs(folder, tmp_path):
    with pytest.raises(DaemonNotRunningError):
        run_folder.connect(folder, "x.sock")
    run_folder.listen(folder, "x.sock").close()  # a killed one leaves its socket behind
    with pytest.raises(DaemonNotRunningError):
        run_folder.connect(folder, "x.sock")
    with pytest.raises(DaemonNotRunningError):
        run_folder.connect(tmp_path / "none", "x.sock")


def test_a_folder_that_others_may_write_is_no_way_to_a_daemon(folder):
    folder.chmod(0o777)
    with pytest.raises(StatePermissionError):
        run_folder.listen(folder, "x.sock")
    with pytest.raises(StatePermissionError):
        run_folder.connect(folder, "x.sock")


def test_a_link_in_place_of_the_folder_is_not_followed(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(StateUnavailableError):
        run_folder.listen(link, "x.sock")
