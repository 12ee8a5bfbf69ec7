"""The server that the measured streams lead to, a process of its own (docs/performance.md).

A connection begins with a command byte. `E`: what comes goes back. `D` and a u32: so many blocks,
down to the caller. `U` and a u32: takes so many blocks, and answers with one byte.
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from peerstream.node.lab.bench.socks import read_exactly
from peerstream.node.lab.channel import encode
from peerstream.node.lab.program import Options

BLOCK: Final = 65_536
NUMBER_SIZE: Final = 4
DONE: Final = b"!"
_WAITING: Final = 1_024


def run(end: socket.socket, _options: Options) -> int:
    """Serve on a port of 127.0.0.1, which the event `ready` tells, until we are ended."""
    with socket.create_server(("127.0.0.1", 0), backlog=_WAITING) as listener:
        end.send(encode({"event": "ready", "port": listener.getsockname()[1]}))
        while True:
            stream, _ = listener.accept()
            threading.Thread(target=serve, args=(stream,), daemon=True).start()


def serve(stream: socket.socket) -> None:
    """Serve one connection until either side closes it."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A caller that has what it wants just closes, whatever is still under way.
    with stream, suppress(OSError):
        match read_exactly(stream, 1):
            case b"E":
                _echo(stream)
            case b"D":
                send_blocks(stream, _read_number(stream))
                stream.recv(1)
            case b"U":
                take_blocks(stream, _read_number(stream))
                stream.sendall(DONE)
                stream.recv(1)


def _read_number(stream: socket.socket) -> int:
    return int.from_bytes(read_exactly(stream, NUMBER_SIZE), "big")


def _echo(stream: socket.socket) -> None:
    buffer = memoryview(bytearray(BLOCK))
    while size := stream.recv_into(buffer):
        stream.sendall(buffer[:size])


def _ignore(_size: int) -> None:
    """Count nothing."""


def send_blocks(stream: socket.socket, number: int, count: Callable[[int], None] = _ignore) -> None:
    """Send random blocks; `count` is told the bytes of each. Raises OSError."""
    block = os.urandom(BLOCK)
    for _ in range(number):
        stream.sendall(block)
        count(BLOCK)


def take_blocks(stream: socket.socket, number: int, count: Callable[[int], None] = _ignore) -> None:
    """Take blocks; `count` is told of the bytes as they come. Raises OSError."""
    buffer = memoryview(bytearray(BLOCK))
    left = number * BLOCK
    while left:
        size = stream.recv_into(buffer, min(left, BLOCK))
        if not size:
            raise ConnectionError("closed early")
        left -= size
        count(size)
