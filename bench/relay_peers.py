"""Who stands around the one relay of bench/relay.py: peers played by hand, a relay of sockets."""

import os
import socket
import time
from multiprocessing.context import SpawnContext
from threading import Thread
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from peerstream.node.lab.bench.meter import cpu_seconds
from peerstream.node.protocol.circuit.limits import LinkLimits
from peerstream.node.protocol.circuit.link import Link
from peerstream.node.protocol.wire.frames import HEADER, FrameType, encode_credit, encode_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from peerstream.node.network.carrier import LinkPort
    from peerstream.node.protocol.errors import RemoteProtocolError

BLOCK = 65_536
_SLOW_S = 0.2  # between two grants of a reader that is slow
_LIMITS = LinkLimits(10_000, 1e9, 1e9, closes_on_bad_setups=False)


def pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


class Played:
    """A link whose frames are written by hand: it greets, answers pings and reads the rest."""

    def __init__(self) -> None:
        self.on_output: Callable[[LinkPort], None] = lambda _link: None
        self.failure: RemoteProtocolError | None = None
        self.closed = False
        self.now = 0.0
        self._output: list[bytes | memoryview] = []
        self._part = b""
        self._skip = 0

    def make(self, *, dialer: bool, peer: bytes, now: float) -> "LinkPort":
        greeting = Link(dialer=dialer, peer=peer, limits=_LIMITS, now=now)
        self._output += [bytes(part) for part in greeting.data_to_send(BLOCK)]
        return self

    def say(self, frame: bytes) -> None:
        self._output.append(frame)
        self.on_output(self)

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        self.now = now
        data = memoryview(self._part + bytes(data)) if self._part else memoryview(data)
        end = len(data)
        position = min(self._skip, end)
        self._skip -= position
        while end - position >= HEADER.size:
            circuit, kind, _, length = HEADER.unpack_from(data, position)
            stop = position + HEADER.size + length
            if kind == FrameType.CELL:
                self.cell(circuit)
                self._skip, position = max(0, stop - end), min(stop, end)
            elif stop > end:
                break
            else:
                self._frame(circuit, kind, bytes(data[position + HEADER.size : stop]))
                position = stop
        self._part = bytes(data[position:])

    def _frame(self, circuit: int, kind: int, body: bytes) -> None:
        if kind == FrameType.PING:
            self.say(encode_frame(0, FrameType.PONG, body))
        elif kind == FrameType.CREDIT:
            self.credit(circuit, int.from_bytes(body, "big"))

    def cell(self, circuit: int) -> None:
        """Take a cell."""

    def credit(self, circuit: int, cells: int) -> None:
        """Take a grant."""

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        parts: list[bytes | memoryview] = []
        while self._output and len(self._output[0]) <= budget:
            budget -= len(self._output[0])
            parts.append(self._output.pop(0))
        return parts

    def tick(self, now: float) -> None:
        self.now = now

    def close(self) -> None:
        self.closed = True


class Feeder(Played):
    """Sends cells on its circuits by turns, as many as it was granted."""

    def __init__(self, cell_size: int, window: int) -> None:
        super().__init__()
        self.circuits: list[int] = []
        self._body = os.urandom(cell_size)
        self._window = window
        self._allowed: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._going = False
        self._turn = 0

    def go(self) -> None:
        self._going = True
        self.on_output(self)

    def stop(self) -> None:
        self._going = False

    def credit(self, circuit: int, cells: int) -> None:
        self._allowed[circuit] = cells
        self.on_output(self)

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        parts = super().data_to_send(budget)
        if parts or not self._going:
            return parts
        room = budget // (HEADER.size + len(self._body))
        for _ in self.circuits:
            circuit = self.circuits[self._turn % len(self.circuits)]
            self._turn += 1
            sent = self._sent.get(circuit, 0)
            if sent < self._allowed.get(circuit, self._window):
                self._sent[circuit] = sent + 1
                parts += [HEADER.pack(circuit, FrameType.CELL, 0, len(self._body)), self._body]
                room -= 1
            if not room:
                break
        return parts


class Taker(Played):
    """Counts cells and grants half a window at a time; or, slow, a cell now and then."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.cells = 0
        self.slow = False
        self._window = window
        self._got: dict[int, int] = {}
        self._granted_at = 0.0

    def cell(self, circuit: int) -> None:
        self.cells += 1
        got = self._got[circuit] = self._got.get(circuit, 0) + 1
        if not self.slow and got % (self._window // 2) == 0:
            self._grant(circuit, got + self._window)

    def _grant(self, circuit: int, cells: int) -> None:
        self.say(encode_frame(circuit, FrameType.CREDIT, encode_credit(cells)))

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.slow and now - self._granted_at > _SLOW_S:
            self._granted_at = now
            for circuit, got in self._got.items():
                self._grant(circuit, got + 1)


# A relay of sockets, which is what a relay could be at most


def _seal(near: socket.socket, far: socket.socket, core: int, cell: int) -> None:
    """One read of 64 KiB, its cryptography, one write: until the near side ends."""
    pin(core)
    aead = AESGCM(bytes(32))
    block, sealed = memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK + 16))
    number = 0
    while size := near.recv_into(block, BLOCK, socket.MSG_WAITALL):
        number += 1
        nonce = number.to_bytes(12, "big")
        if cell:
            _as_a_relay(aead, nonce, block[:size], sealed, cell)
        else:
            aead.encrypt_into(nonce, block[:size], None, sealed[: size + 16])
        far.sendall(sealed[:size])


def _as_a_relay(
    aead: AESGCM, nonce: bytes, block: memoryview, sealed: memoryview, cell: int
) -> None:
    """Do to each cell what a relay of ours must: open and seal a message, hash, encipher."""
    for start in range(0, len(block) - cell + 1, cell):
        taken, out = block[start : start + cell], sealed[start : start + cell + 16]
        aead.encrypt_into(nonce, taken, None, out)  # as long as opening takes
        aead.encrypt(nonce, b"", taken)
        aead.encrypt_into(nonce, taken, None, out)
        aead.encrypt_into(nonce, taken, None, out)


def sealed_between_sockets(
    context: SpawnContext, cores: tuple[int, int], seconds: float, cell: int = 0
) -> float:
    """Return MB by a second of the relay's CPU; it has the first core, both ends the second.

    It seals each 64 KiB once; with a size of cells it does what a relay of ours must do to each.
    """
    pin(cores[1])
    (feed, near), (far, take) = _tcp_pair(), _tcp_pair()
    process: Any = context.Process(target=_seal, args=(near, far, cores[0], cell), daemon=True)
    process.start()
    near.close()
    far.close()
    moved, going = [0], [True]

    def send() -> None:
        block = os.urandom(BLOCK)
        while going[0]:
            feed.sendall(block)
        feed.close()

    def receive() -> None:
        buffer = bytearray(BLOCK)
        while size := take.recv_into(buffer):
            moved[0] += size

    threads = [Thread(target=act, daemon=True) for act in (send, receive)]
    for thread in threads:
        thread.start()
    while not moved[0]:
        time.sleep(0.01)
    before, cpu = moved[0], cpu_seconds(process.pid)
    time.sleep(seconds)
    rate = (moved[0] - before) / 1e6 / (cpu_seconds(process.pid) - cpu)
    going[0] = False
    process.join()
    for thread in threads:
        thread.join()
    take.close()
    return rate


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for each in (one, other):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other
