"""What processes cost: CPU and memory, as the kernel counts them (proc(5))."""

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from peerstream.node.lab.errors import ProcessEndedError

MB: Final = 1_000_000
_TICK: Final = os.sysconf("SC_CLK_TCK")
_USER: Final = 11  # of /proc/PID/stat behind the name: fields 14 and 15, user and system ticks
_BUSY: Final = 8  # of the line cpu of /proc/stat: what comes behind is counted in user already
_IDLE: Final = (3, 4)

Roles = Mapping[str, Sequence[int]]


def cpu_seconds(pid: int) -> float:
    """Return the user and system seconds of a process so far. Raises ProcessEndedError."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_USER + 1])) / _TICK


def busy_seconds() -> float:
    """Return the CPU seconds that the whole machine was busy so far."""
    values = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(values[:_BUSY]) - sum(values[number] for number in _IDLE)) / _TICK


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process in MB (10^6 bytes).

    resident: all its pages. proportional: of pages that are shared, its share.
    """

    resident: float
    proportional: float


def memory_of(pid: int) -> Memory:
    """Return the memory of a process now. Raises ProcessEndedError."""
    text = _read(pid, "smaps_rollup")
    return Memory(_kilobytes(text, "Rss"), _kilobytes(text, "Pss"))


def _kilobytes(text: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ProcessEndedError(f"smaps_rollup has no {name}: the process is ending")
    return int(found[1]) * 1_024 / MB


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ProcessEndedError(f"process {pid} is gone") from error


@dataclass(slots=True)
class Meter:
    """CPU seconds from the beginning of a ``with`` block to its end.

    roles: the processes that count, by role. apart: processes of the measuring itself. Afterwards:
    wall, seconds of the block; cpu, seconds by role; others, the seconds of everybody else.
    """

    roles: Roles
    apart: Iterable[int]
    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    others: float = 0.0
    _own: float = 0.0

    def __enter__(self) -> Self:
        self._read(-1)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._read(1)

    def _read(self, sign: int) -> None:
        self.wall += sign * time.monotonic()
        for role, pids in self.roles.items():
            spent = sum(cpu_seconds(pid) for pid in pids)
            self.cpu[role] = self.cpu.get(role, 0.0) + sign * spent
        self._own += sign * sum(cpu_seconds(pid) for pid in self.apart)
        self.others += sign * busy_seconds()
        if sign > 0:
            self.others = max(0.0, self.others - self.total - self._own)

    @property
    def total(self) -> float:
        """CPU seconds of all roles."""
        return sum(self.cpu.values())
