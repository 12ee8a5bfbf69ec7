"""A link on an ordinary stream of the stock muxer, to tell our bugs from theirs (SPEC 9.6)."""

from collections.abc import Callable

import trio
from libp2p.abc import INetStream
from libp2p.network.stream.exceptions import StreamError

from peerstream.node.network.carrier import BATCH_SIZE, LinkPort
from peerstream.node.network.errors import ClosedError, ConnectionLostError
from peerstream.node.network.shared import Shared
from peerstream.node.protocol.errors import RemoteProtocolError

READ_SIZE = 65_536
# The stock reader gives up on a Noise message that comes in more than 100 pieces.
WRITE_SIZE = 32_000
TICK_S = 0.25


class StockDriver:
    """Feeds the link from the stream and the stream from the link."""

    def __init__(
        self,
        stream: INetStream,
        link: LinkPort,
        shared: Shared,
        lost: Callable[[BaseException], None],
    ) -> None:
        self._stream = stream
        self._link = link
        self._batch = shared.batch
        self._lost = lost
        self._output = trio.Event()
        link.on_output = self._has_output

    def _has_output(self, _link: LinkPort) -> None:
        self._output.set()

    async def run(self) -> None:
        """Until the stream or the link ends; then ``lost`` is called."""
        reason: BaseException = ClosedError("the host stops")
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._tick)
                self._output.set()
                await self._read()
        except* (StreamError, RemoteProtocolError, ClosedError) as group:
            reason = ConnectionLostError("the stream ended")
            reason.__cause__ = group
        finally:
            self._lost(reason)

    async def _read(self) -> None:
        while True:
            data = await self._stream.read(READ_SIZE)
            self._batch.begin()
            try:
                self._link.receive_data(data, self._batch.now)
            finally:
                self._batch.end()

    async def _write(self) -> None:
        while True:
            await self._output.wait()
            self._output = trio.Event()
            while parts := self._link.data_to_send(BATCH_SIZE):
                blob = b"".join(parts)
                for start in range(0, len(blob), WRITE_SIZE):
                    await self._stream.write(blob[start : start + WRITE_SIZE])

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            self._link.tick(trio.current_time())
            if self._link.failure is not None:
                raise self._link.failure
            if self._link.closed:
                raise ClosedError("the link was closed by us")
