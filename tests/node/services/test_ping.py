"""The echo service over streams in memory: honest, silent and lying peers."""

import random

import pytest
import trio

from peerstream.node.services.ping import (
    PAYLOAD,
    EchoEndedError,
    EchoMismatchError,
    RoundTrips,
    answer_pings,
    ping_once,
)
from tests.node.services.memory_streams import memory_stream_pair


async def test_every_payload_comes_back_and_is_timed(autojump_clock, nursery):
    caller, callee = memory_stream_pair()
    nursery.start_soon(answer_pings, callee)
    for size in (1, PAYLOAD, 70_000):
        payload = random.Random(size).randbytes(size)
        assert await ping_once(caller, payload, trio.current_time) == 0.0
    await caller.send_end()
    assert await caller.receive() == b""


async def test_the_time_counts_until_the_last_byte(autojump_clock, nursery):
    caller, callee = memory_stream_pair()

    async def slow():
        await callee.receive()
        for byte in b"ab":
            await trio.sleep(0.25)
            await callee.send(bytes([byte]))

    nursery.start_soon(slow)
    assert await ping_once(caller, b"ab", trio.current_time) == pytest.approx(0.5)


@pytest.mark.parametrize(("answer", "error"), [(b"xbc", EchoMismatchError), (b"", EchoEndedError)])
async def test_a_peer_that_answers_wrongly_is_named(nursery, answer, error):
    caller, callee = memory_stream_pair()
    if answer:
        await callee.send(answer)
    else:
        await callee.send_end()
    with pytest.raises(error):
        await ping_once(caller, b"abc", trio.current_time)


async def test_a_peer_that_never_reads_holds_no_memory(autojump_clock):
    caller, callee = memory_stream_pair(capacity=4)
    with trio.move_on_after(60) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer_pings, callee)
            for _ in range(100):
                await caller.send(b"x")
    assert scope.cancelled_caught
    assert caller.carried <= 3 * 4  # waiting there, in the handler, waiting back


def test_percentiles_are_of_the_nearest_rank():
    times = RoundTrips([float(number) for number in range(100, 0, -1)])
    assert [times.percentile(p) for p in (1, 50, 99, 100)] == [1.0, 50.0, 99.0, 100.0]
    assert RoundTrips([7.0]).percentile(50) == 7.0
    assert RoundTrips([1.0, 2.0, 3.0]).percentile(50) == 2.0
