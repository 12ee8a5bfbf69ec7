"""The receiver: judges offers, stores what arrives, confirms what is whole (SPEC 11.2)."""

import hmac
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from peerstream.identity.address import Address
from peerstream.node.ports import ByteStream, Peer, StreamError
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.services.files.admission import Admission, Place
from peerstream.node.services.files.channel import Channel, Message
from peerstream.node.services.files.disk import Progress, RunningHash, hash_up_to, no_progress
from peerstream.node.services.files.errors import (
    AbortedError,
    AnonymousSenderError,
    DeclinedError,
    EndedEarlyError,
    FileServiceError,
    HashMismatchError,
    OfferError,
    StorageError,
    TooLargeError,
    UnexpectedMessageError,
    UnreadableFileError,
    WrongOffsetError,
)
from peerstream.node.services.files.limits import FAREWELL_S, PATIENT_S, PIECE_S, PROMPT_S, Limits
from peerstream.node.services.files.names import require_safe
from peerstream.node.services.files.offer import Abort, Answer, Begin, Offer, Receipt
from peerstream.node.services.files.parts import IncomingDirectory, Part, PartKey
from peerstream.node.services.files.room import make_room
from peerstream.node.services.files.tasks import open_team
from peerstream.node.services.files.wire import FileStatus, Kind

Accept = Callable[[Offer, Peer], Awaitable[bool]]
Watch = Callable[[Offer, Peer], Progress]


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that is whole and in its place.

    size, resumed_at: bytes; what lies before `resumed_at` came at an earlier try. sha256: 32 bytes.
    again: the file came whole at an earlier try, and only its receipt was lost.
    """

    path: Path
    size: int
    sha256: bytes
    sender: Address
    resumed_at: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class RefusedOffer:
    """An offer that was not taken, and why. The sender knows the status only."""

    offer: Offer
    error: OfferError


async def receive_file(
    stream: ByteStream,
    directory: Path,
    *,
    accept: Accept,
    progress: Progress = no_progress,
    limits: Limits | None = None,
) -> ReceivedFile:
    """Receive one file from a stream of the service `file` into a directory; close the stream.

    `accept` gets the offer, its name already safe, and decides; `progress` gets (bytes done, bytes
    in all). Raises OfferError when the offer was refused, FileServiceError, RemoteProtocolError,
    StreamError.
    """
    admission = Admission(limits or Limits())
    async with Channel(stream) as channel:
        await channel.greet()
        with closing(await trio.to_thread.run_sync(IncomingDirectory.open, directory)) as incoming:
            receiver = Receiver(channel, incoming, accept, admission, lambda *_: progress)
            arrived = await receiver.receive()
            if arrived is None:
                raise EndedEarlyError("the sender offered nothing")
            if isinstance(arrived, RefusedOffer):
                raise arrived.error
            await receiver.settle_at_end()
            return arrived


class Receiver:
    """Receives the files of one stream, one after the other."""

    def __init__(
        self,
        channel: Channel,
        directory: IncomingDirectory,
        accept: Accept,
        admission: Admission,
        watch: Watch,
    ) -> None:
        self._channel = channel
        self.peer = channel.stream.peer
        self._directory = directory
        self._accept = accept
        self._admission = admission
        self._watch = watch
        self._unsettled: PartKey | None = None

    async def receive(self) -> ReceivedFile | RefusedOffer | None:
        """Return the next file, or the offer that was refused, or None at the sender's end.

        After an error the stream is over. Raises FileServiceError, RemoteProtocolError,
        StreamError; what arrived stays, unless the error says otherwise.
        """
        message = await self._channel.receive_or_end(PROMPT_S)
        await self._settle()
        if message is None:
            return None
        if message.kind is not Kind.OFFER:
            raise UnexpectedMessageError(f"{message.kind.name} in place of OFFER")
        offer = Offer.decode(message.body)
        with ExitStack() as held:
            try:
                sender = await self._consider(offer)
                place = held.enter_context(self._admission.place(sender, offer.size))
                part = await trio.to_thread.run_sync(self._claim, sender, offer)
                held.callback(part.close)
                running = await _hash_part(part)
            except OfferError as error:
                await self._channel.send(Kind.ANSWER, Answer(error.status).encode())
                return RefusedOffer(offer, error)
            if part.delivered_as is not None:
                return await self._acknowledge(part, part.delivered_as)
            return await self._take(offer, part, place, running)

    async def settle_at_end(self) -> None:
        """Wait until the sender has shown that it read the last receipt, but not long."""
        # The file is in its place whatever its sender does now; without its end the mark stays.
        with suppress(FileServiceError, RemoteProtocolError, StreamError):
            await self._channel.receive_or_end(FAREWELL_S)
            await self._settle()

    async def _settle(self) -> None:
        if self._unsettled is not None:
            await trio.to_thread.run_sync(self._directory.settle, self._unsettled)
            self._unsettled = None

    async def _consider(self, offer: Offer) -> Address:
        if self.peer.address is None:
            raise AnonymousSenderError("files are taken only from a verified address")
        require_safe(offer.name)
        if offer.size > self._admission.limits.file_bytes:
            raise TooLargeError(f"{offer.size} bytes in one file")
        if not await self._accept(offer, self.peer):
            raise DeclinedError("the policy does not want this file")
        return self.peer.address

    def _claim(self, sender: Address, offer: Offer) -> Part:
        part = self._directory.claim(PartKey(sender, offer.sha256, offer.size))
        try:
            make_room(self._directory, part, self._admission.limits)
        except BaseException:
            part.close()
            raise
        return part

    async def _acknowledge(self, part: Part, name: str) -> ReceivedFile:
        self._unsettled = part.key
        await self._channel.send(Kind.ANSWER, Answer(FileStatus.DELIVERED).encode())
        return self._received(part.key, self._directory.path / name, part.key.size, again=True)

    async def _take(
        self, offer: Offer, part: Part, place: Place, running: RunningHash
    ) -> ReceivedFile:
        try:
            start, running = await self._agree(part, running)
            await self._fill(offer, part, place, running)
            path = await trio.to_thread.run_sync(_deliver, part, running.digest(), offer.name)
        except AbortedError as error:
            if error.reason is FileStatus.CHANGED:
                part.discard()
            raise
        except (OfferError, HashMismatchError) as error:
            await self._channel.send_last(Kind.RECEIPT, Receipt(error.status).encode())
            raise
        self._unsettled = part.key
        receipt = Receipt(FileStatus.OK, running.digest())
        await self._channel.send_last(Kind.RECEIPT, receipt.encode())
        return self._received(part.key, path, start)

    def _received(
        self, key: PartKey, path: Path, resumed_at: int, *, again: bool = False
    ) -> ReceivedFile:
        return ReceivedFile(path, key.size, key.sha256, key.sender, resumed_at, again)

    async def _agree(self, part: Part, running: RunningHash) -> tuple[int, RunningHash]:
        """Say what is there; return where the sender begins, and the hash up to there."""
        answer = Answer(FileStatus.OK, running.size, running.digest())
        await self._channel.send(Kind.ANSWER, answer.encode())
        message = _require(Kind.BEGIN, await self._channel.receive(PATIENT_S))
        offset = Begin.decode(message).offset
        if offset == running.size:
            return offset, running
        if offset != 0:
            raise WrongOffsetError("the sender begins where nobody asked it to")
        await trio.to_thread.run_sync(part.restart)
        return 0, RunningHash()

    async def _fill(self, offer: Offer, part: Part, place: Place, running: RunningHash) -> None:
        """Take pieces while the last one is written."""
        progress = self._watch(offer, self.peer)
        progress(part.length, offer.size)
        pieces_in, pieces_out = trio.open_memory_channel[bytes](1)

        async def write_all() -> None:
            async for piece in pieces_out:
                await trio.to_thread.run_sync(_write, part, running, piece)
                place.missing -= len(piece)
                progress(part.length, offer.size)

        async with open_team() as team, pieces_in:
            team.start_soon(write_all)
            missing = offer.size - part.length
            while missing:
                piece = _require(Kind.PIECE, await self._channel.receive(PIECE_S))
                missing -= len(piece)
                if missing < 0:
                    raise WrongOffsetError("the sender writes beyond the end of the file")
                await pieces_in.send(piece)


def _require(kind: Kind, message: Message) -> bytes:
    """Return the body of a BEGIN or PIECE. Raises AbortedError, UnexpectedMessageError."""
    if message.kind is Kind.ABORT:
        raise AbortedError(Abort.decode(message.body).status)
    if message.kind is not kind:
        raise UnexpectedMessageError(f"{message.kind.name} in place of {kind.name}")
    return message.body


async def _hash_part(part: Part) -> RunningHash:
    running = RunningHash()
    try:
        await hash_up_to(part.descriptor, part.length, running)
    except UnreadableFileError as error:
        raise StorageError("what had arrived cannot be read") from error
    return running


def _write(part: Part, running: RunningHash, piece: bytes) -> None:
    running.update(piece)
    part.write(piece)


def _deliver(part: Part, sha256: bytes, name: str) -> Path:
    if not hmac.compare_digest(sha256, part.key.sha256):
        part.discard()
        raise HashMismatchError("what arrived is not the file that was offered")
    return part.deliver(name)
