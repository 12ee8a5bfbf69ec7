"""Datagrams beside a stream: whose they are, what is dropped, how much is kept (SPEC 10.8)."""

import math

import pytest
import trio

from peerstream.node.ports import DATAGRAM_MAX, DatagramTooLargeError, StreamResetError
from peerstream.node.protocol.session import datagram
from peerstream.node.roles.datagrams import (
    OVERHEAD,
    QUEUE_MAX,
    SESSION_MAX,
    DatagramQueue,
    Share,
)
from peerstream.node.roles.dialler import Dialling
from tests.node.roles.people import two_people
from tests.node.roles.relays import network, until


async def echo_datagrams(stream):
    while (data := await stream.receive_datagram()) is not None:
        await stream.send_datagram(data)
    await stream.send_end()


async def first_driver(caller):
    return next(iter(caller.client._sessions.values()))


async def test_datagrams_go_beside_their_stream(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        streams = [
            await caller.client.open_stream(callee.target, "echo", Dialling()) for _ in range(3)
        ]
        for number, stream in enumerate(streams):
            for body in (b"", b"small %d" % number, bytes([number]) * DATAGRAM_MAX):
                assert await stream.send_datagram(body, 30.0)
        for number, stream in enumerate(streams):
            got = [await stream.receive_datagram() for _ in range(3)]
            assert sorted(got, key=len) == [
                b"",
                b"small %d" % number,
                bytes([number]) * DATAGRAM_MAX,
            ]
        await streams[0].send_end()
        assert not await streams[0].send_datagram(b"behind the end")
        assert await streams[0].receive_datagram() is None
        assert await streams[0].receive() == b""


async def test_what_is_no_datagram(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        with pytest.raises(DatagramTooLargeError):
            await stream.send_datagram(bytes(DATAGRAM_MAX + 1))
        for life in (0.0, -1.0, math.nan):
            assert not await stream.send_datagram(b"late", life)
        assert await stream.send_datagram(b"for ever", math.inf)
        assert await stream.receive_datagram() == b"for ever"
        stream.reset()
        with pytest.raises(StreamResetError):
            await stream.send_datagram(b"x")
        with pytest.raises(StreamResetError):
            await stream.receive_datagram()


async def test_too_many_at_once_are_refused_and_not_kept(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await stream.accepted()
        driver = await first_driver(caller)
        taken = [driver.send_datagram(stream, bytes(100_000), 30.0) for _ in range(20)]
        assert sum(taken) == 10  # 1 MiB waits for sending


async def test_more_streams_than_flows_one_after_the_other(autojump_clock, monkeypatch):
    """A flow is given back with its stream: a session may have thousands of them."""
    monkeypatch.setattr(datagram, "FLOWS_MAX", 4)
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        for number in range(12):
            stream = await caller.client.open_stream(callee.target, "echo", Dialling())
            assert await stream.send_datagram(b"%d" % number, 30.0)
            assert await stream.receive_datagram() == b"%d" % number
            await stream.aclose()
        driver = await first_driver(caller)
        assert len(driver._flows) == 0
        assert len(driver.session._datagrams._next_frame) == 0


async def test_datagrams_of_no_stream_are_dropped_and_counted(autojump_clock):
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        stream = await caller.client.open_stream(callee.target, "echo", Dialling())
        await stream.accepted()
        driver, now = await first_driver(caller), world.clock.now()
        for flow in (999, 65_535):
            assert driver.session.send_datagram(flow, b"whose?", life=1.0, now=now)
        driver.touch()
        await until(lambda: callee.service.datagrams_dropped == 2, 5)
        assert await stream.send_datagram(b"mine", 30.0)
        assert await stream.receive_datagram() == b"mine"


async def test_a_stream_whose_flow_is_taken_sends_none(autojump_clock):
    """Datagrams of stream 65 537 would come to stream 1."""
    async with network() as world:
        caller, callee = await two_people(world, echo=echo_datagrams)
        first = await caller.client.open_stream(callee.target, "echo", Dialling())
        await first.accepted()
        driver = await first_driver(caller)
        far = driver._new_stream(first.number + 65_536, "echo")
        assert not driver.send_datagram(far, b"x", 1.0)
        driver.forget(far.number)
        assert await first.send_datagram(b"mine", 30.0)
        assert await first.receive_datagram() == b"mine"


async def test_a_program_that_does_not_fetch_keeps_the_newest(autojump_clock):
    async with network() as world:
        fetched = []

        async def slow(stream):
            await stream.receive()  # not a datagram, until all were sent
            with trio.move_on_after(1):
                while True:
                    fetched.append(await stream.receive_datagram())

        caller, callee = await two_people(world, slow=slow)
        stream = await caller.client.open_stream(callee.target, "slow", Dialling())
        size = 50_000
        for number in range(30):
            assert await stream.send_datagram(number.to_bytes(4, "big") + bytes(size - 4), 30.0)
            await trio.sleep(0.5)
        await stream.send(b"now")
        await stream.drain()
        await trio.sleep(2)
        kept = QUEUE_MAX // (size + OVERHEAD)
        assert [int.from_bytes(each[:4], "big") for each in fetched] == list(range(30))[-kept:]
        assert callee.service.datagrams_dropped == 30 - kept


def test_queues_of_one_session_share_a_budget():
    share = Share()
    queues = [DatagramQueue(share) for _ in range(8)]
    for queue in queues:
        for _ in range(100):
            queue.put(bytes(100_000))
        assert share.held <= SESSION_MAX
    assert [len(queue) for queue in queues] == [10, 10, 10, 10, 1, 0, 0, 0]
    full = sum(map(len, queues))
    assert share.dropped == 800 - full
    queues[0].clear()
    queues[7].put(b"room again")
    assert queues[7].take() == b"room again"


def test_empty_datagrams_are_not_free():
    queue = DatagramQueue(Share())
    for _ in range(100_000):
        queue.put(b"")
    assert len(queue) == QUEUE_MAX // OVERHEAD
