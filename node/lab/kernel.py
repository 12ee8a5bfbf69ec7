"""What we ask of the Linux kernel about processes (SPEC 14.2; prctl(2), proc(5))."""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_NAME_MAX: Final = 15
_START_FIELD: Final = 19  # of /proc/PID/stat behind the name: field 22, the start in clock ticks
_STATE_FIELD: Final = 0


def die_with_parent(parent: int) -> None:
    """Let the kernel kill us when the parent ends; end now if it is gone already.

    The kernel means the thread that started us, so that has to be one that stays.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def outlive_parent() -> None:
    """Take back the wish to end with the parent."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def name_process(name: str) -> None:
    """Set the name that ps and top show, its first 15 letters."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:_NAME_MAX])


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when it is gone.

    Process ids are used again; together with this number one names a process for good.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and may itself hold some.
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE_FIELD] in "ZX" else int(fields[_START_FIELD])


def is_alive(pid: int, ticks: int) -> bool:
    """Whether the process that started then still runs."""
    return start_ticks(pid) == ticks


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (10^6 bytes), 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
