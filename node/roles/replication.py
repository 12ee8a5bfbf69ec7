"""Hands new records to the other stores of their key (SPEC 6.11)."""

from collections.abc import Callable, Sequence
from typing import Final

import trio

from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.directory.bundle import LENGTH_SIZE, Done, Replicate, frame
from peerstream.node.protocol.directory.errors import DirectoryError
from peerstream.node.roles.fetching import Fetcher, unframed
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.pace import varied

WAITING_MAX: Final = 1_024  # documents under way: 16 MiB of the largest
AT_ONCE: Final = 8
TRIES_S: Final = (2.0, 10.0, 60.0)  # pauses between tries; a store that is down longer asks nobody
DONE_MAX: Final = LENGTH_SIZE + 16


class ReplicationFullError(PortError):
    """More documents wait for other stores than we keep: this one is left to its publisher."""


class Replication:
    """Deliveries to other relays. `count` learns of those that failed."""

    def __init__(
        self,
        environment: Environment,
        neighbours: Neighbours,
        fetcher: Fetcher,
        count: Callable[[BaseException], None],
    ) -> None:
        self.delivered = 0
        self._environment = environment
        self._neighbours = neighbours
        self._fetcher = fetcher
        self._count = count
        self._slots = trio.CapacityLimiter(AT_ONCE)
        self._nursery: trio.Nursery | None = None
        self._waiting = 0

    @property
    def relay_id(self) -> bytes:
        """Our own host key, 32 bytes."""
        return self._neighbours.links.relay_id

    def hand_on(self, relay_ids: Sequence[bytes], replicate: Replicate) -> None:
        """Deliver a document to these relays, later and without an answer to anybody."""
        question = frame(replicate.encode())
        for relay_id in relay_ids:
            if self._nursery is None or self._waiting >= WAITING_MAX:
                self._count(ReplicationFullError(f"{self._waiting} wait"))
                return
            self._waiting += 1
            self._nursery.start_soon(self._deliver, relay_id, question)

    async def _deliver(self, relay_id: bytes, question: bytes) -> None:
        try:
            for pause in (*TRIES_S, None):
                if await self._try(relay_id, question):
                    self.delivered += 1
                    return
                if pause is not None:
                    await trio.sleep(varied(pause, self._environment.entropy))
        finally:
            self._waiting -= 1

    async def _try(self, relay_id: bytes, question: bytes) -> bool:
        """Whether the relay answered; what it answered is its own business."""
        endpoints = self._fetcher.endpoints(relay_id)
        try:
            async with self._slots:
                answer = await self._neighbours.links.ask(relay_id, endpoints, question, DONE_MAX)
            Done.decode(unframed(answer))
        except (PortError, DirectoryError) as error:
            self._count(error)
            return False
        return True

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await trio.sleep_forever()
