"""All sockets of a host in one place: one turn for what comes at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket, socketpair

import trio
import trio.testing

from peerstream.node.network.poller import Poller
from peerstream.node.network.shared import Batch

PATIENCE_S = 20


class Reader:
    """Notes what it was ready for and takes the bytes."""

    def __init__(self, sock: socket) -> None:
        self.sock = sock
        self.calls: list[tuple[bool, bool]] = []
        self.data = b""

    def __call__(self, readable, writable):
        self.calls.append((readable, writable))
        if readable:
            self.data += self.sock.recv(1_000)


@contextmanager
def watched(poller: Poller) -> Iterator[tuple[Reader, socket]]:
    near, far = socketpair()
    near.setblocking(False)
    reader = Reader(near)
    poller.add(near, reader)
    try:
        yield reader, far
    finally:
        poller.remove(near)
        near.close()
        far.close()


async def seen(condition) -> None:
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.lowlevel.checkpoint()


async def test_what_comes_at_once_has_one_turn() -> None:
    batch, turns = Batch(), []
    batch.hooks.append(turns.append)
    poller = Poller(batch)
    with watched(poller) as (one, far_one), watched(poller) as (other, far_other):
        far_one.send(b"1")
        far_other.send(b"2")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            await seen(lambda: turns)
            assert (one.data, other.data) == (b"1", b"2")
            await trio.testing.wait_all_tasks_blocked()
            assert len(turns) == 1
            nursery.cancel_scope.cancel()
    poller.close()


async def test_who_is_removed_meanwhile_is_not_called() -> None:
    poller = Poller(Batch())
    calls = []
    with watched(poller) as (one, far_one), watched(poller) as (other, far_other):

        def end_both(readable, writable):
            calls.append(readable)
            poller.remove(one.sock)
            poller.remove(other.sock)

        for reader in (one, other):
            poller.remove(reader.sock)
            poller.add(reader.sock, end_both)
        far_one.send(b"1")
        far_other.send(b"2")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            await seen(lambda: calls)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert calls == [True]
    poller.close()


async def test_room_is_told_while_it_is_wanted_and_an_end_always() -> None:
    poller = Poller(Batch())
    with watched(poller) as (reader, far):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            await trio.testing.wait_all_tasks_blocked()
            assert reader.calls == []
            poller.want_write(reader.sock, wanted=True)
            await seen(lambda: reader.calls)
            assert reader.calls[0] == (False, True)
            poller.want_write(reader.sock, wanted=False)
            far.close()
            await seen(lambda: (True, True) in reader.calls)
            nursery.cancel_scope.cancel()
    poller.close()


async def test_after_the_end_nothing_is_watched() -> None:
    poller = Poller(Batch())
    poller.close()
    with watched(poller) as (reader, _):
        poller.want_write(reader.sock, wanted=True)
    assert reader.calls == []
