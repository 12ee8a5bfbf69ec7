"""SOCKS5 as a local program speaks it, without I/O (RFC 1928, RFC 1929; SPEC 16.3)."""

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from peerstream.node.gateway.errors import (
    MalformedRequestError,
    NoMethodError,
    UnsupportedAddressError,
    UnsupportedCommandError,
)
from peerstream.node.gateway.replies import Reply, verdict_of
from peerstream.node.gateway.requests import Command, Request, token_of

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = 5
_NOT_REQUIRED: Final = 0x00
_BY_PASSWORD: Final = 0x02
_NO_METHOD: Final = 0xFF
_PASSWORD_VERSION: Final = 1
_COMMANDS: Final = {1: Command.CONNECT, 3: Command.UDP_ASSOCIATE}
_BY_NAME: Final = 3
_ADDRESS_SIZES: Final = {1: 4, 4: 16}
_LOOPBACK: Final = b"\x7f\0\0\1"


class SocksDialogue:
    """One connection's SOCKS5: methods, perhaps user and password, the request.

    A program may send all of it at once, and what it wants to say behind it. User and password say
    nothing of who it is: they keep its streams apart from others. No message is longer than 513
    bytes, so little is held of one that does not end.
    """

    def __init__(self, *, extended_errors: bool = False) -> None:
        self.request: Request | None = None
        self._extended = extended_errors
        self._buffer = bytearray()
        self._token = b""
        # each reads one message and returns its answer, or None while it is not whole
        self._read: Callable[[], bytes | None] = self._read_methods

    @property
    def rest(self) -> bytes:
        """What came behind the request."""
        return bytes(self._buffer)

    def receive(self, data: bytes) -> bytes:
        """Take what came and return what is to be sent. Raises RequestError."""
        self._buffer += data
        answers = b""
        while self.request is None:
            answer = self._read()
            if answer is None:
                break
            answers += answer
        return answers

    def granted(self, port: int) -> bytes:
        """Return the answer that it is connected, with the port on 127.0.0.1 for datagrams."""
        return _reply(Reply.GRANTED, _LOOPBACK if port else bytes(4), port)

    def refused(self, error: BaseException) -> bytes:
        """Return the answer that fits an error."""
        if self._read == self._read_methods:
            return bytes([VERSION, _NO_METHOD])
        if self._read == self._read_password:
            return bytes([_PASSWORD_VERSION, 1])
        return _reply(verdict_of(error).reply(extended=self._extended), bytes(4), 0)

    def _read_methods(self) -> bytes | None:
        methods = self._counted(1)
        if methods is None:
            return None
        if self._take_byte() != VERSION:
            raise MalformedRequestError("no SOCKS5")
        self._take(1 + len(methods))
        if _BY_PASSWORD in methods:
            self._read = self._read_password
            return bytes([VERSION, _BY_PASSWORD])
        if _NOT_REQUIRED in methods:
            self._read = self._read_request
            return bytes([VERSION, _NOT_REQUIRED])
        raise NoMethodError("no method of authentication in common")

    def _read_password(self) -> bytes | None:
        user = self._counted(1)
        password = None if user is None else self._counted(2 + len(user))
        if user is None or password is None:
            return None
        if self._take_byte() != _PASSWORD_VERSION:
            raise MalformedRequestError("no user and password as in RFC 1929")
        self._take(2 + len(user) + len(password))
        self._token = token_of(b"socks", user, password)
        self._read = self._read_request
        return bytes([_PASSWORD_VERSION, 0])

    def _read_request(self) -> bytes | None:
        if len(self._buffer) < 5:
            return None
        version, command, reserved, kind, size = self._buffer[:5]
        if version != VERSION or reserved:
            raise MalformedRequestError("no request of SOCKS5")
        if command not in _COMMANDS:
            raise UnsupportedCommandError(f"command {command} of SOCKS5")
        if kind != _BY_NAME and kind not in _ADDRESS_SIZES:
            raise UnsupportedAddressError(f"address type {kind} of SOCKS5")
        start = 5 if kind == _BY_NAME else 4
        end = start + (size if kind == _BY_NAME else _ADDRESS_SIZES[kind])
        if len(self._buffer) < end + 2:
            return None
        message = self._take(end + 2)
        host = host_text(kind, message[start:end])
        port = int.from_bytes(message[end:], "big")
        self.request = Request(_COMMANDS[command], host, port, self._token)
        return b""

    def _counted(self, at: int) -> bytes | None:
        """Return the bytes whose number stands at `at`, or None while they are not all there."""
        if len(self._buffer) <= at:
            return None
        end = at + 1 + self._buffer[at]
        return bytes(self._buffer[at + 1 : end]) if len(self._buffer) >= end else None

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _take_byte(self) -> int:
        return self._take(1)[0]


def host_text(kind: int, raw: bytes) -> str:
    """Return an address field of SOCKS5 as text: a name as it stands, numbers as usual."""
    if kind == _BY_NAME:
        return raw.decode("utf-8", "surrogateescape")
    return str(ip_address(raw))


def _reply(reply: Reply, address: bytes, port: int) -> bytes:
    return bytes([VERSION, reply, 0, 1]) + address + port.to_bytes(2, "big")
