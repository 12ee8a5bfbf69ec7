"""The clocks of a process (SPEC 10.1)."""

import time

import trio


class SystemClock:
    """Monotonic time from trio, so that tests may move it; directory time from the system."""

    def now(self) -> float:
        """Return seconds that never go back."""
        return trio.current_time()

    def wall(self) -> int:
        """Return unix seconds."""
        return int(time.time())
