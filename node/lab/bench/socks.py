"""SOCKS5 with a user name, as the applications here ask for streams (RFC 1928, RFC 1929).

The user name keeps streams apart: two names never share a session, or a circuit of Tor's.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Final

from peerstream.node.lab.bench.errors import StreamRefusedError

TIMEOUT_S: Final = 60.0  # of a stall: other programs may have the cores
PORT: Final = 80  # of the service behind a name; ours and Tor's have just one
_LOOPBACK: Final = "127.0.0.1"
_VERSION: Final = 5
_BY_USER_NAME: Final = 2
_CONNECT: Final = 1
_BY_NAME: Final = 3
_ADDRESS_SIZES: Final = {1: 4, 4: 16}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream leads: through the front on this port of 127.0.0.1, to a host's service.

    isolation: streams with the same one may share what leads to the host, at most 255 letters.
    """

    front: int
    host: str
    isolation: str


def connect_front(front: int, isolation: str) -> socket.socket:
    """Return a connection to the front that has given its user name. Raises OSError."""
    stream = socket.create_connection((_LOOPBACK, front), TIMEOUT_S)
    try:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(bytes([_VERSION, 1, _BY_USER_NAME]))
        _require(read_exactly(stream, 2) == bytes([_VERSION, _BY_USER_NAME]), "no user names")
        name = isolation.encode()
        stream.sendall(b"\x01" + bytes([len(name)]) + name + b"\x01x")
        _require(not read_exactly(stream, 2)[1], "not this user name")
    except BaseException:
        stream.close()
        raise
    return stream


def request_stream(stream: socket.socket, host: str) -> None:
    """Ask the front for a host, and return once it is connected. Raises OSError."""
    name = host.encode()
    head = bytes([_VERSION, _CONNECT, 0, _BY_NAME, len(name)])
    stream.sendall(head + name + struct.pack(">H", PORT))
    reply = read_exactly(stream, 4)
    _require(not reply[1] and reply[3] in _ADDRESS_SIZES, f"reply {reply[1]}")
    read_exactly(stream, _ADDRESS_SIZES[reply[3]] + 2)


def open_stream(place: Place) -> socket.socket:
    """Return a stream to a place. Raises OSError."""
    stream = connect_front(place.front, place.isolation)
    try:
        request_stream(stream, place.host)
    except BaseException:
        stream.close()
        raise
    return stream


def _require(granted: bool, message: str) -> None:  # noqa: FBT001 - an assertion
    if not granted:
        raise StreamRefusedError(f"SOCKS: {message}")


def read_exactly(stream: socket.socket, size: int) -> bytes:
    """Return so many bytes. Raises ConnectionError when the stream ends before."""
    data = bytearray()
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError("closed early")
        data += part
    return bytes(data)
