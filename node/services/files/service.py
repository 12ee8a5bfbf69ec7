"""The service `file` of a node: one handler for all streams that are opened to it (SPEC 11)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import closing
from pathlib import Path

import trio

from peerstream.identity.address import Address
from peerstream.node.ports import ByteStream, Peer, StreamError
from peerstream.node.protocol.errors import RemoteProtocolError
from peerstream.node.services.files.admission import Admission
from peerstream.node.services.files.channel import Channel
from peerstream.node.services.files.disk import Progress, no_progress
from peerstream.node.services.files.errors import FileServiceError
from peerstream.node.services.files.limits import Limits
from peerstream.node.services.files.offer import Offer
from peerstream.node.services.files.parts import IncomingDirectory
from peerstream.node.services.files.receiver import Accept, ReceivedFile, Receiver, RefusedOffer

Failure = FileServiceError | RemoteProtocolError | StreamError


async def accept_everybody(_offer: Offer, _peer: Peer) -> bool:
    """Take every file that the limits allow, from any verified address."""
    return True


def accept_from(addresses: Collection[Address]) -> Accept:
    """Take files of these addresses only."""

    async def accept(_offer: Offer, peer: Peer) -> bool:
        return peer.address in addresses

    return accept


async def _ignore_file(_file: ReceivedFile) -> None:
    """Do nothing more: the file is in its place."""


def _ignore_failure(_peer: Peer, _failure: Failure) -> None:
    """Count it, and no more."""


def _watch_nothing(_offer: Offer, _peer: Peer) -> Progress:
    return no_progress


class FileService:
    """Receives files into one directory, which must exist.

    `accept(offer, peer)` decides on each offer whose name is safe. `on_received(file)` is awaited
    for each file in its place; `file.again` says that it may have been called before.
    `on_failed(peer, error)` learns why a file or a stream failed, `watch(offer, peer)` returns the
    callback that gets (bytes done, bytes in all). `failures` counts by the name of the error.
    """

    def __init__(
        self,
        directory: Path,
        *,
        accept: Accept,
        on_received: Callable[[ReceivedFile], Awaitable[None]] = _ignore_file,
        on_failed: Callable[[Peer, Failure], None] = _ignore_failure,
        watch: Callable[[Offer, Peer], Progress] = _watch_nothing,
        limits: Limits | None = None,
    ) -> None:
        self.failures: Counter[str] = Counter()
        self._directory = directory
        self._accept = accept
        self._on_received = on_received
        self._on_failed = on_failed
        self._watch = watch
        self._admission = Admission(limits or Limits())

    async def handle(self, stream: ByteStream) -> None:
        """Receive until the sender ends the stream; closes it. No peer can make it raise."""
        try:
            async with Channel(stream) as channel:
                await channel.greet()
                directory = await trio.to_thread.run_sync(IncomingDirectory.open, self._directory)
                with closing(directory):
                    await self._receive_all(
                        Receiver(channel, directory, self._accept, self._admission, self._watch)
                    )
        except (FileServiceError, RemoteProtocolError, StreamError) as error:
            self._fail(stream.peer, error)

    async def _receive_all(self, receiver: Receiver) -> None:
        while (arrived := await receiver.receive()) is not None:
            if isinstance(arrived, RefusedOffer):
                self._fail(receiver.peer, arrived.error)
            else:
                await self._on_received(arrived)

    def _fail(self, peer: Peer, error: Failure) -> None:
        self.failures[type(error).__name__] += 1
        self._on_failed(peer, error)
