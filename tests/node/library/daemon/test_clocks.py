"""A machine that slept, or whose clock was set, looks at everything anew (SPEC 17.6)."""

import trio

from peerstream.node.library.daemon.clocks import LOOK_S, watch_clocks


class SleepyClock:
    """Monotonic time from trio; wall time that a test moves."""

    def __init__(self):
        self.moved = 0

    def now(self):
        return trio.current_time()

    def wall(self):
        return int(1_800_000_000 + trio.current_time() + self.moved)


async def test_only_a_jump_is_a_jump(autojump_clock, nursery):
    clock, jumps = SleepyClock(), []
    nursery.start_soon(watch_clocks, clock, lambda: jumps.append(trio.current_time()))
    await trio.sleep(7 * 86_400)
    assert jumps == []
    for moved in (8 * 3_600, -3_600, 31):
        before = len(jumps)
        clock.moved += moved
        await trio.sleep(2 * LOOK_S)
        assert len(jumps) == before + 1
    clock.moved += 20  # a step of NTP
    await trio.sleep(3_600)
    assert len(jumps) == 3
    nursery.cancel_scope.cancel()
