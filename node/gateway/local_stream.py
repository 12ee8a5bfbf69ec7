"""A connection to a local program, with the words of a stream of the network (SPEC 19.2)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio

from peerstream.node.gateway.carrying import Local, reset_on_close, send_all
from peerstream.node.gateway.errors import LocalClosedError


class Wire(Protocol):
    """Bytes both ways: a `ByteStream`, or a `LocalStream`. All raise StreamError."""

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return bytes that came, or b"" at the end of that half."""
        ...

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of `data` over."""
        ...

    async def send_end(self) -> None:
        """End our half."""
        ...

    async def aclose(self) -> None:
        """Let go of it; what was sent still arrives."""
        ...

    def reset(self) -> None:
        """Give it up in both directions, so that the other side learns it was no end."""
        ...


class LocalStream:
    """A `Wire` over a socket of this machine."""

    def __init__(self, local: Local) -> None:
        self.socket = local

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """Return bytes that came, or b"" at the end. Raises LocalClosedError."""
        with _broken_off():
            return await self.socket.recv(max_bytes)

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of `data` over. Raises LocalClosedError."""
        with _broken_off():
            await send_all(self.socket, data)

    async def send_end(self) -> None:
        """End our half. Raises LocalClosedError."""
        with _broken_off():
            self.socket.shutdown(socket.SHUT_WR)
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the connection; what was sent still arrives."""
        self.socket.close()

    def reset(self) -> None:
        """Break the connection off, with RST over TCP."""
        if self.socket.fileno() >= 0:
            reset_on_close(self.socket)
            self.socket.close()


@contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalClosedError("the local connection is gone") from error
