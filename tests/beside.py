"""Threads that run beside tests, and stand still where a test measures the process's memory."""

import threading
from contextlib import contextmanager

_PATIENCE_S = 60.0
_loops = set()  # trio tokens


def add(token):
    """Note that a trio loop runs in a thread of its own."""
    _loops.add(token)


def discard(token):
    """Note that it runs no more."""
    _loops.discard(token)


@contextmanager
def standing_still():
    """Hold all of them for the block."""
    go_on, held = threading.Event(), []
    for token in _loops:
        here = threading.Event()
        held.append(here)

        def hold(here=here):
            here.set()
            go_on.wait(_PATIENCE_S)

        token.run_sync_soon(hold)
    try:
        assert all(here.wait(_PATIENCE_S) for here in held)
        yield
    finally:
        go_on.set()
