"""What a forked process runs: a task that ends at SIGTERM, or says why it gives up (SPEC 14.2)."""

import signal
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trio

from peerstream.node.lab.channel import Channel

Options = dict[str, Any]
Main = Callable[[Channel, Options], Awaitable[None]]


def run_program(end: socket.socket, options: Options, main: Main) -> int:
    """Run ``main(channel, options)`` until it returns or SIGTERM comes; return the exit code."""
    return trio.run(_supervise, end, options, main)


async def _supervise(end: socket.socket, options: Options, main: Main) -> int:
    channel = Channel(end)
    code = 0
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_at_signal, signals, nursery.cancel_scope)
            try:
                await main(channel, options)
            except Exception as error:  # noqa: BLE001 - a supervisor: its owner has to learn of it
                traceback.print_exception(error)  # to the log of this process
                await channel.tell(failure(error))
                code = 1
            nursery.cancel_scope.cancel()
    channel.close()
    return code


async def _end_at_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


def failure(error: BaseException) -> Options:
    """Return the event that tells of an error; of a group, of its first one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return {"event": "failed", "name": type(error).__name__, "message": str(error)}
