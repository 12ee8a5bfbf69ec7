"""Whole files across a stream: once, again, cut anywhere, several, changed on the way."""

import hashlib
import os

import pytest
import trio

from peerstream.node.ports import SessionEndedError, StreamError
from peerstream.node.services.files import sender as sender_module
from peerstream.node.services.files.errors import (
    AbortedError,
    DeclinedError,
    EndedEarlyError,
    FileChangedError,
    HostileNameError,
    RefusedError,
    UnreadableFileError,
)
from peerstream.node.services.files.receiver import ReceivedFile, receive_file
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_files
from peerstream.node.services.files.service import FileService, accept_everybody, accept_from
from peerstream.node.services.files.wire import FileStatus
from tests.node.services.files.support import (
    PIECE,
    exchange,
    inbox,
    make_file,
    names_in,
    parts_in,
)
from tests.node.services.memory_streams import CALLEE, CALLER, memory_stream_pair

SIZES = [0, 1, 4_096, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77]


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_arrives_whole(tmp_path, size):
    path = make_file(tmp_path / "a.bin", size)
    outcome = await exchange(path, inbox(tmp_path))
    digest = hashlib.sha256(path.read_bytes()).digest()
    assert outcome.sent == SentFile("a.bin", size, digest, 0)
    assert outcome.received == ReceivedFile(inbox(tmp_path) / "a.bin", size, digest, CALLER, 0)
    assert outcome.received.path.read_bytes() == path.read_bytes()
    assert outcome.received.path.stat().st_mode & 0o777 == 0o600
    assert outcome.received.path.stat().st_nlink == 1
    assert parts_in(inbox(tmp_path)) == []


async def test_a_narrow_stream_is_enough(tmp_path):
    path = make_file(tmp_path / "a.bin", 2 * PIECE + 5)
    outcome = await exchange(path, inbox(tmp_path), streams=memory_stream_pair(capacity=997))
    assert outcome.received.path.read_bytes() == path.read_bytes()


async def test_progress_rises_to_the_size_on_both_sides(tmp_path):
    size = 3 * PIECE + 1
    path = make_file(tmp_path / "a.bin", size)
    ours, theirs = memory_stream_pair()
    hashed, sent, received = [], [], []

    def note(values):
        return lambda done, total: values.append((done, total))

    service = FileService(inbox(tmp_path), accept=accept_everybody, watch=lambda *_: note(received))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        await send_files(ours, [path], progress=note(sent), hashing=note(hashed))
    for values in (hashed, sent, received):
        assert values == sorted(values)
        assert values[-1] == (size, size)
        assert values[-1] == (size, size)
    assert sent == received
    assert sent[0] == (0, size)
    assert len(sent) == 5


async def test_the_same_name_is_never_overwritten(tmp_path):
    directory = inbox(tmp_path)
    (directory / "a.txt").write_text("mine")
    for seed in range(3):
        await exchange(make_file(tmp_path / "a.txt", 10, seed), directory)
    assert names_in(directory) == {"a.txt", "a (1).txt", "a (2).txt", "a (3).txt"}
    assert (directory / "a.txt").read_text() == "mine"


# ---- cut anywhere


async def cut_and_try_again(tmp_path, size, *, sender_bytes=None, receiver_bytes=None):
    """Cut the session after so many bytes of one side, then send again. The second outcome."""
    directory = inbox(tmp_path)
    path = tmp_path / "a.bin"
    if not path.exists():
        make_file(path, size)
    file = await PreparedFile.prepare(path)
    ours, theirs = memory_stream_pair()
    if sender_bytes is not None:
        ours.cut_after(sender_bytes)
    if receiver_bytes is not None:
        theirs.cut_after(receiver_bytes)
    first = await exchange(file, directory, streams=(ours, theirs))
    if not isinstance(first.received, ReceivedFile):
        assert names_in(directory) == set(), "unfinished, and yet it has its name"
        assert isinstance(first.received, SessionEndedError)
    second = await exchange(file, directory)
    assert names_in(directory) == {"a.bin"}
    assert (directory / "a.bin").read_bytes() == path.read_bytes()
    assert parts_in(directory) == []
    assert isinstance(second.sent, SentFile)
    return first, second


async def test_a_session_that_ends_at_any_byte_of_the_sender(tmp_path):
    size = 20
    ours, theirs = memory_stream_pair()
    (tmp_path / "whole").mkdir()
    path = make_file(tmp_path / "a.bin", size)
    await exchange(path, tmp_path / "whole", streams=(ours, theirs))
    for count in range(ours.carried + 1):
        first, second = await cut_and_try_again(tmp_path, size, sender_bytes=count)
        assert isinstance(first.sent, StreamError)
        assert second.sent.again == isinstance(first.received, ReceivedFile)
        (inbox(tmp_path) / "a.bin").unlink()


async def test_a_session_that_ends_at_any_byte_of_the_receiver(tmp_path):
    size = 20
    ours, theirs = memory_stream_pair()
    (tmp_path / "whole").mkdir()
    path = make_file(tmp_path / "a.bin", size)
    await exchange(path, tmp_path / "whole", streams=(ours, theirs))
    lost_receipts = 0
    for count in range(theirs.carried + 1):
        first, second = await cut_and_try_again(tmp_path, size, receiver_bytes=count)
        delivered = isinstance(first.received, ReceivedFile)
        assert second.sent.again == delivered
        assert second.received.again == delivered
        assert second.received.path == inbox(tmp_path) / "a.bin"
        lost_receipts += delivered
        (inbox(tmp_path) / "a.bin").unlink()
    assert lost_receipts >= 40  # every byte of a receipt


@pytest.mark.parametrize("pieces", [1, 3, 5])
async def test_a_resume_goes_on_where_it_stopped(tmp_path, pieces):
    size = 6 * PIECE
    head = 200  # more than greeting, offer, begin and the heads of pieces
    _, second = await cut_and_try_again(tmp_path, size, sender_bytes=pieces * PIECE + head)
    assert second.sent.resumed_at == second.received.resumed_at
    # At most what was on its way to the disk is lost: one piece waits, one is written.
    assert (pieces - 2) * PIECE <= second.sent.resumed_at <= pieces * PIECE
    assert second.sent.resumed_at % PIECE == 0


async def test_a_transfer_gets_through_however_often_it_is_cut(tmp_path):
    path = make_file(tmp_path / "a.bin", 12 * PIECE)
    directory, tries, moved = inbox(tmp_path), 0, 0
    while not names_in(directory):
        ours, theirs = memory_stream_pair(capacity=10_000)
        ours.cut_after(4 * PIECE)
        await exchange(path, directory, streams=(ours, theirs))
        tries, moved = tries + 1, moved + ours.carried
        assert tries < 20
    assert (directory / "a.bin").read_bytes() == path.read_bytes()
    assert moved < 24 * PIECE


async def test_the_sender_is_killed_in_the_middle(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 8 * PIECE)
    ours, theirs = memory_stream_pair()
    service = FileService(directory, accept=accept_everybody)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        with trio.CancelScope() as scope:
            await send_files(
                ours, [path], progress=lambda done, _: done > 3 * PIECE and scope.cancel()
            )
        assert scope.cancelled_caught
    assert service.failures == {"StreamResetError": 1}
    assert names_in(directory) == set()
    second = await exchange(path, directory)
    assert second.sent.resumed_at > 0
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


async def test_the_receiver_is_killed_in_the_middle(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 8 * PIECE)
    ours, theirs = memory_stream_pair()
    scope = trio.CancelScope()

    async def receive() -> None:
        def stop(done, _total):
            if done > 3 * PIECE:
                scope.cancel()

        with scope:
            service = FileService(directory, accept=accept_everybody, watch=lambda *_: stop)
            await service.handle(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        with pytest.raises(StreamError):
            await send_files(ours, [path])
    assert names_in(directory) == set()
    second = await exchange(path, directory)
    assert second.sent.resumed_at >= 3 * PIECE
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("damage", ["flipped", "zeros", "too long"])
async def test_a_damaged_part_costs_a_transfer_and_not_the_file(tmp_path, damage):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 4 * PIECE)
    ours, theirs = memory_stream_pair()
    ours.cut_after(3 * PIECE)
    await exchange(path, directory, streams=(ours, theirs))
    [part] = parts_in(directory)
    data = bytearray(part.read_bytes())
    assert data
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "zeros":
        data[-1_000:] = bytes(1_000)
    else:
        data += os.urandom(9 * PIECE)
    part.write_bytes(data)
    second = await exchange(path, directory)
    assert second.sent.resumed_at == second.received.resumed_at == 0
    assert (directory / "a.bin").read_bytes() == path.read_bytes()


async def test_another_sender_does_not_learn_what_was_sent_before(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 4 * PIECE)
    ours, theirs = memory_stream_pair()
    ours.cut_after(3 * PIECE)
    await exchange(path, directory, streams=(ours, theirs))
    assert len(parts_in(directory)) == 1
    other = await exchange(path, directory, streams=memory_stream_pair(caller=CALLEE))
    assert other.sent.resumed_at == 0
    again = await exchange(path, directory)
    assert again.sent.resumed_at > 0
    assert names_in(directory) == {"a.bin", "a (1).bin"}


# ---- the file changes while it is sent


def change_at(monkeypatch, path, change, read=2):
    """Have `change(path)` called before the piece number `read` is read to be sent."""
    calls = []
    original = sender_module.read_piece

    def read_piece(*arguments):
        calls.append(1)
        if len(calls) == read:
            change(path)
        return original(*arguments)

    monkeypatch.setattr(sender_module, "read_piece", read_piece)


CHANGES = {
    "shorter": lambda path: os.truncate(path, 100),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "other bytes": lambda path: make_file(path, 4 * PIECE, seed=2),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_on_the_way_never_arrives(tmp_path, monkeypatch, change):
    path = make_file(tmp_path / "a.bin", 4 * PIECE)
    change_at(monkeypatch, path, CHANGES[change])
    outcome = await exchange(path, inbox(tmp_path))
    assert isinstance(outcome.sent, FileChangedError)
    assert isinstance(outcome.received, AbortedError)
    assert outcome.received.reason is FileStatus.CHANGED
    assert names_in(inbox(tmp_path)) == set()
    assert parts_in(inbox(tmp_path)) == []


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changed_since_it_was_prepared(tmp_path, change):
    path = make_file(tmp_path / "a.bin", 4 * PIECE)
    file = await PreparedFile.prepare(path)
    CHANGES[change](path)
    outcome = await exchange(file, inbox(tmp_path))
    assert isinstance(outcome.sent, FileChangedError)
    assert isinstance(outcome.received, AbortedError)
    assert names_in(inbox(tmp_path)) == set()


async def test_a_file_that_became_shorter_than_its_part(tmp_path):
    directory, path = inbox(tmp_path), make_file(tmp_path / "a.bin", 4 * PIECE)
    file = await PreparedFile.prepare(path)
    ours, theirs = memory_stream_pair()
    ours.cut_after(3 * PIECE)
    await exchange(file, directory, streams=(ours, theirs))
    os.truncate(path, 10)
    outcome = await exchange(file, directory)
    assert isinstance(outcome.sent, FileChangedError)
    assert parts_in(directory) == []


async def test_a_file_that_is_gone_is_given_up(tmp_path):
    path = make_file(tmp_path / "a.bin", 4 * PIECE)
    file = await PreparedFile.prepare(path)
    path.unlink()
    outcome = await exchange(file, inbox(tmp_path))
    assert isinstance(outcome.sent, UnreadableFileError)
    assert isinstance(outcome.received, AbortedError)
    assert outcome.received.reason is FileStatus.UNREADABLE


async def test_only_plain_files_are_sent(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(UnreadableFileError):
            await PreparedFile.prepare(path)
    hidden = make_file(tmp_path / ".env", 5)
    with pytest.raises(HostileNameError):
        await PreparedFile.prepare(hidden)
    assert (await PreparedFile.prepare(hidden, name="env")).offer.name == "env"


# ---- policy, and several files


async def test_a_file_that_is_not_wanted_is_refused_by_name(tmp_path):
    path = make_file(tmp_path / "a.bin", 10)
    seen = []

    async def accept(offer, peer):
        seen.append((offer.name, offer.size, peer.address))
        return False

    outcome = await exchange(path, inbox(tmp_path), accept=accept)
    assert isinstance(outcome.sent, RefusedError)
    assert outcome.sent.reason is FileStatus.DECLINED
    assert isinstance(outcome.received, DeclinedError)
    assert seen == [("a.bin", 10, CALLER)]
    assert names_in(inbox(tmp_path)) == set()


async def test_files_are_taken_only_from_whom_the_policy_names(tmp_path):
    path = make_file(tmp_path / "a.bin", 10)
    only = accept_from({CALLEE})
    assert isinstance((await exchange(path, inbox(tmp_path), accept=only)).sent, RefusedError)
    streams = memory_stream_pair(caller=CALLEE)
    outcome = await exchange(path, inbox(tmp_path), streams=streams, accept=only)
    assert isinstance(outcome.sent, SentFile)


async def test_several_files_go_over_one_stream(tmp_path):
    paths = [make_file(tmp_path / f"{n}.bin", n * PIECE // 2, n) for n in range(5)]
    received = []

    async def on_received(file):
        received.append(file)

    service = FileService(inbox(tmp_path), accept=accept_everybody, on_received=on_received)
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.handle, theirs)
        sent = await send_files(ours, paths)
    assert [file.name for file in sent] == [path.name for path in paths]
    assert [file.path.read_bytes() for file in received] == [path.read_bytes() for path in paths]
    assert parts_in(inbox(tmp_path)) == []
    assert service.failures == {}
    assert theirs.closed


async def test_a_receiver_of_one_file_takes_one(tmp_path):
    paths = [make_file(tmp_path / f"{n}.bin", 10, n) for n in range(2)]
    ours, theirs = memory_stream_pair()
    outcome = None

    async def send():
        nonlocal outcome
        try:
            await send_files(ours, paths)
        except (StreamError, EndedEarlyError) as error:
            outcome = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await receive_file(theirs, inbox(tmp_path), accept=accept_everybody)
    assert outcome is not None
    assert names_in(inbox(tmp_path)) == {"0.bin"}
    assert parts_in(inbox(tmp_path)) == []
