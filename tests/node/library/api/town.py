"""Relays in memory, two people and their stream sockets, in a thread with a clock that runs.

What is tested beside it is real: sockets, threads, both event loops. Only the internet between the
relays is memory.
"""

import threading
import traceback
from contextlib import asynccontextmanager, contextmanager

import trio

from peerstream.node.library.api.server import serve_streams
from peerstream.node.library.assembly import Assembly
from peerstream.node.library.node import Node
from tests import beside
from tests.node.roles.people import Person
from tests.node.roles.relays import network

PATIENCE_S = 240.0


@asynccontextmanager
async def node_of(person):
    """A running node, put together of a person in memory."""
    async with trio.open_nursery() as nursery:
        assembly = Assembly(person.parts, person.storage, None)
        yield Node(person.identity, assembly, person.client, nursery)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def two_nodes():
    """A callee and a caller in a network of their own: (world, {name: node})."""
    async with network() as world:
        people = {
            "callee": Person(world, "callee", contact_secret=b""),  # listed
            "caller": Person(world, "caller"),
        }
        async with trio.open_nursery() as starting:
            for person in people.values():
                starting.start_soon(person.start)
        async with (
            node_of(people["callee"]) as callee,
            node_of(people["caller"]) as caller,
        ):
            yield world, {"callee": callee, "caller": caller}


class Town:
    def __init__(self, folder):
        self.folder = folder
        self.sockets = {name: folder / f"{name}.sock" for name in ("callee", "caller")}
        self.nodes = {}
        self.cards = {}
        self.ready = threading.Event()
        self.failure = None
        self.token = self.scope = None

    @classmethod
    @contextmanager
    def running(cls, folder):
        folder.chmod(0o700)
        town = cls(folder)
        thread = threading.Thread(target=town._run)
        thread.start()
        try:
            assert town.ready.wait(PATIENCE_S)
            assert town.failure is None, town.failure
            yield town
        finally:
            if town.token is not None:
                town.token.run_sync_soon(town.scope.cancel)
            thread.join(PATIENCE_S)
        assert town.failure is None, town.failure

    def call(self, function, *arguments):
        """Call something in the town's thread and return what it returns."""
        return trio.from_thread.run_sync(function, *arguments, trio_token=self.token)

    def _run(self):
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            self.failure = error
            traceback.print_exception(error)
        finally:
            beside.discard(self.token)
            self.ready.set()

    async def _main(self):
        self.token = trio.lowlevel.current_trio_token()
        beside.add(self.token)
        with trio.CancelScope() as self.scope:
            async with two_nodes() as (_world, self.nodes), trio.open_nursery() as nursery:
                for name, node in self.nodes.items():
                    self.cards[name] = str(node.identity.card)
                    await nursery.start(_serve, node, self.sockets[name])
                self.ready.set()
                await trio.sleep_forever()


async def _serve(node, path, task_status):
    await serve_streams(node, path, task_status=task_status)
