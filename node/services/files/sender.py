"""The sender: offers files over one stream and sends those that are wanted (SPEC 11.2)."""

import hmac
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trio

from peerstream.node.ports import ByteStream, StreamError
from peerstream.node.services.files.channel import Channel
from peerstream.node.services.files.disk import (
    Progress,
    RunningHash,
    hash_up_to,
    no_progress,
    opened,
    read_piece,
)
from peerstream.node.services.files.errors import (
    FileChangedError,
    FileServiceError,
    RefusedError,
    StalledError,
    UnexpectedMessageError,
    UnreadableFileError,
    WrongOffsetError,
    WrongReceiptError,
)
from peerstream.node.services.files.limits import FAREWELL_S, PATIENT_S
from peerstream.node.services.files.names import name_to_offer, require_safe
from peerstream.node.services.files.offer import Abort, Answer, Begin, Offer, Receipt
from peerstream.node.services.files.tasks import open_team
from peerstream.node.services.files.wire import HEAD_SIZE, PIECE_MAX, FileStatus, Kind


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that the receiver confirmed.

    size, resumed_at: bytes; what lies before `resumed_at` was there already. sha256: 32 bytes.
    again: it had arrived at an earlier try, and only the receipt was lost.
    """

    name: str
    size: int
    sha256: bytes
    resumed_at: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class PreparedFile:
    """A file that was hashed, ready to be offered."""

    path: Path
    offer: Offer

    @classmethod
    async def prepare(
        cls, path: Path, *, name: str | None = None, progress: Progress = no_progress
    ) -> Self:
        """Hash a file; do it before dialling when it is large. `name` replaces its own.

        Raises UnreadableFileError, FileChangedError, HostileNameError.
        """
        name = name_to_offer(path) if name is None else require_safe(name)
        running = RunningHash()
        with opened(path) as descriptor:
            await hash_up_to(descriptor, os.fstat(descriptor).st_size, running, progress)
            offer = Offer(name, running.size, running.digest())
            _require_unchanged(descriptor, running, offer)
        return cls(path, offer)


async def send_file(
    stream: ByteStream,
    file: Path | PreparedFile,
    *,
    progress: Progress = no_progress,
    hashing: Progress = no_progress,
) -> SentFile:
    """Send one file over a stream of the service `file`, and close the stream.

    Both callbacks get (bytes done, bytes in all): `progress` while sending, `hashing` while a file
    is read that was not prepared. Raises FileServiceError, RemoteProtocolError, StreamError.
    """
    [sent] = await send_files(stream, [file], progress=progress, hashing=hashing)
    return sent


async def send_files(
    stream: ByteStream,
    files: Iterable[Path | PreparedFile],
    *,
    progress: Progress = no_progress,
    hashing: Progress = no_progress,
) -> list[SentFile]:
    """Send several files, one after the other; the first that fails ends it. As `send_file`."""
    async with Channel(stream) as channel:
        await channel.greet()
        prepared = [
            file
            if isinstance(file, PreparedFile)
            else await PreparedFile.prepare(file, progress=hashing)
            for file in files
        ]
        return [await _send_one(channel, file, progress) for file in prepared]


async def _send_one(channel: Channel, file: PreparedFile, progress: Progress) -> SentFile:
    offer = file.offer
    await channel.send(Kind.OFFER, offer.encode())
    answer = Answer.decode(await channel.expect(Kind.ANSWER, PATIENT_S))
    if answer.status is FileStatus.DELIVERED:
        return SentFile(offer.name, offer.size, offer.sha256, offer.size, again=True)
    if answer.status is not FileStatus.OK:
        raise RefusedError(answer.status)
    if answer.offset > offer.size:
        raise WrongOffsetError("the receiver has more than the whole file")
    try:
        with opened(file.path) as descriptor:
            running = await _agree(descriptor, answer)
            start = running.size
            receipt = await _Transfer(channel, offer, progress).run(descriptor, running)
    except (UnreadableFileError, FileChangedError) as error:
        await channel.send_last(Kind.ABORT, Abort(error.status).encode())
        raise
    _check_receipt(receipt, offer)
    return SentFile(offer.name, offer.size, offer.sha256, start)


async def _agree(descriptor: int, answer: Answer) -> RunningHash:
    """Return the hash of the receiver's prefix where ours is the same, else of nothing."""
    running = RunningHash()
    await hash_up_to(descriptor, answer.offset, running)
    if running.size < answer.offset:
        raise FileChangedError("the file is shorter than when it was hashed")
    return running if hmac.compare_digest(running.digest(), answer.prefix) else RunningHash()


def _check_receipt(receipt: Receipt, offer: Offer) -> None:
    if receipt.status is not FileStatus.OK:
        raise RefusedError(receipt.status)
    if not hmac.compare_digest(receipt.sha256, offer.sha256):
        raise WrongReceiptError("the receiver confirms another file than we sent")


def _require_unchanged(descriptor: int, running: RunningHash, offer: Offer) -> None:
    if os.fstat(descriptor).st_size != offer.size or running.size != offer.size:
        raise FileChangedError("the file has another size than when it was hashed")
    if not hmac.compare_digest(running.digest(), offer.sha256):
        raise FileChangedError("the file has other bytes than when it was hashed")


_Piece = bytearray | FileServiceError  # what ends reading must not overtake what was read


class _Transfer:
    """One accepted offer: reads ahead, sends, and listens for the receipt, all at once."""

    def __init__(self, channel: Channel, offer: Offer, progress: Progress) -> None:
        self._channel = channel
        self._offer = offer
        self._progress = progress
        self._sent = 0
        self._listening = trio.CancelScope()
        self._broken: StreamError | None = None

    async def run(self, descriptor: int, running: RunningHash) -> Receipt:
        """Send the file on from where `running` is; return the receipt, whatever it says."""
        self._sent = running.size
        pieces_in, pieces_out = trio.open_memory_channel[_Piece](1)
        async with open_team() as team:
            team.start_soon(self._read_ahead, descriptor, running, pieces_in)
            team.start_soon(self._send_all, pieces_out)
            receipt = await self._listen()
            team.cancel_scope.cancel()
        if receipt.status is FileStatus.OK and self._sent < self._offer.size:
            raise UnexpectedMessageError("a receipt for a file that was not sent yet")
        return receipt

    async def _read_ahead(
        self, descriptor: int, running: RunningHash, pieces: trio.MemorySendChannel[_Piece]
    ) -> None:
        async with pieces:
            try:
                while (missing := self._offer.size - running.size) > 0:
                    piece = await trio.to_thread.run_sync(
                        read_piece, descriptor, min(missing, PIECE_MAX), running
                    )
                    if missing <= PIECE_MAX:
                        _require_unchanged(descriptor, running, self._offer)
                    await pieces.send(piece)
                _require_unchanged(descriptor, running, self._offer)
            except FileServiceError as error:
                await pieces.send(error)

    async def _send_all(self, pieces: trio.MemoryReceiveChannel[_Piece]) -> None:
        try:
            await self._channel.send(Kind.BEGIN, Begin(self._sent).encode())
            self._progress(self._sent, self._offer.size)
            async for piece in pieces:
                if isinstance(piece, FileServiceError):
                    raise piece
                await self._channel.send_piece(piece)
                self._sent += len(piece) - HEAD_SIZE
                self._progress(self._sent, self._offer.size)
        except StreamError as error:
            # A receiver that gave up has said why before it stopped to read.
            self._broken = error
        patience = FAREWELL_S if self._broken else PATIENT_S
        self._listening.deadline = trio.current_time() + patience

    async def _listen(self) -> Receipt:
        with self._listening:
            return Receipt.decode(await self._channel.expect(Kind.RECEIPT, math.inf))
        raise self._broken or StalledError("the receiver confirmed nothing")
