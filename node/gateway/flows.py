"""Datagrams of local programs, each kind on a stream of its own (SPEC 16.6)."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import structlog
import trio

from peerstream.node.gateway.carrying import Remote
from peerstream.node.gateway.dialling import DIAL_ERRORS
from peerstream.node.ports import StreamError
from peerstream.node.roles.tasks import bare_errors

UDP_MAX: Final = 65_535  # bytes; datagrams of streams may be larger, and those are lost here
FLOWS_MAX: Final = 64
WAITING_MAX: Final = 64  # datagrams of one flow that wait for its dial
LIFE_S: Final = 1.0  # a datagram is worth nothing later
IDLE_S: Final = 120.0
AGAIN_S: Final = 5.0  # after a dial that failed; datagrams meanwhile are lost

_log = structlog.get_logger("peerstream.flows")
K = TypeVar("K", bound=Hashable)


class Flows(Generic[K]):
    """Streams by key, opened by the first datagram and ended when nothing goes either way.

    `open_stream` dials for a key, `deliver` hands the program what came back. Of more than
    FLOWS_MAX the one that was used longest ago ends. Nothing here waits: what finds no room is
    lost, as datagrams are.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        open_stream: Callable[[K], Awaitable[Remote]],
        deliver: Callable[[K, bytes], Awaitable[None]],
    ) -> None:
        self._nursery = nursery
        self._open_stream = open_stream
        self._deliver = deliver
        self._flows: dict[K, _Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def send(self, key: K, data: bytes) -> None:
        """Send a datagram on the stream of a key, or lose it."""
        flow = self._flows.pop(key, None)
        if flow is None:
            if len(self._flows) >= FLOWS_MAX:
                self._flows.pop(next(iter(self._flows))).scope.cancel()
            flow = _Flow()
            self._nursery.start_soon(self._run, key, flow)
        self._flows[key] = flow  # the last one in the order is the one used last
        flow.put(data)

    async def _run(self, key: K, flow: "_Flow") -> None:
        with flow.scope:
            try:
                stream = await self._open_stream(key)
            except DIAL_ERRORS as error:
                _log.debug("flows.refused", error=type(error).__name__)
                await trio.sleep(AGAIN_S)
            else:
                await self._carry(key, flow, stream)
        if self._flows.get(key) is flow:
            del self._flows[key]

    async def _carry(self, key: K, flow: "_Flow", stream: Remote) -> None:
        """Carry until the stream ends, or nothing went either way for IDLE_S."""
        try:
            with trio.move_on_after(IDLE_S) as idle, bare_errors():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._forth, flow, stream, idle)
                    await self._back(key, stream, idle)
                    nursery.cancel_scope.cancel()
        except StreamError as error:
            _log.debug("flows.ended", error=type(error).__name__)
        finally:
            stream.reset()

    async def _back(self, key: K, stream: Remote, idle: trio.CancelScope) -> None:
        while (data := await stream.receive_datagram()) is not None:
            idle.deadline = trio.current_time() + IDLE_S
            await self._deliver(key, data)

    async def _forth(self, flow: "_Flow", stream: Remote, idle: trio.CancelScope) -> None:
        async for data in flow.waiting:
            idle.deadline = trio.current_time() + IDLE_S
            await stream.send_datagram(data, LIFE_S)


class _Flow:
    """The datagrams of one key that wait, and what ends it."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self._put, self.waiting = trio.open_memory_channel[bytes](WAITING_MAX)

    def put(self, data: bytes) -> None:
        """Have a datagram sent, unless too many wait."""
        try:
            self._put.send_nowait(data)
        except trio.WouldBlock:
            _log.debug("flows.dropped")
