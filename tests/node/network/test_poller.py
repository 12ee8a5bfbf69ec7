"""All sockets of a host in one place: one turn for what comes at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket, socketpair

import trio
import trio.testing

from peerstream.node.network import poller as poller_module
from peerstream.node.network.poller import TURNS_MAX, Poller
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


class Waits(trio.abc.Instrument):
    """Counts how often trio waits."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        """As `Instrument`."""
        self.count += 1


@contextmanager
def counted_waits() -> Iterator[Waits]:
    waits = Waits()
    trio.lowlevel.add_instrument(waits)
    try:
        yield waits
    finally:
        trio.lowlevel.remove_instrument(waits)


async def test_while_all_tasks_wait_what_comes_soon_needs_no_round_of_trio() -> None:
    poller = Poller(Batch())
    done = trio.Event()
    with watched(poller) as (reader, far), counted_waits() as waits:

        def answered(readable, writable):
            reader(readable, writable)
            if len(reader.data) < 2 * TURNS_MAX:
                far.send(b"1")
            else:
                done.set()

        poller.remove(reader.sock)
        poller.add(reader.sock, answered)
        far.send(b"1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            with trio.fail_after(PATIENCE_S):
                await done.wait()
            nursery.cancel_scope.cancel()
    assert len(reader.calls) == 2 * TURNS_MAX
    assert waits.count < 10
    poller.close()


async def test_where_the_kernel_does_not_tell_who_watches_us_nothing_is_waited_for(
    tmp_path, monkeypatch
) -> None:
    """Waiting for no descriptor at all would hold the whole program up."""
    waits = []

    class Waiting:
        def register(self, *_):
            raise AssertionError("there is nothing to register")

        def poll(self, milliseconds):
            waits.append(milliseconds)
            return []

    monkeypatch.setattr(poller_module, "_DESCRIPTORS", tmp_path)
    monkeypatch.setattr(poller_module.select, "poll", Waiting)
    poller = Poller(Batch())
    with watched(poller) as (reader, far):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            for number in range(3):
                far.send(b"x")
                await seen(lambda number=number: len(reader.data) > number)
            nursery.cancel_scope.cancel()
    assert waits == []
    poller.close()


async def test_a_socket_that_always_has_something_keeps_nobody_else_waiting() -> None:
    poller = Poller(Batch())
    with watched(poller) as (reader, far):
        poller.remove(reader.sock)
        poller.add(reader.sock, lambda _readable, _writable: None)  # it reads nothing
        far.send(b"1")
        near, away = socketpair()
        with near, away:
            near.setblocking(False)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(poller.run)
                with trio.fail_after(PATIENCE_S):
                    for _ in range(50):  # a task that is always ready
                        await trio.lowlevel.checkpoint()
                    await trio.sleep(0.001)  # a deadline
                    assert await trio.to_thread.run_sync(lambda: 7) == 7  # another thread
                    away.send(b"1")
                    await trio.lowlevel.wait_readable(near)  # a socket that trio waits for
                nursery.cancel_scope.cancel()
    poller.close()


async def test_a_deadline_that_a_turn_sets_is_kept_while_cells_go_on() -> None:
    poller = Poller(Batch())
    late_by = []
    with watched(poller) as (reader, far), trio.fail_after(PATIENCE_S):
        scope = trio.CancelScope()

        def answered(readable, writable):
            reader(readable, writable)
            far.send(b"1")
            if len(reader.calls) == 3:
                scope.deadline = trio.current_time() + 0.01

        poller.remove(reader.sock)
        poller.add(reader.sock, answered)
        far.send(b"1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            with scope:
                await trio.sleep_forever()
            late_by.append(trio.current_time() - scope.deadline)
            nursery.cancel_scope.cancel()
    assert 0 <= late_by[0] < 1
    poller.close()


async def test_who_cancels_within_a_turn_waits_for_it_no_longer_than_for_a_cell() -> None:
    poller = Poller(Batch())
    with watched(poller) as (_, far), trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            poller._batch.hooks.append(lambda _now: nursery.cancel_scope.cancel())
            nursery.start_soon(poller.run)
            far.send(b"1")
    poller.close()


async def test_after_the_end_nothing_is_watched() -> None:
    poller = Poller(Batch())
    poller.close()
    with watched(poller) as (reader, _):
        poller.want_write(reader.sock, wanted=True)
    assert reader.calls == []
