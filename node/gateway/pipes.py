"""Carries bytes between standard input, standard output and a stream (SPEC 16.7)."""

import os
import socket
import stat
from contextlib import closing
from typing import Final

import trio

from peerstream.node.gateway.carrying import PIECE, Remote
from peerstream.node.roles.tasks import bare_errors

_STDIN: Final = 0
_STDOUT: Final = 1


async def carry_pipe(stream: Remote, source: int = _STDIN, sink: int = _STDOUT) -> None:
    """Send what one file descriptor gives and write what comes to the other, until both ended.

    The peer's end closes `sink`, for whoever reads it; the end of `source` ends our half. Raises
    StreamError when the stream breaks, BrokenPipeError when nobody reads what we write.
    """
    whole = False
    try:
        with closing(_End(source)) as given, closing(_End(sink)) as taken, bare_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send, given, stream)
                await _receive(stream, taken)
        await stream.aclose()
        whole = True
    finally:
        if not whole:
            stream.reset()


async def _send(given: "_End", stream: Remote) -> None:
    while data := await given.read():
        await stream.send(data)
    await stream.send_end()


async def _receive(stream: Remote, taken: "_End") -> None:
    while data := await stream.receive(PIECE):
        await taken.write(data)
    taken.end()


class _End:
    """A file descriptor that was given to us.

    Pipes and sockets are waited for. Files cannot be, and terminals must not: to make one
    non-blocking makes it so for the shell too. Those get a thread while one is read or written.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        mode = os.fstat(number).st_mode
        self._is_socket = stat.S_ISSOCK(mode)
        ready = self._is_socket or stat.S_ISFIFO(mode)
        self._waiting = trio.lowlevel.FdStream(os.dup(number)) if ready else None

    async def read(self) -> bytes:
        """Return what there is, b"" at the end."""
        if self._waiting is None:
            return await trio.to_thread.run_sync(
                os.read, self._number, PIECE, abandon_on_cancel=True
            )
        try:
            return await self._waiting.receive_some(PIECE)
        except trio.BrokenResourceError as error:
            raise BrokenPipeError("the input broke") from error

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises BrokenPipeError."""
        if self._waiting is None:
            await trio.to_thread.run_sync(_write_all, self._number, data)
            return
        try:
            await self._waiting.send_all(data)
        except trio.BrokenResourceError as error:
            raise BrokenPipeError("nobody reads the output") from error

    def end(self) -> None:
        """Let whoever reads it see that nothing comes any more."""
        if self._is_socket:
            with socket.socket(fileno=os.dup(self._number)) as ours:
                ours.shutdown(socket.SHUT_WR)
            return
        self.close()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._number)
        os.close(nowhere)

    def close(self) -> None:
        """Give it back as it was."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None


def _write_all(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]
