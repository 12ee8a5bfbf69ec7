"""A node for asyncio: trio in a thread of its own, joined by stream sockets (SPEC 18.4).

Each stream is a socket pair, so that a task that is cancelled closes its end and the node gives the
stream up, and a reader that stops fills a window and nothing else. What is said over it is what a
client says to the daemon.
"""

import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

import anyio
import anyio.to_thread
import trio
from anyio.abc import ByteStream as Transport

from peerstream.node.library.api.server import StreamServer
from peerstream.node.library.api.sockets import transport_of
from peerstream.node.library.node import Node as RunningNode
from peerstream.node.roles.tasks import bare_errors

OpenNode = Callable[[], AbstractAsyncContextManager[RunningNode]]


class TrioThread:
    """Runs a node in a thread until told to stop."""

    def __init__(self, open_node: OpenNode) -> None:
        self._open_node = open_node
        self._ready = threading.Event()
        self._scope: trio.CancelScope | None = None
        self._leave: trio.Event | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._nursery: trio.Nursery | None = None
        self._server: StreamServer | None = None
        self._stopping = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="peerstream", daemon=True)

    @classmethod
    @asynccontextmanager
    async def running(cls, open_node: OpenNode) -> AsyncIterator[Self]:
        """Run a node until the block is left. Raises what opening the node raises."""
        thread = cls(open_node)
        thread._thread.start()
        try:
            await anyio.to_thread.run_sync(thread._ready.wait, abandon_on_cancel=True)
            if thread._failure is None:
                yield thread
        finally:
            thread._stop()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(thread._thread.join)
        if thread._failure is not None:
            raise thread._failure

    async def open_transport(self) -> Transport:
        """Return our end of a new connection to the node. Raises OSError when it is over."""
        if self._token is None:
            raise OSError("the node does not run")
        ours, theirs = socket.socketpair()
        try:
            self._token.run_sync_soon(self._serve, theirs)
        except trio.RunFinishedError as error:
            ours.close()
            theirs.close()
            raise OSError("the node has ended") from error
        return await transport_of(ours)

    # In the thread

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001 - a supervisor: it is raised where it is awaited
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._scope:
            if self._stopping:
                return
            with bare_errors():
                async with self._open_node() as node, trio.open_nursery() as nursery:
                    self._server, self._nursery = StreamServer(node), nursery
                    self._leave = trio.Event()
                    self._ready.set()
                    try:
                        await self._leave.wait()
                        nursery.cancel_scope.cancel()
                    finally:
                        self._server = self._nursery = None  # nothing starts in a nursery that ends

    def _serve(self, theirs: socket.socket) -> None:
        if self._server is None or self._nursery is None or self._stopping:
            theirs.close()
            return
        self._nursery.start_soon(self._server.handle, trio.socket.from_stdlib_socket(theirs))

    def _stop(self) -> None:
        self._stopping = True
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._end)
            except trio.RunFinishedError:
                return

    def _end(self) -> None:
        """Leave a node that runs in order, so that its sessions end; give up one that starts."""
        if self._leave is not None:
            self._leave.set()
        elif self._scope is not None:
            self._scope.cancel()
