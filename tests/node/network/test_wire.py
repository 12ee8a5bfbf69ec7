"""One socket: what the kernel does not take is kept, in order and within bounds."""

import os
import socket
from typing import Self

import pytest
import trio

from peerstream.node.network import wire as wire_module
from peerstream.node.network.errors import ConnectionLostError, FloodError, NoiseMessageError
from peerstream.node.network.noise import (
    NOISE_AESGCM,
    SUITES,
    Detached,
    Opener,
    Sealer,
    open_messages,
)
from peerstream.node.network.wire import UNSENT_MAX, Buffers, Wire
from peerstream.node.network.yamux_frames import DATA
from tests.node.network.support import PipeLink, tcp_pair, yamux_and_peer

SUITE = SUITES[NOISE_AESGCM]
KEYS = [bytes([1]) * 32, bytes([2]) * 32]


class Pair:
    """A wire, and the bare socket behind it with the keys to read and write."""

    def __init__(self, *, received: bytes = b"", plaintext: bytes = b"") -> None:
        near, self.far = tcp_pair()
        self.messages: list[bytes] = []
        self.sealer, self.opener = Sealer(SUITE, KEYS[1], 0), Opener(SUITE, KEYS[0], 0)
        session = Detached(
            near, Sealer(SUITE, KEYS[0], 0), Opener(SUITE, KEYS[1], 0), received, plaintext
        )
        self.wire = Wire(session, Buffers(), self.messages.append)
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wire.close()
        self.far.close()

    def seal(self, plaintext: bytes) -> bytes:
        out = bytearray(len(plaintext) + 18)
        self.sealer.seal_into(plaintext, memoryview(out))
        return bytes(out)

    def drain(self) -> bytes:
        """Return all plaintext that has arrived at the far end."""
        plaintext = b""
        while True:
            try:
                data = self.far.recv(1 << 20)
            except BlockingIOError:
                return plaintext
            if not data:
                return plaintext
            self._held += data
            messages, used = open_messages(memoryview(self._held), self.opener)
            self._held = self._held[used:]
            plaintext += b"".join(messages)


def test_what_is_sent_while_blocked_arrives_later_and_in_order() -> None:
    with Pair() as pair:
        payload = os.urandom(900_000)
        pair.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
        received = b""
        for start in range(0, len(payload), 100_000):
            pair.wire.send(payload[start : start + 100_000])
            received += pair.drain()
        assert pair.wire.blocked
        while pair.wire.blocked:
            received += pair.drain()
            pair.wire.write_ready()
        while len(received) < len(payload):
            received += pair.drain()
        assert received == payload
        assert pair.wire.bytes_out > len(payload)


def test_a_peer_that_never_reads_fills_no_more_than_the_bound(monkeypatch) -> None:
    monkeypatch.setattr(wire_module, "PENDING_MAX", 100_000)
    with Pair() as pair:
        for _ in range(1_000):
            try:
                pair.wire.send(bytes(50_000))
            except FloodError:
                break
        else:
            pytest.fail("a peer that never reads was fed for ever")
        assert pair.wire._pending_size < 200_000


def test_the_kernel_is_not_given_more_than_it_can_send_soon() -> None:
    with Pair() as pair:
        pair.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        while not pair.wire.blocked:
            pair.wire.send(bytes(60_000))
        assert pair.wire._unsent() < UNSENT_MAX + 70_000


def test_what_came_before_is_delivered_first() -> None:
    sealer = Sealer(SUITE, KEYS[1], 0)
    sealed = bytearray(7 + 18)
    sealer.seal_into(b"partial", memoryview(sealed))
    with Pair(received=bytes(sealed[:10]), plaintext=b"early") as pair:
        pair.wire.deliver_early()
        assert pair.messages == [b"early"]
        pair.far.send(sealed[10:])
        assert pair.wire.read_ready()
        assert pair.messages == [b"early", b"partial"]


def test_reading_ends_with_the_connection_and_not_before() -> None:
    with Pair() as pair:
        assert pair.wire.read_ready()
        pair.far.send(pair.seal(b"one") + pair.seal(b"two") + pair.seal(b"three")[:5])
        assert pair.wire.read_ready()
        assert pair.messages == [b"one", b"two"]
        pair.far.shutdown(socket.SHUT_WR)
        assert not pair.wire.read_ready()


def test_a_reset_connection_is_named_for_reader_and_writer() -> None:
    with Pair() as pair:
        pair.wire.send(b"unread")
        pair.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pair.far.close()
        with pytest.raises(ConnectionLostError):
            pair.wire.read_ready()
        with pytest.raises(ConnectionLostError):
            pair.wire.send(b"more")


def test_a_forged_message_is_named() -> None:
    with Pair() as pair:
        pair.far.send(b"\0\x20" + bytes(32))
        with pytest.raises(NoiseMessageError):
            pair.wire.read_ready()


async def test_the_reader_goes_on_while_the_writer_is_blocked() -> None:
    async with yamux_and_peer() as (connection, peer, _):
        await peer.frame(1, 1, 1, 0)
        stream = await connection.accept_stream()
        link = PipeLink(dialer=False, peer=None, now=0)
        connection.attach_link(stream, link, lambda _error: None)
        await peer.frame(1, 0, 1, 1 << 29)
        link.send(bytes(30_000_000))
        while not connection.wire.blocked:
            await trio.lowlevel.checkpoint()
        for _ in range(100):
            await peer.frame(DATA, 0, 1, 50_000, bytes(50_000))
        await link.until(lambda: len(link.received) == 5_000_000)
        assert link.has_output
        size = 0
        while size < 30_000_000:
            kind, _, _, length = await peer.next_frame()
            if kind == DATA:
                size += len(await peer.read(length))
        assert not link.has_output
