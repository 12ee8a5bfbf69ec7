"""The replay log: what was opened once is known after kill -9, and forgotten in time."""

import subprocess
import sys

import pytest

from peerstream.node.protocol.onion.errors import SetupReplayedError
from peerstream.node.protocol.onion.replay import ReplayFilter, ReplayRecord
from peerstream.node.store import replay_log
from peerstream.node.store.errors import (
    CorruptedFileError,
    ForeignStateError,
    ReplayLogFullError,
    StatePermissionError,
    StateUnavailableError,
)
from peerstream.node.store.replay_log import ReplayLog

BUCKET = 2_000_000
WALL = BUCKET * 600 + 300


def tag(number: int) -> bytes:
    return number.to_bytes(16, "big")


def reload(path, wall: int = WALL) -> dict[int, list[bytes]]:
    with ReplayLog(path, 600) as log:
        return log.load(wall)


def test_tags_survive_a_restart(tmp_path):
    with ReplayLog(tmp_path, 600) as log:
        assert log.load(WALL) == {}
        for number in range(3):
            log.append(ReplayRecord(BUCKET, tag(number)))
        log.append(ReplayRecord(BUCKET + 1, tag(9)))
    assert reload(tmp_path) == {BUCKET: [tag(0), tag(1), tag(2)], BUCKET + 1: [tag(9)]}
    with ReplayLog(tmp_path, 600) as log:
        log.load(WALL)
        log.append(ReplayRecord(BUCKET, tag(3)))
    assert reload(tmp_path)[BUCKET][-1] == tag(3)


def test_a_replay_after_kill_9_is_refused(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from peerstream.node.protocol.onion.replay import ReplayFilter\n"
        "from peerstream.node.store.replay_log import ReplayLog\n"
        "log, known = ReplayLog(Path(sys.argv[1]), 600), ReplayFilter()\n"
        f"log.append(known.insert({BUCKET}, bytes(16), {WALL}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    known = ReplayFilter()
    for bucket, tags in reload(tmp_path).items():
        known.load(bucket, tags)
    with pytest.raises(SetupReplayedError):
        known.check(bytes(16))


@pytest.mark.parametrize("torn", range(1, 16))
def test_a_write_cut_short_is_cut_off(tmp_path, torn):
    with ReplayLog(tmp_path, 600) as log:
        log.append(ReplayRecord(BUCKET, tag(1)))
    path = tmp_path / f"bucket-{BUCKET}"
    path.write_bytes(path.read_bytes() + bytes(torn))
    with ReplayLog(tmp_path, 600) as log:
        assert log.load(WALL) == {BUCKET: [tag(1)]}
        log.append(ReplayRecord(BUCKET, tag(2)))
    assert reload(tmp_path) == {BUCKET: [tag(1), tag(2)]}


@pytest.mark.parametrize("size", range(17))
def test_a_bucket_cut_short_at_its_begin_begins_again(tmp_path, size):
    header = b"PSPrepl1" + BUCKET.to_bytes(8, "big")
    path = tmp_path / f"bucket-{BUCKET}"
    path.touch(mode=0o600)
    path.write_bytes(header[:size])
    with ReplayLog(tmp_path, 600) as log:
        assert log.load(WALL) == {BUCKET: []}
        log.append(ReplayRecord(BUCKET, tag(1)))
    assert reload(tmp_path) == {BUCKET: [tag(1)]}


def test_a_bucket_is_forgotten_when_nobody_may_name_it(tmp_path):
    end = (BUCKET + 2) * 600 + 60
    with ReplayLog(tmp_path, 600) as log:
        log.append(ReplayRecord(BUCKET, tag(1)))
        log.expire(end - 1)
        assert len(list(tmp_path.iterdir())) == 1
        log.expire(end)
        assert list(tmp_path.iterdir()) == []
        log.append(ReplayRecord(BUCKET, tag(1)))
    assert reload(tmp_path, end) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        (f"bucket-{BUCKET}", b"something else entirely", ForeignStateError),
        (f"bucket-{BUCKET}", b"x", ForeignStateError),
        (f"bucket-{BUCKET}", b"PSPrepl1" + bytes(40), CorruptedFileError),
        ("bucket-x", b"", ForeignStateError),
        ("bucket-007", b"", ForeignStateError),
        ("bucket-" + "9" * 30, b"", ForeignStateError),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path, name, data, error):
    path = tmp_path / name
    path.touch(mode=0o600)
    path.write_bytes(data)
    with pytest.raises(error):
        reload(tmp_path)
    assert path.read_bytes() == data


def test_a_log_that_others_can_change_is_refused(tmp_path):
    path = tmp_path / f"bucket-{BUCKET}"
    path.touch()
    path.chmod(0o666)
    with pytest.raises(StatePermissionError):
        reload(tmp_path)


def test_a_bucket_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(replay_log, "TAGS_MAX", 2)
    with ReplayLog(tmp_path, 600) as log:
        log.append(ReplayRecord(BUCKET, tag(1)))
        log.append(ReplayRecord(BUCKET, tag(2)))
        with pytest.raises(ReplayLogFullError):
            log.append(ReplayRecord(BUCKET, tag(3)))


def test_a_full_disk_leaves_no_half_tag(tmp_path, monkeypatch):
    with ReplayLog(tmp_path, 600) as log:
        log.append(ReplayRecord(BUCKET, tag(1)))
        real = replay_log.os.write
        with monkeypatch.context() as patch:
            patch.setattr(replay_log.os, "write", lambda file, data: real(file, data[:5]))
            with pytest.raises(StateUnavailableError):
                log.append(ReplayRecord(BUCKET, tag(2)))
        log.append(ReplayRecord(BUCKET, tag(3)))
    assert reload(tmp_path) == {BUCKET: [tag(1), tag(3)]}
