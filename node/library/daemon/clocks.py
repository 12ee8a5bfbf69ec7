"""Notices that a machine slept or its clock was set (SPEC 17.6)."""

from collections.abc import Callable
from typing import Final

import trio

from peerstream.node.ports import Clock

LOOK_S: Final = 5.0
APART_S: Final = 30.0


async def watch_clocks(clock: Clock, jumped: Callable[[], None]) -> None:
    """Call ``jumped()`` whenever wall time moved on by something else than monotonic time did.

    Monotonic time stands still in a sleep; wall time is set by people and by NTP.
    """
    apart = clock.wall() - clock.now()
    while True:
        await trio.sleep(LOOK_S)
        before, apart = apart, clock.wall() - clock.now()
        if abs(apart - before) > APART_S:
            jumped()
