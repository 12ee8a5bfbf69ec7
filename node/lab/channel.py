"""Messages between a private network's processes and the one that started them (SPEC 14.2).

One JSON object a packet on a pair of local sockets: a packet comes whole or not at all, and the end
of either process is the end of the pair.
"""

import json
import socket
from typing import Any, Final

import trio

MESSAGE_MAX: Final = 65_536
Message = dict[str, Any]


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected sockets; neither outlives an exec unless it is handed over."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def encode(message: Message) -> bytes:
    """Return the packet of a message. Raises ValueError for one that is too long."""
    data = json.dumps(message).encode()
    if len(data) > MESSAGE_MAX:
        raise ValueError(f"a message of {len(data)} bytes")
    return data


class Channel:
    """One end of a pair, for use in trio."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = trio.socket.from_stdlib_socket(end)

    async def tell(self, message: Message) -> None:
        """Send a message; one to a process that is gone is dropped, since nobody misses it."""
        try:
            await self._socket.send(encode(message))
        except (BrokenPipeError, ConnectionResetError):
            return

    async def hear(self) -> Message | None:
        """Return the next message, None once the other process is gone."""
        try:
            data = await self._socket.recv(MESSAGE_MAX)
        except ConnectionResetError:
            return None
        if not data:
            return None
        message: Message = json.loads(data)
        return message

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
