"""Commands that go on until Ctrl-C (SPEC 13.2)."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import trio

from peerstream.node.cli.exits import Exit

_Arguments = TypeVarTuple("_Arguments")


async def until_interrupted(
    function: Callable[[*_Arguments], Awaitable[None]], *arguments: *_Arguments
) -> int:
    """Await ``function(*arguments)`` until it returns or Ctrl-C or SIGTERM comes.

    Returns Exit.OK or Exit.INTERRUPTED.
    """
    code = Exit.INTERRUPTED
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def work() -> None:
                nonlocal code
                await function(*arguments)
                code = Exit.OK
                nursery.cancel_scope.cancel()

            nursery.start_soon(work)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break
    return code
