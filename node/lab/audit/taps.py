"""Taps below the protocol: sockets, ciphers, and the interpreter's own events (SPEC 15.2).

Nothing that runs above can forget to write down what it held, nor keep it from being written: the
classes themselves are replaced before any other module has taken them. `install` has to be called
before trio and whatever uses ciphers is imported.
"""

import socket
import sys
from typing import Any, Final

from cryptography.hazmat.primitives import ciphers
from cryptography.hazmat.primitives.ciphers import aead

from peerstream.node.lab.audit.recorder import RECORDER, Buffer, Tap

CIPHERTEXT_KEPT: Final = 32  # of what is opened: enough to find where it came from
_EVENTS: Final = frozenset({"socket.bind", "socket.sendto", "socket.getaddrinfo", "open"})
_UNUSED: Final = (
    "recvfrom",
    "recvfrom_into",
    "recvmsg",
    "recvmsg_into",
    "sendfile",
    "sendmsg",
    "sendto",
)
_INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})


class UnrecordedWayError(Exception):
    """Something reads or writes an IP socket in a way that has no tap: the audit would be blind."""


class TooLateError(Exception):
    """A library has taken the classes that are to be replaced: `install` comes before imports."""


def install() -> None:
    """Replace the classes; for a process that does nothing else than be recorded, once."""
    taken = sorted({"trio", "noise", "peerstream.node.network"} & sys.modules.keys())
    if taken:
        raise TooLateError(", ".join(taken))
    _install_sockets()
    for name in ("AESGCM", "ChaCha20Poly1305"):
        setattr(aead, name, _recorded_aead(getattr(aead, name)))
    _install_cipher(ciphers.Cipher)
    sys.addaudithook(_note)


# Sockets


class _Connections:
    """The connection that a descriptor stands for now: numbers of descriptors are used again."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def begin(self, sock: socket.socket, tap: Tap, peer: object) -> None:
        number = self._numbers[sock.fileno()] = RECORDER.context()
        RECORDER.write(tap, number, repr(peer).encode())

    def number(self, sock: socket.socket) -> int | None:
        """Return None for what is no connection over IP, such as our owner's pair of sockets."""
        return self._numbers.get(sock.fileno()) if sock.family in _INTERNET else None


_CONNECTIONS: Final = _Connections()


def _write(sock: socket.socket, tap: Tap, data: Buffer, size: int) -> None:
    if RECORDER.running:
        number = _CONNECTIONS.number(sock)
        if number is not None:
            RECORDER.write(tap, number, memoryview(data).cast("B")[:size])


def _install_sockets() -> None:
    found: Any = socket.socket
    _install_receiving(found, found.recv, found.recv_into)
    _install_sending(found, found.send, found.sendall)
    accepted = found.accept

    def accept(self: socket.socket) -> tuple[socket.socket, Any]:
        sock, peer = accepted(self)
        if sock.family in _INTERNET:
            _CONNECTIONS.begin(sock, Tap.ACCEPTED, peer)
        return sock, peer

    found.accept = accept


def _install_receiving(found: Any, received: Any, received_into: Any) -> None:
    def recv(self: socket.socket, *arguments: Any) -> bytes:
        data: bytes = received(self, *arguments)
        _write(self, Tap.RECEIVED, data, len(data))
        return data

    def recv_into(self: socket.socket, buffer: Buffer, *arguments: Any) -> int:
        size: int = received_into(self, buffer, *arguments)
        _write(self, Tap.RECEIVED, buffer, size)
        return size

    found.recv, found.recv_into = recv, recv_into


def _install_sending(found: Any, sent: Any, sent_all: Any) -> None:
    def send(self: socket.socket, data: Buffer, *arguments: Any) -> int:
        size: int = sent(self, data, *arguments)
        _write(self, Tap.SENT, data, size)
        return size

    def sendall(self: socket.socket, data: Buffer, *arguments: Any) -> None:
        sent_all(self, data, *arguments)
        _write(self, Tap.SENT, data, memoryview(data).nbytes)

    found.send, found.sendall = send, sendall
    for name in _UNUSED:
        setattr(found, name, _refused(name, getattr(found, name)))


def _refused(name: str, real: Any) -> Any:
    """Return a method that serves local sockets only: nothing of ours reads IP by it."""

    def method(self: socket.socket, *arguments: Any) -> Any:
        if RECORDER.running and self.family in _INTERNET:
            raise UnrecordedWayError(f"socket.{name} is not recorded; add a tap for it")
        return real(self, *arguments)

    return method


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not RECORDER.running:
        return
    if event == "socket.connect":
        sock, address = arguments
        if sock.family in _INTERNET:
            _CONNECTIONS.begin(sock, Tap.CONNECTED, address)
    elif event in _EVENTS:
        text = repr([a for a in arguments if isinstance(a, (str, bytes, int, tuple))])
        RECORDER.write(Tap.EVENT, 0, event.encode(), text.encode())


# Ciphers


def _recorded_aead(real: Any) -> type:
    class Recorded:
        """An AEAD of the library that writes down what goes through it."""

        generate_key = staticmethod(real.generate_key)

        def __init__(self, key: Buffer) -> None:
            self._real = real(key)
            self._number = RECORDER.context()

        def encrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
            out: bytes = self._real.encrypt(nonce, data, associated_data)
            if len(data):  # a hash over associated data alone is no message
                RECORDER.write(Tap.SEALED, self._number, data, out, associated_data or b"")
            return out

        def encrypt_into(
            self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer
        ) -> int:
            plain = bytes(data)  # the buffers may be one
            size: int = self._real.encrypt_into(nonce, data, associated_data, buf)
            out = memoryview(buf)[:size]
            RECORDER.write(Tap.SEALED, self._number, plain, out, associated_data or b"")
            return size

        def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
            out: bytes = self._real.decrypt(nonce, data, associated_data)
            known = memoryview(data)[:CIPHERTEXT_KEPT]
            RECORDER.write(Tap.OPENED, self._number, known, out, associated_data or b"")
            return out

    return Recorded


class _RecordedContext:
    """A direction of a plain cipher."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._number = RECORDER.context()

    def update(self, data: Buffer) -> bytes:
        out: bytes = self._real.update(data)
        RECORDER.write(Tap.SEALED, self._number, data, out)
        return out

    def finalize(self) -> bytes:
        out: bytes = self._real.finalize()
        return out


def _install_cipher(real: Any) -> None:
    encryptor, decryptor = real.encryptor, real.decryptor
    real.encryptor = lambda self: _RecordedContext(encryptor(self))
    real.decryptor = lambda self: _RecordedContext(decryptor(self))
