"""Readiness of all sockets of a host, waited for in one place (SPEC 9.6).

trio arms a socket anew for each wait and wakes one task for each that is ready. Here each is
registered once, one wake-up reads all that are ready, and what they brought for one neighbour
leaves in one send. A round of trio's scheduler costs as much as a turn, so after a turn this task
waits for the next one by itself, for as long as trio would do nothing but wait, too.
"""

import re
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from peerstream.node.network.shared import Batch

ROUNDS_MAX: Final = 4  # turns in a row while there is something to read; then others have theirs
TURNS_MAX: Final = 64  # the same while no other task is ready: then trio looks around
# How long we wait past trio: a busy node's next cell comes sooner. Whoever cancels us from within
# a turn, and a clock of a test that jumps when all tasks wait, are kept for so long at most.
LINGER_S: Final = 0.005
_DESCRIPTORS: Final = Path("/proc/self/fdinfo")

# Called with what the socket is ready for: to be read, to be written. An error counts as both.
Ready = Callable[[bool, bool], None]


class ReadyTasks(trio.abc.Instrument):
    """Counts the tasks that were scheduled and have not had their step yet."""

    def __init__(self) -> None:
        self.ready = 0

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - the hook's signature
        """As `Instrument`."""
        self.ready += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - likewise
        """As `Instrument`; who was scheduled before we counted is not counted down."""
        self.ready = max(0, self.ready - 1)


_counted: Final = trio.lowlevel.RunVar[ReadyTasks]("ready tasks")


def _ready_tasks() -> ReadyTasks:
    """Return the one that all hosts of a trio run share."""
    try:
        return _counted.get()
    except LookupError:
        tasks = ReadyTasks()
        trio.lowlevel.add_instrument(tasks)
        _counted.set(tasks)
        return tasks


class Poller:
    """Calls whoever registered a socket, within a turn of the batch."""

    def __init__(self, batch: "Batch") -> None:
        self._batch = batch
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}
        self._sought = False
        self._both: select.poll | None = None  # ours and trio's, if that was found
        self._deadline = self._ask_at = 0.0  # trio's next, and when to ask for it again

    def add(self, sock: socket.socket, ready: Ready) -> None:
        """Tell ``ready`` whenever the socket can be read, until it is removed or we are closed."""
        if not self._epoll.closed:
            self._epoll.register(sock, select.EPOLLIN)
            self._ready[sock.fileno()] = ready

    def want_write(self, sock: socket.socket, *, wanted: bool) -> None:
        """Tell also when the socket takes bytes, or no longer."""
        if sock.fileno() in self._ready:
            self._epoll.modify(sock, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def remove(self, sock: socket.socket) -> None:
        """Forget the socket; before it is closed. Nothing happens when it is not there."""
        if self._ready.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock)

    async def run(self) -> None:
        """Wait and tell, until cancelled."""
        others = _ready_tasks()
        while True:
            await trio.lowlevel.wait_readable(self._epoll)
            if not self._sought:
                self._sought = True
                self._both = self._find_scheduler()
            self._turns(others)

    def _turns(self, others: ReadyTasks) -> None:
        """Take turns while there is something to read, and no task or not yet another's turn."""
        self._ask_at = 0.0  # tasks had their turns meanwhile
        for number in range(TURNS_MAX):
            if not self._turn():
                return
            if others.ready and number + 1 >= ROUNDS_MAX:
                return
            if not others.ready and not self._linger():
                return

    def _find_scheduler(self) -> "select.poll | None":
        """Return what waits for our sockets and for all that trio waits for.

        trio does not tell its epoll instance: it is the one that watches ours. None where the
        kernel does not tell either: nothing is ever waited for here then.
        """
        watched = re.compile(rf"^tfd:\s*{self._epoll.fileno()} ", re.MULTILINE)
        found = []
        for descriptor in _DESCRIPTORS.glob("[0-9]*"):
            with suppress(OSError):  # closed meanwhile
                if watched.search(descriptor.read_text()):
                    found.append(int(descriptor.name))
        if not found:
            return None
        both = select.poll()
        for number in (self._epoll.fileno(), *found):
            both.register(number, select.POLLIN)
        return both

    def _linger(self) -> bool:
        """Wait as all tasks do; whether our sockets have something then, and nobody else."""
        now = trio.current_time()
        wait_s = min(LINGER_S, self._next_deadline(now) - now)
        if self._both is None or wait_s <= 0:
            return False
        ready = self._both.poll(wait_s * 1_000)
        return len(ready) == 1 and ready[0][0] == self._epoll.fileno()

    def _next_deadline(self, now: float) -> float:
        """Return the next deadline of any task; one that a turn set may be missed for LINGER_S.

        trio tells it only together with all its statistics, which cost as much as a cell.
        """
        if now >= self._ask_at:
            statistics = trio.lowlevel.current_statistics()
            self._deadline = now + statistics.seconds_to_next_deadline
            self._ask_at = now + LINGER_S
        return self._deadline

    def _turn(self) -> bool:
        """Serve all that are ready, once each; whether there was any."""
        events = self._epoll.poll(0)
        if not events:
            return False
        self._batch.begin()
        try:
            for number, event in events:
                ready = self._ready.get(number)
                if ready is not None:  # it may have gone by what another brought
                    broken = event & (select.EPOLLERR | select.EPOLLHUP)
                    ready(
                        bool(event & select.EPOLLIN or broken),
                        bool(event & select.EPOLLOUT or broken),
                    )
        finally:
            self._batch.end()
        return True

    def close(self) -> None:
        """Give the descriptor back and forget all sockets. Nobody is in ``run`` any more."""
        self._ready.clear()
        self._epoll.close()
