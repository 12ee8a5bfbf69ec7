"""Readiness of all sockets of a host, waited for in one place (SPEC 9.6).

trio arms a socket anew for each wait and wakes one task for each that is ready. Here each is
registered once, one wake-up reads all that are ready, and what they brought for one neighbour
leaves in one send.
"""

import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from peerstream.node.network.shared import Batch

ROUNDS_MAX: Final = 4  # turns in a row while there is something to read; then others have theirs

# Called with what the socket is ready for: to be read, to be written. An error counts as both.
Ready = Callable[[bool, bool], None]


class Poller:
    """Calls whoever registered a socket, within a turn of the batch."""

    def __init__(self, batch: "Batch") -> None:
        self._batch = batch
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}

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
        while True:
            await trio.lowlevel.wait_readable(self._epoll)
            for _ in range(ROUNDS_MAX):
                if not self._turn():
                    break

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
