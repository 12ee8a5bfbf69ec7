"""Joins a stream of the node to the program at the other end of a stream socket (SPEC 18.5)."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import trio

from peerstream.node.library.api.channel import ChannelStream
from peerstream.node.library.api.embedded import NodeStream
from peerstream.node.library.api.errors import StreamBrokenError
from peerstream.node.library.api.frames import DATA_MAX
from peerstream.node.ports import SessionEndedError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.tasks import bare_errors

LINGER_S: Final = 10.0


async def pump(stream: NodeStream, channel: ChannelStream) -> None:
    """Carry both ways until either side is through; both are closed then.

    A stream that breaks breaks the channel with the same status, and the other way round; a program
    that closes has what it sent delivered, unless it goes away before.
    """
    with bare_errors():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(channel.run)
            broke = await _Carrying(stream, channel).run()
            if channel.error is not None:
                stream.reset(channel.error.status or Status.CLOSED)
            elif broke is not None:
                status = broke.status or Status.INTERNAL
                channel.refuse(status, session=broke.cause == SessionEndedError.__name__)
            else:
                await _close(stream, channel)


async def _close(stream: NodeStream, channel: ChannelStream) -> None:
    """Let what was sent arrive, as long as the program waits for that."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_after, channel.over.wait, nursery.cancel_scope)
        await stream.aclose()
        nursery.cancel_scope.cancel()
    channel.finish()


async def _cancel_after(wait: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await wait()
    scope.cancel()


class _Carrying:
    """Four directions at once: bytes and datagrams, up to the network and down to the program."""

    def __init__(self, stream: NodeStream, channel: ChannelStream) -> None:
        self._stream = stream
        self._channel = channel
        self._all_up = trio.Event()
        self._broke: StreamBrokenError | None = None

    async def run(self) -> StreamBrokenError | None:
        """Carry until the program is through, or something broke; what did, or None."""
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            for carry in (self._up, self._down, self._datagrams_up, self._datagrams_down):
                nursery.start_soon(self._guarded, carry, scope)
            nursery.start_soon(_cancel_after, self._left, scope)
        return self._broke

    async def _guarded(self, carry: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            await carry()
        except anyio.EndOfStream:
            pass
        except StreamBrokenError as error:
            self._broke = error
            scope.cancel()
        except anyio.ClosedResourceError:
            scope.cancel()

    async def _left(self) -> None:
        """Wait until the program closed, and what it sent is on its way; or until it is gone."""
        await self._channel.left()
        if self._channel.error is None:
            with trio.move_on_after(LINGER_S):
                await self._all_up.wait()

    async def _up(self) -> None:
        try:
            while True:
                await self._stream.send(await self._channel.receive(DATA_MAX))
        except anyio.EndOfStream:
            await self._stream.send_eof()
            self._all_up.set()

    async def _down(self) -> None:
        try:
            while True:
                await self._channel.send(await self._stream.receive(DATA_MAX))
        except anyio.EndOfStream:
            await self._channel.send_eof()

    async def _datagrams_up(self) -> None:
        while True:
            life_s, data = await self._channel.fetch_datagram()
            await self._stream.send_datagram(data, life_s)

    async def _datagrams_down(self) -> None:
        while True:
            await self._channel.send_datagram(await self._stream.receive_datagram())
