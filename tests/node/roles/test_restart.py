"""Both ends of a file begin anew, and it goes on where it stopped (SPEC 11.3)."""

import hashlib

import trio

from peerstream.node.roles.dialler import Dialling
from peerstream.node.services.files.sender import send_file
from peerstream.node.services.files.service import FileService, accept_everybody
from tests.node.roles.people import Person
from tests.node.roles.relays import network
from tests.node.services.files.support import PIECE, inbox, make_file, names_in

PIECES = 24
KILLED_AFTER = 8


class Transfer:
    """One life of two people: a file under way, until it arrived or both are killed."""

    def __init__(self, world, directory, before=None):
        olds = before.people if before else (None, None)
        self.people = tuple(
            Person(world, name, old) for name, old in zip(("caller", "callee"), olds, strict=True)
        )
        self.received = []
        self.sent = None
        self._world = world
        self._directory = directory

    async def run(self, file, kill_at=None):
        """Send a file; kill both, as kill -9 does, when that many bytes came."""

        def watch(_offer, _peer):
            def progress(done, _total):
                if kill_at is not None and done >= kill_at:
                    for person in self.people:
                        if person.node.relay_id in self._world.internet.nodes:
                            self._world.internet.kill(person.node.relay_id)
                    nursery.cancel_scope.cancel()

            return progress

        async def note(received):
            self.received.append(received)

        service = FileService(
            self._directory, accept=accept_everybody, on_received=note, watch=watch
        )
        caller, callee = self.people
        async with trio.open_nursery() as nursery:
            for person in self.people:
                await person.start(nursery)
            await callee.serve(nursery=nursery, file=service.handle)
            stream = await caller.client.open_stream(callee.target, "file", Dialling())
            self.sent = await send_file(stream, file)
            nursery.cancel_scope.cancel()


async def at_once(function, *arguments, **_options):
    """Do what a thread would: time that jumps does not wait for threads."""
    await trio.lowlevel.checkpoint()
    return function(*arguments)


async def test_a_file_goes_on_between_two_that_both_begin_anew(
    autojump_clock, monkeypatch, tmp_path
):
    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)
    directory, file = inbox(tmp_path), make_file(tmp_path / "a.bin", PIECES * PIECE + 5)
    async with network() as world:
        first = Transfer(world, directory)
        await first.run(file, KILLED_AFTER * PIECE)
        assert first.sent is None
        assert first.received == []
        assert names_in(directory) == set()
        second = Transfer(world, directory, first)
        await second.run(file)
    [received] = second.received
    assert second.sent.resumed_at == received.resumed_at >= KILLED_AFTER * PIECE
    assert received.sha256 == second.sent.sha256 == hashlib.sha256(file.read_bytes()).digest()
    assert received.path.read_bytes() == file.read_bytes()
