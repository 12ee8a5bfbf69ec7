"""A sender and a receiver over one pair of streams in memory, and what they leave behind."""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import trio

from peerstream.node.services.files.errors import RefusedError
from peerstream.node.services.files.parts import PARTS_DIRECTORY
from peerstream.node.services.files.receiver import ReceivedFile, receive_file
from peerstream.node.services.files.sender import PreparedFile, SentFile, send_file
from peerstream.node.services.files.service import accept_everybody
from tests.node.services.memory_streams import CALLER, MemoryStream, memory_stream_pair

PIECE = 262_144


@dataclass
class Outcome:
    """What each side returned or raised."""

    sent: SentFile | Exception | None = None
    received: ReceivedFile | Exception | None = None


def make_file(path: Path, size: int, seed: int = 1) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir(exist_ok=True)
    return path


def names_in(directory: Path) -> set[str]:
    """Visible files: what a user finds."""
    return {child.name for child in directory.iterdir()} - {PARTS_DIRECTORY}


def parts_in(directory: Path) -> list[Path]:
    return sorted((directory / PARTS_DIRECTORY).iterdir())


async def exchange(
    file: Path | PreparedFile,
    directory: Path,
    *,
    streams: tuple[MemoryStream, MemoryStream] | None = None,
    accept=accept_everybody,
    **options,
) -> Outcome:
    """Send one file; never raises an Exception, so that both outcomes can be looked at."""
    ours, theirs = streams or memory_stream_pair()
    outcome = Outcome()

    async def send() -> None:
        try:
            outcome.sent = await send_file(ours, file)
        except Exception as error:  # noqa: BLE001
            outcome.sent = error

    async def receive() -> None:
        try:
            outcome.received = await receive_file(theirs, directory, accept=accept, **options)
        except Exception as error:  # noqa: BLE001
            outcome.received = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(receive)
    assert ours.closed
    assert theirs.closed
    return outcome


async def cut(path: Path, directory: Path, caller=CALLER) -> Path:
    """Leave exactly one piece of a file behind, and return the part."""
    before = set(parts_in(directory)) if (directory / PARTS_DIRECTORY).exists() else set()
    ours, theirs = memory_stream_pair(caller=caller)
    ours.cut_after(3 * PIECE)
    await exchange(path, directory, streams=(ours, theirs))
    [part] = set(parts_in(directory)) - before
    os.truncate(part, PIECE)  # how many pieces got to the disk is the scheduler's matter
    return part


async def require_refused(path, directory, reason, error, **options) -> None:
    outcome = await exchange(path, directory, **options)
    assert isinstance(outcome.sent, RefusedError)
    assert outcome.sent.reason is reason
    assert type(outcome.received) is error
