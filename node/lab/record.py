"""The record of a private network that outlives the command which started it (SPEC 14.4).

One file in its state directory. It names processes by id and start time: an id alone may have
become somebody else's, and `down` sends signals.
"""

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from peerstream.identity.json_text import read_json
from peerstream.node.lab.errors import LeftoverProcessError, NotRunningError
from peerstream.node.lab.kernel import is_alive, start_ticks
from peerstream.node.store.errors import CorruptedFileError
from peerstream.node.store.files import read_private, write_whole

SCHEMA: Final = "psp.lab/1"
FILE: Final = "network-record.json"
ENDING_S: Final = 20.0
_FILE_MAX: Final = 1_048_576
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network that runs on its own. server: the process whose end ends all others.

    processes: start ticks by process id. description: what `psp devnet status` shows.
    """

    server: int
    processes: Mapping[int, int]
    description: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls, server: int, pids: Iterable[int], description: Mapping[str, Any]
    ) -> "NetworkRecord":
        """Record running processes; one that is gone already is left out."""
        ticks = {pid: start_ticks(pid) for pid in {server, *pids}}
        return cls(server, {p: t for p, t in ticks.items() if t is not None}, description)

    @property
    def alive(self) -> list[int]:
        """The processes that still run."""
        return [pid for pid, ticks in self.processes.items() if is_alive(pid, ticks)]

    @property
    def is_running(self) -> bool:
        """Whether the process that holds all others runs."""
        return self.server in self.alive

    def save(self, directory: Path) -> None:
        """Write the file. Raises StateUnavailableError."""
        found = {
            "schema": SCHEMA,
            "server": self.server,
            "processes": {str(pid): ticks for pid, ticks in self.processes.items()},
            "description": dict(self.description),
        }
        write_whole(directory / FILE, json.dumps(found, indent=2).encode() + b"\n")

    @classmethod
    def load(cls, directory: Path) -> "NetworkRecord":
        """Read the file. Raises NotRunningError without one, CorruptedFileError, StoreError."""
        data = read_private(directory / FILE, _FILE_MAX)
        if data is None:
            raise NotRunningError(f"{directory} has no record of one")
        try:
            found = read_json(data)
            if found["schema"] != SCHEMA:
                raise CorruptedFileError(f"{directory / FILE} is no {SCHEMA}")
            processes = {int(pid): int(ticks) for pid, ticks in found["processes"].items()}
            return cls(int(found["server"]), processes, dict(found["description"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptedFileError(f"{directory / FILE} is no {SCHEMA}") from error

    def end(self) -> list[int]:
        """End all processes; return those that ran. Raises LeftoverProcessError."""
        running = self.alive
        if self.server in running:
            os.kill(self.server, signal.SIGTERM)
            self._wait_until_gone(ENDING_S)
        for pid in self.alive:
            os.kill(pid, signal.SIGKILL)
        self._wait_until_gone(ENDING_S)
        if self.alive:
            raise LeftoverProcessError(", ".join(map(str, self.alive)))
        return running

    def _wait_until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def forget(directory: Path) -> None:
    """Remove the record, when there is one."""
    (directory / FILE).unlink(missing_ok=True)
