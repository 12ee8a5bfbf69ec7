"""A loop in a thread stands still for a test that asks for it, and goes on behind."""

import threading

import trio

from tests import beside


def test_a_loop_beside_stands_still_and_goes_on():
    ticks, tokens = [], []
    ready, over = threading.Event(), threading.Event()

    async def tick():
        tokens.append(trio.lowlevel.current_trio_token())
        beside.add(tokens[0])
        ready.set()
        while not over.is_set():
            ticks.append(None)
            await trio.lowlevel.checkpoint()

    thread = threading.Thread(target=trio.run, args=(tick,))
    thread.start()
    try:
        assert ready.wait(20)
        with beside.standing_still():
            before = len(ticks)
            assert all(len(ticks) == before for _ in range(10_000))
        while len(ticks) == before:
            pass
    finally:
        beside.discard(tokens[0])
        over.set()
        thread.join(20)
