"""One TCP socket behind a finished Noise handshake, driven by readiness only (SPEC 9.6).

No task reads or writes here: whoever waits for the socket calls ``read_ready`` and
``write_ready``. A wake-up is one recv, all messages that are whole, and later one send. The
buffers are shared by all connections of a process, so that an idle connection holds none.
"""

import fcntl
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from peerstream.node.network.errors import ConnectionLostError, FloodError
from peerstream.node.network.noise import (
    MESSAGE_MAX,
    OVERHEAD,
    PLAINTEXT_MAX,
    Detached,
    open_messages,
)

READ_SIZE = 262_144
SEND_SIZE = 4 * (PLAINTEXT_MAX + OVERHEAD)
# What the kernel may hold unsent: beyond it the order of sending would be settled there, and a
# real-time cell would wait behind bulk that our scheduler can no longer overtake.
UNSENT_MAX = 131_072
PENDING_MAX = 1_048_576  # sealed and not taken by the kernel: far above what we queue ourselves
TCP_NOTSENT_LOWAT = 25  # Linux; the socket module does not name it
SIOCOUTQNSD = 0x894B  # Linux: bytes of a TCP socket that are not sent yet


class Buffers:
    """Scratch memory for reading and sealing, one for a process: no call keeps it."""

    def __init__(self) -> None:
        self.read = memoryview(bytearray(READ_SIZE + LENGTH_AND_MESSAGE))
        self.send = memoryview(bytearray(SEND_SIZE))


LENGTH_AND_MESSAGE = 2 + MESSAGE_MAX


class Wire:
    """Plaintext in and out of one socket."""

    def __init__(
        self, session: Detached, buffers: Buffers, receive: Callable[[bytes], None]
    ) -> None:
        """``receive`` is called with the plaintext of each message (1 to 65 519 bytes)."""
        self.socket = session.socket
        self._sealer = session.sealer
        self._opener = session.opener
        self._buffers = buffers
        self._receive = receive
        self._partial = session.received
        self._early = session.plaintext
        self._pending: list[memoryview] = []
        self._pending_size = 0
        self._room = UNSENT_MAX  # at least so much more may go out before the kernel holds as much
        self.blocked = False
        self.bytes_in = 0
        self.bytes_out = 0
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX)

    def deliver_early(self) -> None:
        """Pass on what was received before this object existed: call it once, first.

        Raises:
            NoiseMessageError: a message in it does not authenticate.

        """
        early, self._early = self._early, b""
        if early:
            self._receive(early)
        partial, self._partial = self._partial, b""
        self._open(memoryview(partial))

    def read_ready(self) -> bool:
        """Receive once and deliver; False at the end of the connection.

        Raises:
            ConnectionLostError: the connection broke.
            NoiseMessageError: a message does not authenticate.

        """
        buffer, held = self._buffers.read, len(self._partial)
        buffer[:held] = self._partial
        try:
            size = self.socket.recv_into(buffer[held : held + READ_SIZE])
        except BlockingIOError:
            return True
        except OSError as error:
            raise ConnectionLostError("the TCP connection broke") from error
        if size == 0:
            return False
        self.bytes_in += size
        self._open(buffer[: held + size])
        return True

    def _open(self, data: memoryview) -> None:
        plaintexts, used = open_messages(data, self._opener)
        self._partial = bytes(data[used:])  # before delivery: a receiver may come back here
        receive = self._receive
        for plaintext in plaintexts:
            receive(plaintext)

    def send(self, plaintext: bytes | memoryview) -> None:
        """Seal and send, or keep what the kernel does not take. Never blocks.

        Raises:
            ConnectionLostError: the connection broke.
            FloodError: the peer makes us answer, but does not read.
            NonceExhaustedError: the key has done its messages.

        """
        data, out, filled = memoryview(plaintext), self._buffers.send, 0
        for start in range(0, len(data), PLAINTEXT_MAX):
            if filled + MESSAGE_MAX + 2 > SEND_SIZE:
                self._transmit(out[:filled])
                filled = 0
            filled += self._sealer.seal_into(data[start : start + PLAINTEXT_MAX], out[filled:])
        if filled:
            self._transmit(out[:filled])

    def _transmit(self, sealed: memoryview) -> None:
        sent = 0 if self._pending else self._send_once(sealed)
        if sent < len(sealed):
            self._keep(sealed[sent:])
            return
        self._room -= sent
        if self._room <= 0:
            self._room = UNSENT_MAX - self._unsent()
            self.blocked = self._room <= 0

    def _keep(self, rest: memoryview) -> None:
        self._pending.append(memoryview(bytes(rest)))
        self._pending_size += len(rest)
        self.blocked = True
        if self._pending_size > PENDING_MAX:
            raise FloodError("the peer lets us answer and does not read")

    def _send_once(self, sealed: memoryview) -> int:
        try:
            size = self.socket.send(sealed)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ConnectionLostError("the TCP connection broke") from error
        self.bytes_out += size
        return size

    def _unsent(self) -> int:
        try:
            answer = fcntl.ioctl(self.socket, SIOCOUTQNSD, b"\0\0\0\0")
        except OSError as error:
            raise ConnectionLostError("the TCP connection broke") from error
        unsent: int = struct.unpack("i", answer)[0]
        return unsent

    def write_ready(self) -> None:
        """Send what is pending, now that the kernel takes bytes; then ``blocked`` is False.

        Raises:
            ConnectionLostError: the connection broke.

        """
        pending = self._pending
        while pending:
            first = pending[0]
            sent = self._send_once(first)
            self._pending_size -= sent
            if sent < len(first):
                pending[0] = first[sent:]
                return
            pending.pop(0)
        self.blocked = False
        self._room = 0

    def close(self) -> None:
        """Close the socket at once. What the kernel has taken is still sent."""
        self._pending.clear()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
