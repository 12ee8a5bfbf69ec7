"""How much a receiver takes: of its disk, of one address, at a time."""

import errno
import os
import resource

import pytest
import trio

from peerstream.node.services.files import parts, room
from peerstream.node.services.files.errors import (
    BusyError,
    DiskFullError,
    QuotaError,
    RefusedError,
    StorageError,
)
from peerstream.node.services.files.limits import Limits
from peerstream.node.services.files.parts import PART, PARTS_DIRECTORY
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_file, send_files
from peerstream.node.services.files.service import FileService, accept_everybody
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
from tests.node.services.memory_streams import CALLEE, CALLER, memory_stream_pair

# ---- no room


async def test_a_disk_that_fills_up_in_the_middle(tmp_path):
    """A limit on the size of files stands in for the disk: the kernel refuses the write."""
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 8 * PIECE)
    file = await PreparedFile.prepare(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * PIECE + 1_000, hard))
    try:
        await require_refused(file, directory, FileStatus.NO_SPACE, DiskFullError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(directory) == set()
    outcome = await exchange(file, directory)
    assert outcome.sent.resumed_at == 3 * PIECE + 1_000
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


async def test_an_offer_that_cannot_fit_is_refused_before_a_byte_moves(tmp_path):
    path = make_file(tmp_path / "a.bin", 9)
    limits = Limits(spare_bytes=1 << 62)
    await require_refused(path, inbox(tmp_path), FileStatus.NO_SPACE, DiskFullError, limits=limits)
    assert parts_in(inbox(tmp_path)) == []


async def test_a_disk_that_breaks_is_told_to_the_sender(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error")

    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 9)
    monkeypatch.setattr(parts.os, "fsync", refuse)
    await require_refused(path, directory, FileStatus.STORAGE, StorageError)
    monkeypatch.undo()
    assert names_in(directory) == set()
    assert (await exchange(path, directory)).sent.resumed_at == 9


async def test_a_file_system_without_links_is_refused(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(parts.os, "link", refuse)
    path = make_file(tmp_path / "a.bin", 9)
    await require_refused(path, inbox(tmp_path), FileStatus.STORAGE, StorageError)
    assert names_in(inbox(tmp_path)) == set()


async def test_the_oldest_parts_make_room(tmp_path, monkeypatch):
    directory = inbox(tmp_path)
    old = await cut(make_file(tmp_path / "1.bin", 6 * PIECE, 1), directory)
    new = await cut(make_file(tmp_path / "2.bin", 6 * PIECE, 2), directory, caller=CALLEE)
    os.utime(old, (1, 1))
    os.utime(new, (2, 2))

    def free_bytes(_parts):
        return 17 * PIECE // 2 - sum(part.stat().st_size for part in parts_in(directory))

    monkeypatch.setattr(room, "_free_bytes", free_bytes)
    path = make_file(tmp_path / "3.bin", 6 * PIECE, 3)
    outcome = await exchange(path, directory, limits=Limits(spare_bytes=PIECE))
    assert isinstance(outcome.sent, SentFile)
    assert parts_in(directory) == [new]


async def test_a_part_that_is_being_written_never_makes_room(tmp_path):
    directory = inbox(tmp_path)
    path = make_file(tmp_path / "a.bin", 6 * PIECE)
    other = make_file(tmp_path / "b.bin", 6 * PIECE, 2)
    halfway, seen = trio.Event(), []

    def watch(_offer, _peer):
        return lambda done, _total: halfway.set() if done > PIECE else None

    service = FileService(directory, accept=accept_everybody, watch=watch)
    ours, theirs = memory_stream_pair(capacity=PIECE // 4)
    greedy = Limits(spare_bytes=1 << 62)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        nursery.start_soon(send_file, ours, path)
        await halfway.wait()
        seen.append(await exchange(other, directory, limits=greedy))
    assert isinstance(seen[0].received, DiskFullError)
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


async def test_one_sender_keeps_so_many_parts_and_no_more(tmp_path):
    directory = inbox(tmp_path)
    others = await cut(make_file(tmp_path / "o.bin", 6 * PIECE, 9), directory, caller=CALLEE)
    os.utime(others, (1, 1))
    mine = []
    for seed in range(4):
        mine.append(await cut(make_file(tmp_path / "a.bin", 6 * PIECE, seed), directory))
        os.utime(mine[-1], (10 + seed, 10 + seed))
    path = make_file(tmp_path / "a.bin", 9, 5)
    await exchange(path, directory, limits=Limits(sender_parts=2))
    assert set(parts_in(directory)) == {others, mine[3]}


async def test_files_of_others_in_the_place_for_parts_are_left_alone(tmp_path):
    directory = inbox(tmp_path)
    await exchange(make_file(tmp_path / "a.bin", 9), directory)
    foreign = directory / PARTS_DIRECTORY / "notes.txt"
    foreign.write_text("mine")
    limits = Limits(sender_parts=0, spare_bytes=1 << 62)
    await exchange(make_file(tmp_path / "b.bin", 9), directory, limits=limits)
    assert parts_in(directory) == [foreign]


# ---- how much, and how many at a time


async def send_all(service: FileService, paths, caller=CALLER) -> list[SentFile]:
    ours, theirs = memory_stream_pair(caller=caller)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        try:
            return await send_files(ours, paths)
        except RefusedError as error:
            return [error.reason]


async def test_one_address_sends_so_much_and_no_more(tmp_path):
    limits = Limits(sender_bytes=2 * (PIECE + 4_096))
    service = FileService(inbox(tmp_path), accept=accept_everybody, limits=limits)
    paths = [make_file(tmp_path / f"{n}.bin", PIECE, n) for n in range(3)]
    assert await send_all(service, paths) == [FileStatus.QUOTA]
    assert names_in(inbox(tmp_path)) == {"0.bin", "1.bin"}
    assert service.failures == {QuotaError.__name__: 1}
    assert len(await send_all(service, paths[2:], caller=CALLEE)) == 1


async def test_empty_files_are_not_free(tmp_path):
    limits = Limits(sender_bytes=3 * 4_096)
    service = FileService(inbox(tmp_path), accept=accept_everybody, limits=limits)
    paths = [make_file(tmp_path / f"{n}.bin", 0) for n in range(4)]
    assert await send_all(service, paths) == [FileStatus.QUOTA]
    assert len(names_in(inbox(tmp_path))) == 3


async def test_what_did_not_arrive_is_given_back(tmp_path):
    limits = Limits(sender_bytes=10 * PIECE)
    service = FileService(inbox(tmp_path), accept=accept_everybody, limits=limits)
    path = make_file(tmp_path / "a.bin", 6 * PIECE)
    for _ in range(3):
        ours, theirs = memory_stream_pair(capacity=1_000)
        ours.cut_after(PIECE + 2_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.handle, theirs)
            with pytest.raises(Exception, match="session ended"):
                await send_file(ours, path)
    [sent] = await send_all(service, [path])
    assert sent.resumed_at == 3 * PIECE


async def test_a_file_larger_than_allowed_is_refused(tmp_path):
    service = FileService(inbox(tmp_path), accept=accept_everybody, limits=Limits(file_bytes=10))
    assert await send_all(service, [make_file(tmp_path / "a.bin", 11)]) == [FileStatus.TOO_LARGE]
    assert len(await send_all(service, [make_file(tmp_path / "a.bin", 10)])) == 1


@pytest.mark.parametrize(
    ("limits", "caller", "same", "refused"),
    [
        (Limits(), CALLER, True, True),
        (Limits(sender_files=1), CALLER, False, True),
        (Limits(sender_files=1), CALLEE, False, False),
        (Limits(files=1), CALLEE, False, True),
    ],
    ids=["the same file", "one address", "two addresses", "all together"],
)
async def test_so_many_files_at_a_time(tmp_path, limits, caller, same, refused):
    path = make_file(tmp_path / "a.bin", 6 * PIECE)
    other = path if same else make_file(tmp_path / "b.bin", 6 * PIECE, 2)
    halfway = trio.Event()

    def watch(_offer, _peer):
        return lambda done, _total: halfway.set() if done > PIECE else None

    service = FileService(inbox(tmp_path), accept=accept_everybody, watch=watch, limits=limits)
    ours, theirs = memory_stream_pair(capacity=PIECE // 4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        nursery.start_soon(send_file, ours, path)
        await halfway.wait()
        [second] = await send_all(service, [other], caller=caller)
    assert (second is FileStatus.BUSY) == refused
    assert service.failures == ({BusyError.__name__: 1} if refused else {})
    assert (inbox(tmp_path) / "a.bin").read_bytes() == path.read_bytes()
    assert [part for part in parts_in(inbox(tmp_path)) if part.suffix == PART] == []
