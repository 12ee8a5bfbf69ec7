"""Streams of a command through the daemon of its state directory (SPEC 16.7, 18.5)."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from peerstream.identity import errors as identity_errors
from peerstream.node import port_errors
from peerstream.node.gateway import errors as gateway_errors
from peerstream.node.gateway.carrying import PIECE, Remote
from peerstream.node.library.api.client import Client
from peerstream.node.library.api.dialling import DialRequest
from peerstream.node.library.api.errors import PeerStreamError, StreamBrokenError
from peerstream.node.library.api.streams import Stream
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles import errors as role_errors
from peerstream.node.roles.errors import CallFailedError

if TYPE_CHECKING:
    from peerstream.node.cli.reaching import Open, Reach

_ERRORS: Final = (gateway_errors, role_errors, identity_errors, port_errors)
_ISOLATION_SIZE: Final = 16  # bytes: one command's streams share a session, with nothing else


@asynccontextmanager
async def through_daemon(state: Path, reach: "Reach") -> AsyncIterator["Open"]:
    """Give what opens a stream through the daemon that runs in a state directory.

    It raises DIAL_ERRORS, those that the daemon met. Raises PeerStreamError where the daemon ends.
    """
    request = DialRequest(
        target=reach.place.target,
        service=reach.place.service,
        level=reach.level,
        anonymous=reach.anonymous,
        isolation=os.urandom(_ISOLATION_SIZE),
    )
    async with Client(state) as client:

        async def open_stream() -> Remote:
            try:
                return _DaemonStream(await client.open_stream(request))
            except PeerStreamError as error:
                raise _as_met(error) from None

        yield open_stream


def _as_met(error: PeerStreamError) -> Exception:
    """Return the error that the daemon met, by the name of its class: it has cause and remedy."""
    kind: type[Exception] = CallFailedError
    for module in _ERRORS:
        found = getattr(module, error.cause, kind)
        if isinstance(found, type) and issubclass(found, Exception):
            kind = found
    met = kind.__new__(kind)  # some make their text of other arguments: this is what they made
    met.args = (str(error),)
    return met


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StreamBrokenError as error:
        raise StreamResetError(error.status or Status.CLOSED) from error


class _DaemonStream:
    """A stream of the daemon, as what carries bytes expects one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = PIECE) -> bytes:
        """Return bytes, b"" at the end that the peer wrote. Raises StreamResetError."""
        with _translated():
            try:
                return await self._stream.receive(max_bytes)
            except anyio.EndOfStream:
                return b""

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises StreamResetError."""
        with _translated():
            await self._stream.send(data)

    async def send_end(self) -> None:
        """End our half."""
        with _translated():
            await self._stream.send_eof()

    async def send_datagram(self, data: bytes, life_s: float = 1.0) -> bool:
        """Send a datagram; False when it was dropped at once. Raises StreamResetError."""
        with _translated():
            return await self._stream.send_datagram(data, life_s)

    async def receive_datagram(self) -> bytes | None:
        """Return a datagram, None at the end. Raises StreamResetError."""
        with _translated():
            try:
                return await self._stream.receive_datagram()
            except anyio.EndOfStream:
                return None

    async def aclose(self) -> None:
        """Close it, both halves."""
        await self._stream.aclose()

    def reset(self) -> None:
        """Give it up."""
        self._stream.reset()
