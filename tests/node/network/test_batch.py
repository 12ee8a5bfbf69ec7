"""The batch: one turn for each wake-up, none lost."""

import trio
import trio.testing

from peerstream.node.network.shared import Batch


class Connection:
    """Sends nothing; asks for a turn while it is flushed, once."""

    dirty = False

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.asks = True

    def flush(self) -> None:
        if self.asks:
            self.asks = False
            self._batch.request()


async def test_a_turn_asked_for_while_sending_is_not_lost(autojump_clock) -> None:
    batch = Batch()
    turns = []
    batch.hooks.append(turns.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.run)
        await trio.testing.wait_all_tasks_blocked()
        batch.begin()
        batch.mark(Connection(batch))
        batch.end()
        await trio.testing.wait_all_tasks_blocked()
        assert len(turns) == 2
        batch.request()
        batch.request()
        await trio.testing.wait_all_tasks_blocked()
        assert len(turns) == 3
        nursery.cancel_scope.cancel()
