"""The record of a network on its own: it survives, and never names somebody else's process."""

import json
import os
import signal
import subprocess
import sys

import pytest

from peerstream.node.lab.errors import NotRunningError
from peerstream.node.lab.kernel import start_ticks
from peerstream.node.lab.record import FILE, NetworkRecord, forget
from peerstream.node.store.errors import CorruptedFileError, StatePermissionError, StoreError

SLEEP = "import signal, time; signal.signal(signal.SIGTERM, {}); print(flush=True); time.sleep(60)"


@pytest.fixture
def started():
    processes = []

    def start(on_terminate="signal.SIG_DFL"):
        process = subprocess.Popen(
            [sys.executable, "-c", SLEEP.format(on_terminate)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def test_a_record_is_read_back_and_ends_what_it_names(tmp_path, started, monkeypatch):
    monkeypatch.setattr("peerstream.node.lab.record.ENDING_S", 0.2)
    server, stubborn = started(), started("signal.SIG_IGN")
    NetworkRecord.of(server.pid, [stubborn.pid], {"rpc_url": "x"}).save(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    record = NetworkRecord.load(tmp_path)
    assert record.description == {"rpc_url": "x"}
    assert record.is_running
    assert sorted(record.end()) == sorted([server.pid, stubborn.pid])
    assert record.alive == []
    assert (server.wait(), stubborn.wait()) == (-signal.SIGTERM, -signal.SIGKILL)
    assert record.end() == []
    forget(tmp_path)
    forget(tmp_path)
    with pytest.raises(NotRunningError):
        NetworkRecord.load(tmp_path)


def test_an_id_that_is_used_again_is_left_alone(started):
    other = started()
    ticks = start_ticks(other.pid)
    assert ticks is not None
    record = NetworkRecord(other.pid, {other.pid: ticks - 1}, {})
    assert not record.is_running
    assert record.end() == []
    assert other.poll() is None


def test_a_process_that_is_gone_is_not_recorded(started):
    gone = started()
    gone.kill()
    gone.wait()
    record = NetworkRecord.of(os.getpid(), [gone.pid], {})
    assert list(record.processes) == [os.getpid()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        '{"schema": "psp.lab/2"}',
        '{"schema": "psp.lab/1", "server": "x", "processes": {}, "description": {}}',
        '{"schema": "psp.lab/1", "server": 1, "processes": [], "description": {}}',
        '{"schema": "psp.lab/1", "server": 1, "processes": {"1": null}, "description": {}}',
        '{"schema": "psp.lab/1", "server": 1, "processes": {}}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_record_is_named(tmp_path, text):
    path = tmp_path / FILE
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(CorruptedFileError):
        NetworkRecord.load(tmp_path)


def test_a_record_that_others_could_have_written_is_refused(tmp_path):
    path = tmp_path / FILE
    found = {"schema": "psp.lab/1", "server": 1, "processes": {"1": 1}, "description": {}}
    path.write_text(json.dumps(found))
    path.chmod(0o666)
    with pytest.raises(StatePermissionError):
        NetworkRecord.load(tmp_path)
    assert issubclass(StatePermissionError, StoreError)
