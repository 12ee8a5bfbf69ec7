"""What the applications do, and how long it takes them: the same for every network measured.

They run here, outside the processes that are counted, and block: a thread for each stream.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from peerstream.node.lab.bench.socks import (
    Place,
    connect_front,
    open_stream,
    read_exactly,
    request_stream,
)
from peerstream.node.lab.bench.target import (
    BLOCK,
    DONE,
    NUMBER_SIZE,
    send_blocks,
    take_blocks,
)

PAYLOAD: Final = 100
PATIENCE_S: Final = 120.0
CONNECT_S: Final = 30.0  # for all flows of a transfer
RETRY_S: Final = 0.5


def dial(place: Place) -> tuple[socket.socket, float]:
    """Return an echo stream, and the seconds until its first byte came back. Raises OSError."""
    stream = connect_front(place.front, place.isolation)
    try:
        began = time.perf_counter()
        request_stream(stream, place.host)
        # One write: two would meet Nagle and a delayed acknowledgement at Tor's far end.
        stream.sendall(b"E!")
        read_exactly(stream, 1)
    except BaseException:
        stream.close()
        raise
    return stream, time.perf_counter() - began


def echo(stream: socket.socket, count: int) -> list[float]:
    """Return the seconds that payloads took there and back, one after the other. Raises OSError."""
    payload, times = os.urandom(PAYLOAD), []
    for _ in range(count):
        began = time.perf_counter()
        stream.sendall(payload)
        if read_exactly(stream, PAYLOAD) != payload:
            raise ConnectionError("another payload came back")
        times.append(time.perf_counter() - began)
    return times


@dataclass(slots=True)
class Dials:
    """What came of many dials. seconds: of those that worked; failures: what the others said."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _held: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def dial_all(self, places: Sequence[Place], at_once: int) -> None:
        """Dial all places, so many at a time; the streams stay open until `close`."""
        left = list(reversed(places))

        def work() -> None:
            while True:
                with self._lock:
                    if not left:
                        return
                    place = left.pop()
                self._dial(place)

        _join([_start(work) for _ in range(at_once)])

    def _dial(self, place: Place) -> None:
        try:
            stream, seconds = dial(place)
        except OSError as error:
            with self._lock:
                self.failures.append(f"{type(error).__name__}: {error}")
            return
        with self._lock:
            self.seconds.append(seconds)
            self._held.append(stream)

    def close(self) -> None:
        """Close the streams."""
        for stream in self._held:
            stream.close()
        self._held.clear()


@dataclass(slots=True)
class Bulk:
    """Flows that all begin to move blocks at the same moment, each over a session of its own.

    moving: bytes that came, or that were taken from us, so far, of each.
    """

    places: Sequence[Place]
    upload: bool
    failures: list[str] = field(default_factory=list)
    moving: list[int] = field(default_factory=list)
    _open: list[socket.socket] = field(default_factory=list)
    _moved: list[int] = field(default_factory=list)

    def dial(self) -> None:
        """Connect all flows, so that `move` measures no dials.

        One after the other, again when refused: a guard takes only so many circuits a second.
        """
        deadline = time.monotonic() + CONNECT_S
        for place in self.places:
            if not self.failures:
                self._connect(place, deadline)

    def _connect(self, place: Place, deadline: float) -> None:
        while True:
            try:
                self._open.append(open_stream(place))
            except OSError as error:
                if time.monotonic() > deadline:
                    self.failures.append(f"{type(error).__name__}: {error}")
                    return
                time.sleep(RETRY_S)
            else:
                return

    def move(self, blocks: int) -> int:
        """Move so many blocks over each flow; return how many bytes came.

        Not so many seconds: Tor's client buffers hundreds of MB of an upload that is not limited.
        """
        self.moving = [0] * len(self._open)
        threads = [
            _start(self._run, number, stream, blocks) for number, stream in enumerate(self._open)
        ]
        _join(threads)
        self.failures += ["a flow hangs" for thread in threads if thread.is_alive()]
        return sum(self._moved)

    def _run(self, place: int, stream: socket.socket, blocks: int) -> None:
        number = blocks.to_bytes(NUMBER_SIZE, "big")

        def count(size: int) -> None:
            self.moving[place] += size

        try:
            with stream:
                if self.upload:
                    stream.sendall(b"U" + number)
                    send_blocks(stream, blocks, count)
                    read_exactly(stream, len(DONE))
                else:
                    stream.sendall(b"D" + number)
                    take_blocks(stream, blocks, count)
            self._moved.append(blocks * BLOCK)
        except OSError as error:
            self.failures.append(f"{type(error).__name__}: {error}")


def _start(act: Callable[..., None], *arguments: object) -> threading.Thread:
    # A daemon: Ctrl-C must not wait for a network that hangs.
    thread = threading.Thread(target=act, args=arguments, daemon=True)
    thread.start()
    return thread


def _join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE_S)
