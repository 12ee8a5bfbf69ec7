"""Records that are older than what the chain says: refused by name, whoever serves them."""

from dataclasses import replace

import pytest
import trio

from peerstream.identity.descriptor.record import Record
from peerstream.identity.errors import OtherRecordError, RolledBackError
from peerstream.node.ports import CommitError
from peerstream.node.protocol.directory.commands import Get, Kind
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.dialler import Dialling
from peerstream.node.roles.publishing import RETRY_S
from tests.node.roles.people import Person, echo, exchange
from tests.node.roles.relays import network, until


class Board:
    """Takes commitments as the chain would; `failures` of them not."""

    def __init__(self, network_id, failures=0):
        self.network_id = network_id
        self.failures = failures
        self.said = []

    async def commit(self, commitment, signature):
        if self.failures:
            self.failures -= 1
            raise CommitError("no funds")
        commitment.verify(self.network_id, signature)
        self.said.append(commitment)

    def newest(self, said):
        return [each for each in self.said if each.blinded == said.blinded][-1]

    async def show(self, person, *said):
        """Have a node read what the board says, or what a test would have it say."""
        newest = {(c.blinded, c.period): c for c in said or self.said}
        source = person.node.source
        source.snapshot = replace(source.snapshot, commitments=newest)
        await person.node.keeper.read()


async def committed(world, failures=0):
    """A callee whose records are committed to, and a caller."""
    board = Board(world.network.network_id, failures)
    callee, caller = Person(world, "callee"), Person(world, "caller")
    await callee.start()
    await callee.serve(echo=echo, commit=board.commit)
    await caller.start()
    await until(lambda: board.said, 60)
    return board, callee, caller


def held_by(node, blinded):
    """The revision of the record that a store has."""
    document = node.relay.stores._store.get(Get(Kind.RECORD, blinded), node.world.clock.wall())
    return Record.parse(document).header.revision


async def call(caller, callee):
    stream = await caller.client.open_stream(callee.target, "echo", Dialling())
    await exchange(stream, b"hello")


async def test_what_was_published_is_committed_to_and_dialled(autojump_clock):
    async with network() as world:
        board, callee, caller = await committed(world)
        await board.show(caller)
        await call(caller, callee)


async def test_a_record_older_than_the_committed_one_is_refused_by_name(autojump_clock):
    async with network() as world:
        board, callee, caller = await committed(world)
        await board.show(caller, replace(board.said[0], revision=board.said[0].revision + 1))
        with pytest.raises(RolledBackError):
            await call(caller, callee)


async def test_another_record_of_the_committed_revision_is_refused_by_name(autojump_clock):
    async with network() as world:
        board, callee, caller = await committed(world)
        await board.show(caller, replace(board.said[0], digest=bytes(32)))
        with pytest.raises(OtherRecordError):
            await call(caller, callee)


async def test_a_newer_record_than_was_committed_is_fine(autojump_clock):
    async with network() as world:
        board, callee, caller = await committed(world)
        await board.show(caller, replace(board.said[0], revision=board.said[0].revision - 1))
        await call(caller, callee)


async def publish_where_it_is_kept(callee, board, world, nodes):
    """Publish anew until some of the stores have what others hold back: it goes to two of them."""
    older = board.said[0]
    for _ in range(5):
        before = board.newest(older).revision
        callee.service._publisher._renew(world.clock.wall())
        callee.service._changed.set()
        await until(lambda: board.newest(older).revision > before, 60)  # noqa: B023
        if len({held_by(node, older.blinded) for node in nodes}) == 2:
            return
    raise AssertionError("both stores hold it back, again and again")


async def test_a_store_that_holds_the_newer_record_back_is_passed_over(autojump_clock):
    async with network() as world:
        board, callee, caller = await committed(world)
        older = board.said[0]
        stores = world.nodes[0].keeper.ring(older.period).responsible(older.blinded)
        nodes = [node for node in world.nodes.values() if node.relay_id in stores]
        await until(lambda: all(len(node.relay.stores) for node in nodes), 60)
        for node in nodes[::2]:
            node.relay.stores.keep = lambda *_args, **_options: Status.OK
        await trio.sleep(5)
        await publish_where_it_is_kept(callee, board, world, nodes)
        await board.show(caller)
        for _ in range(3):
            await call(caller, callee)


async def test_what_the_chain_does_not_take_is_counted_and_tried_again(autojump_clock):
    async with network() as world:
        begun = trio.current_time()
        board, callee, caller = await committed(world, failures=2)
        assert trio.current_time() - begun > 2 * RETRY_S
        assert callee.service.causes["CommitError"] == 2
        await board.show(caller)
        await call(caller, callee)
