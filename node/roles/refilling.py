"""Asks the other stores for what a relay kept before it was restarted (SPEC 6.11).

What a relay stores is in memory alone: nothing that a disk could tell. It was handed on, so others
have it; each document is checked as if its owner had put it.
"""

from collections import Counter
from typing import Final

import trio

from peerstream.node.ports import Environment, PortError
from peerstream.node.protocol.directory.bundle import (
    LENGTH_SIZE,
    RECALLED_SIZE,
    Recall,
    Recalled,
    frame,
)
from peerstream.node.protocol.directory.commands import Put
from peerstream.node.protocol.directory.errors import DirectoryError, MalformedDocumentError
from peerstream.node.roles.fetching import unframed
from peerstream.node.roles.keeper import DirectoryKeeper
from peerstream.node.roles.neighbours import Neighbours
from peerstream.node.roles.pace import varied
from peerstream.node.roles.stores import Stores

TRIES_S: Final = (0.0, 2.0, 10.0, 60.0, 300.0)  # pauses before tries of those that did not answer
RINGS_S: Final = 5.0  # until the rings are looked for again
PAGES_MAX: Final = 136  # a store of 64 MiB is 130
SLICE: Final = 8  # documents checked at a stretch: 5 ms, in which no cell moves


class Refilling:
    """Fills an empty store once after the start."""

    def __init__(
        self,
        environment: Environment,
        neighbours: Neighbours,
        keeper: DirectoryKeeper,
        stores: Stores,
    ) -> None:
        self.answers: Counter[str] = Counter()  # what became of the documents, by status
        self._environment = environment
        self._neighbours = neighbours
        self._keeper = keeper
        self._stores = stores

    async def run(self) -> None:
        """Ask each companion until it answered; return when all did, or after some minutes."""
        while not self._stores.companions():  # noqa: ASYNC110 - rings come with any reading
            await trio.sleep(RINGS_S)
        done: set[bytes] = set()
        for pause in TRIES_S:
            await trio.sleep(varied(pause, self._environment.entropy))
            for relay_id in self._stores.companions():
                if relay_id not in done and await self._recall(relay_id):
                    done.add(relay_id)

    async def _recall(self, relay_id: bytes) -> bool:
        """Whether the relay told all that it has of ours."""
        try:
            after = b""
            for _ in range(PAGES_MAX):
                page = await self._ask(relay_id, after)
                await self._keep(page)
                if not page.after:
                    return True
                if page.after <= after:
                    raise MalformedDocumentError("a cursor that does not move on")
                after = page.after
            raise MalformedDocumentError(f"more than {PAGES_MAX} pages")
        except (PortError, DirectoryError) as error:
            self._keeper.count(error)
            return False

    async def _ask(self, relay_id: bytes, after: bytes) -> Recalled:
        endpoints = self._keeper.fetcher.endpoints(relay_id)
        question = frame(Recall(after).encode())
        limit = LENGTH_SIZE + RECALLED_SIZE
        answer = await self._neighbours.links.ask(relay_id, endpoints, question, limit)
        return Recalled.decode(unframed(answer))

    async def _keep(self, page: Recalled) -> None:
        for number, (kind, document) in enumerate(page.documents):
            status = self._stores.keep(Put(kind, document), replicate=False)
            self.answers[status.name] += 1
            if number % SLICE == SLICE - 1:
                await trio.lowlevel.checkpoint()
