"""A client that sends a relay what it cannot open, and connections that say nothing."""

import os
from dataclasses import dataclass
from typing import Final

import trio

from peerstream.node.ports import UnreachableError
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.wire.frames import FrameType
from peerstream.node.protocol.wire.sizes import SETUP_SIZE
from peerstream.node.roles.parts import NodeParts

BATCH: Final = 40  # what a client may send at once
PATIENCE_S: Final = 0.25
GREETING: Final = b"\x13/multistream/1.0.0\n\x16/psp/noise-aesgcm/1\n"


@dataclass(slots=True)
class Garbage:
    """SETUPs with the header of a real one, so that each costs the relay a decapsulation.

    sent: as they went to the socket; links: how often the relay was dialled for it; shut: how often
    it did not let us in.
    """

    parts: NodeParts
    relay_id: bytes
    sent: int = 0
    links: int = 0
    shut: int = 0

    async def send(self, count: int) -> None:
        """Send `count`, over as many links as it takes."""
        while self.sent < count:
            try:
                link = await self.parts.neighbours.dial(self.relay_id)
            except UnreachableError:
                self.shut += 1
                await trio.sleep(PATIENCE_S)
                continue
            self.links += 1
            while self.sent < count and self._fill(link, count - self.sent):
                self.parts.neighbours.links.wake()
                await trio.sleep(0.01)
            with trio.move_on_after(PATIENCE_S):
                while not link.closed:  # noqa: ASYNC110 - a link says nothing when it ends
                    await trio.sleep(0.005)

    def _fill(self, link: Link, most: int) -> bool:
        """Queue a batch; False when the link takes no more."""
        wall = self.parts.environment.clock.wall()
        header = self.parts.keeper.directory.hop(self.relay_id, wall).header()
        before = self.sent
        while link.can_open and self.sent - before < min(BATCH, most):
            frame = header + os.urandom(SETUP_SIZE - len(header))
            link.send(link.open_circuit_id(), FrameType.SETUP, frame)
            self.sent += 1
        return self.sent > before


class HalfOpen:
    """TCP connections to a relay: half say nothing, half begin a handshake and stop.

    Each 32 of them come from an address of their own.
    """

    def __init__(self, host: str, port: int, count: int) -> None:
        self._host = host
        self._port = port
        self._count = count
        self.connected = 0

    async def hold(self) -> None:
        """Hold them, again and again when the relay hangs up, until cancelled."""
        async with trio.open_nursery() as nursery:
            for number in range(self._count):
                nursery.start_soon(self._keep, number)

    async def _keep(self, number: int) -> None:
        while True:
            try:
                await self._once(number)
            except (OSError, trio.BrokenResourceError):
                await trio.sleep(PATIENCE_S)

    async def _once(self, number: int) -> None:
        sock = trio.socket.socket()
        with sock:
            await sock.bind((f"127.210.{number // 32}.1", 0))
            await sock.connect((self._host, self._port))
            self.connected += 1
            stream = trio.SocketStream(sock)
            if number % 2:
                await stream.send_all(GREETING + b"\x00\x20" + os.urandom(16))
            while await stream.receive_some(4_096):
                pass
            await trio.sleep(PATIENCE_S)
