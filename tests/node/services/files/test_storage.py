"""What lies on the receiver's disk: private, never followed, never overwritten."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from peerstream.node.services.files import parts
from peerstream.node.services.files.errors import (
    AbortedError,
    BusyError,
    StorageError,
    UnreadableFileError,
    UnsafeDirectoryError,
)
from peerstream.node.services.files.parts import MARK, PART, PARTS_DIRECTORY, PartKey
from peerstream.node.services.files.receiver import ReceivedFile
from peerstream.node.services.files.sender import PreparedFile
from peerstream.node.services.files.wire import FileStatus
from tests.node.services.files.support import (
    PIECE,
    cut,
    exchange,
    inbox,
    make_file,
    names_in,
    parts_in,
    require_refused,
)
from tests.node.services.memory_streams import CALLER


async def key_of(path: Path) -> PartKey:
    offer = (await PreparedFile.prepare(path)).offer
    return PartKey(CALLER, offer.sha256, offer.size)


# ---- whose it is


async def test_what_is_unfinished_is_private(tmp_path):
    before = os.umask(0)
    try:
        part = await cut(make_file(tmp_path / "a.bin", 6 * PIECE), inbox(tmp_path))
    finally:
        os.umask(before)
    assert part.stat().st_mode & 0o777 == 0o600
    assert part.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "mode", "file"])
async def test_a_place_for_parts_that_is_not_ours_is_not_used(tmp_path, kind):
    directory, elsewhere = inbox(tmp_path), tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = directory / PARTS_DIRECTORY
    if kind == "link":
        place.symlink_to(elsewhere)
    elif kind == "mode":
        place.mkdir()
        place.chmod(0o770)
    else:
        place.write_text("")
    outcome = await exchange(make_file(tmp_path / "a.bin", 9), directory)
    assert isinstance(outcome.received, StorageError)
    assert isinstance(outcome.sent, Exception)
    assert names_in(directory) == set()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "mode", "directory"])
async def test_a_part_that_is_not_ours_is_not_written(tmp_path, kind):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 6 * PIECE)
    target = tmp_path / "target"
    part = await cut(path, directory)
    if kind == "mode":
        part.chmod(0o644)
    else:
        part.unlink()
    if kind == "link":
        target.write_text("precious")
        part.symlink_to(target)
    elif kind == "dangling":
        part.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(part, 0o600)
    elif kind == "directory":
        part.mkdir()
    error = UnsafeDirectoryError if kind in {"pipe", "mode"} else StorageError
    await require_refused(path, directory, FileStatus.STORAGE, error)
    assert names_in(directory) == set()
    if kind == "link":
        assert target.read_text() == "precious"
    else:
        assert not target.exists()


async def test_a_part_with_a_second_name_is_never_written(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 6 * PIECE)
    part = await cut(path, directory)
    mine = tmp_path / "mine"
    os.link(part, mine)
    before = mine.read_bytes()
    outcome = await exchange(path, directory)
    assert outcome.sent.resumed_at == 0
    assert mine.read_bytes() == before
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", ["link", "dangling", "directory", "file"])
async def test_a_name_that_is_taken_stays_what_it_is(tmp_path, kind):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 9)
    target, taken = tmp_path / "target", directory / "a.bin"
    if kind == "link":
        target.write_text("precious")
        taken.symlink_to(target)
    elif kind == "dangling":
        taken.symlink_to(target)
    elif kind == "directory":
        taken.mkdir()
    else:
        taken.write_text("precious")
    outcome = await exchange(path, directory)
    assert outcome.received.path == directory / "a (1).bin"
    assert outcome.received.path.read_bytes() == path.read_bytes()
    assert target.exists() == (kind == "link")
    if kind in {"link", "file"}:
        assert taken.read_text() == "precious"


async def test_a_directory_that_is_not_there_is_named(tmp_path):
    outcome = await exchange(make_file(tmp_path / "a.bin", 9), tmp_path / "nowhere")
    assert isinstance(outcome.received, StorageError)
    assert "nowhere" not in str(outcome.received)


# ---- killed between two steps


async def test_killed_after_the_link_and_before_the_removal(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 999)
    await exchange(path, directory)
    key = await key_of(path)
    place = directory / PARTS_DIRECTORY
    os.link(directory / "a.bin", place / (key.stem + PART))
    (place / (key.stem + MARK)).write_text("a.bin")
    (place / (key.stem + MARK)).chmod(0o600)
    outcome = await exchange(path, directory)
    assert outcome.sent.again
    assert outcome.received == ReceivedFile(
        directory / "a.bin", 999, key.sha256, CALLER, 999, again=True
    )
    assert names_in(directory) == {"a.bin"}
    assert parts_in(directory) == []


async def test_killed_after_the_mark_and_before_the_link(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 6 * PIECE)
    part = await cut(path, directory)
    mark = part.with_suffix(MARK)
    mark.write_text("a.bin")
    mark.chmod(0o600)
    outcome = await exchange(path, directory)
    assert not outcome.sent.again
    assert outcome.sent.resumed_at > 0
    assert (directory / "a.bin").read_bytes() == path.read_bytes()
    assert parts_in(directory) == []


@pytest.mark.parametrize("torn", [b"", b"\xff\xfe", b"../../x", b"x" * 300])
async def test_a_torn_mark_counts_for_nothing(tmp_path, torn):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 999)
    await exchange(path, directory)
    (directory / "a.bin").unlink()
    mark = directory / PARTS_DIRECTORY / ((await key_of(path)).stem + MARK)
    mark.write_bytes(torn)
    mark.chmod(0o600)
    outcome = await exchange(path, directory)
    assert not outcome.sent.again
    assert (directory / "a.bin").read_bytes() == path.read_bytes()
    assert parts_in(directory) == []


KILLED = """
import os, signal, sys
from pathlib import Path
import trio
from peerstream.node.services.files.service import FileService, accept_everybody
from peerstream.node.services.files.sender import send_file
from tests.node.services.memory_streams import memory_stream_pair

def die(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    ours, theirs = memory_stream_pair()
    service = FileService(Path(sys.argv[2]), accept=accept_everybody, watch=lambda *_: die)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        await send_file(ours, Path(sys.argv[1]))

trio.run(main)
"""


async def test_a_process_killed_in_the_middle_leaves_what_arrived(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 8 * PIECE)
    root = Path(__file__).parents[4]
    command = [sys.executable, "-c", KILLED, str(path), str(directory)]
    done = subprocess.run(command, cwd=root, check=False)  # noqa: ASYNC221 -- it is all there is
    assert done.returncode == -signal.SIGKILL
    assert names_in(directory) == set()
    outcome = await exchange(path, directory)
    assert outcome.sent.resumed_at >= 4 * PIECE
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


# ---- races and disks that break


@pytest.mark.parametrize("times", [1, 3])
async def test_a_part_that_vanishes_between_opening_and_locking(tmp_path, monkeypatch, times):
    """Another stream finishes the same file at that moment: its name must not be taken for ours."""
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 6 * PIECE)
    part, honest, left = await cut(path, directory), parts.lock, [times]

    def lock(descriptor):
        if left[0]:
            left[0] -= 1
            part.unlink()
        return honest(descriptor)

    monkeypatch.setattr(parts, "lock", lock)
    if times == 3:
        await require_refused(path, directory, FileStatus.BUSY, BusyError)
    else:
        assert (await exchange(path, directory)).sent.resumed_at == 0
        assert (directory / "a.bin").read_bytes() == path.read_bytes()


def break_reads_of(monkeypatch, suffix):
    """Have the disk refuse to read files with this ending, as a failing one does."""
    honest = os.pread, os.preadv

    def broken(call):
        def read(descriptor, *arguments):
            if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == suffix:
                raise OSError(errno.EIO, "Input/output error")
            return call(descriptor, *arguments)

        return read

    monkeypatch.setattr(os, "pread", broken(honest[0]))
    monkeypatch.setattr(os, "preadv", broken(honest[1]))


async def test_a_part_that_cannot_be_read_is_told_to_the_sender(tmp_path, monkeypatch):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 6 * PIECE)
    await cut(path, directory)
    break_reads_of(monkeypatch, PART)
    await require_refused(path, directory, FileStatus.STORAGE, StorageError)


async def test_a_file_that_cannot_be_read_is_told_to_the_receiver(tmp_path, monkeypatch):
    file = await PreparedFile.prepare(make_file(tmp_path / "a.bin", 2 * PIECE))
    break_reads_of(monkeypatch, ".bin")
    with pytest.raises(UnreadableFileError):
        await PreparedFile.prepare(tmp_path / "a.bin")
    outcome = await exchange(file, inbox(tmp_path))
    assert isinstance(outcome.sent, UnreadableFileError)
    assert isinstance(outcome.received, AbortedError)
    assert outcome.received.reason is FileStatus.UNREADABLE
