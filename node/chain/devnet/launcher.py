"""Run a program that ends when its parent ends (SPEC 8.7; Linux prctl(2)).

``launcher.py PARENT_PID PROGRAM ARGUMENT...`` replaces itself by the program, which keeps the
wish. The kernel means the thread that started it, so that has to be one that stays.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Let the kernel kill us when the parent ends; end now if it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell is wanted
