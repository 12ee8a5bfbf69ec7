"""Hosts of ours, stock hosts, and a peer that writes Noise and Yamux by hand."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as StockNoise
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux as StockYamux
from multiaddr import Multiaddr

from peerstream.node.network.counters import Counters
from peerstream.node.network.host import Host, HostOptions
from peerstream.node.network.links import P2PLinks
from peerstream.node.network.noise import (
    NOISE_CHACHA,
    OVERHEAD,
    SUITES,
    Detached,
    Opener,
    Sealer,
    open_messages,
)
from peerstream.node.network.peers import peer_id_of
from peerstream.node.network.shared import MuxerLimits, Shared
from peerstream.node.network.yamux import Yamux
from peerstream.node.network.yamux_frames import HEADER
from peerstream.node.protocol.errors import RemoteProtocolError

LOOPBACK = Multiaddr("/ip4/127.0.0.1/tcp/0")
# Far above what anything here takes on a busy machine; only a hang reaches it.
PATIENCE_S = 20.0


class PipeLink:
    """The interface of a link and nothing of its protocol: bytes in, bytes out, ``echo`` or not."""

    def __init__(self, *, dialer: bool, peer: bytes | None, now: float, echo: bool = False) -> None:
        self.dialer, self.peer, self.now, self.echo = dialer, peer, now, echo
        self.on_output: Callable[[PipeLink], None] = lambda _link: None
        self.failure: RemoteProtocolError | None = None
        self.closed = False
        self.received = bytearray()
        self.breaks: RemoteProtocolError | None = None
        self.ticks = 0
        self._output = bytearray()
        self._changed = trio.Event()

    def send(self, data: bytes) -> None:
        self._output += data
        self.on_output(self)

    @property
    def has_output(self) -> bool:
        return bool(self._output)

    def receive_data(self, data: bytes | memoryview, now: float) -> None:
        if self.breaks is not None:
            raise self.breaks
        if self.echo:
            self.send(bytes(data))
        else:
            self.received += data
        self._wake()

    def data_to_send(self, budget: int) -> list[bytes | memoryview]:
        part = bytes(self._output[:budget])
        del self._output[:budget]
        return [part] if part else []

    def tick(self, now: float) -> None:
        self.ticks += 1
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not condition():
                await self._changed.wait()


class Recorder:
    """What a role learns of the links, and a way to wait for it."""

    def __init__(self, links: P2PLinks) -> None:
        self.inbound: list[tuple[PipeLink, bytes]] = []
        self.closed: list[tuple[PipeLink, bytes, BaseException]] = []
        self._changed = trio.Event()
        links.on_inbound = lambda link, relay_id: self._add(self.inbound, (link, relay_id))
        links.on_closed = lambda link, relay_id, error: self._add(
            self.closed, (link, relay_id, error)
        )

    def _add(self, where, what) -> None:
        where.append(what)
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_S):
            while not condition():
                await self._changed.wait()


def make_links(
    options: HostOptions | None = None, *, seed: bytes | None = None, echo: bool = False
) -> P2PLinks:
    def make(*, dialer, peer, now):
        return PipeLink(dialer=dialer, peer=peer, now=now, echo=echo)

    return P2PLinks(Host(seed or os.urandom(32), options, Counters()), make)


def stock_host(**options):
    """Return py-libp2p's own host with its own Noise and Yamux."""
    key = create_new_key_pair()
    noise = StockNoise(key, noise_privkey=create_noise_key_pair().private_key)
    return new_host(
        key_pair=key, sec_opt={NOISE: noise}, muxer_opt={TProtocol(YAMUX): StockYamux}, **options
    )


async def eventually(condition: Callable[[], object]) -> None:
    """Wait for what has no event: the inside of a stock host, or a gate."""
    with trio.fail_after(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # see above
            await trio.sleep(0.002)


@asynccontextmanager
async def running_stock(host, *, listen: bool = False) -> AsyncIterator[None]:
    async with host.run(listen_addrs=[LOOPBACK] if listen else []):
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                await host.close()


def without_peer(address: Multiaddr) -> Multiaddr:
    """Return /ip4/.../tcp/N of an address that ends in /p2p/..."""
    return Multiaddr(str(address).split("/p2p/", maxsplit=1)[0])


async def echo_handler(stream) -> None:
    while True:
        await stream.write(await stream.read(65_536))


class RawPeer:
    """The other end of a connection: seals and opens by hand, and may say anything."""

    def __init__(self, sock: trio.socket.SocketType, sealer: Sealer, opener: Opener) -> None:
        self.socket = sock
        self._sealer, self._opener = sealer, opener
        self._received = b""
        self._plaintext = b""

    async def send(self, plaintext: bytes) -> None:
        data = b""
        for start in range(0, len(plaintext), 60_000):
            chunk = plaintext[start : start + 60_000]
            sealed = bytearray(len(chunk) + OVERHEAD)
            self._sealer.seal_into(chunk, memoryview(sealed))
            data += sealed
        await trio.SocketStream(self.socket).send_all(data)

    async def frame(self, kind: int, flags: int, stream_id: int, length: int, body=b"") -> None:
        await self.send(HEADER.pack(0, kind, flags, stream_id, length) + body)

    async def read(self, size: int) -> bytes:
        """Return exactly so many bytes of plaintext, or fewer at the end of the connection."""
        while len(self._plaintext) < size:
            data = await self.socket.recv(65_536)
            if not data:
                break
            self._received += data
            messages, used = open_messages(memoryview(self._received), self._opener)
            self._received = self._received[used:]
            self._plaintext += b"".join(messages)
        data, self._plaintext = self._plaintext[:size], self._plaintext[size:]
        return data

    async def next_frame(self) -> tuple[int, int, int, int] | None:
        """Return (type, flags, stream, length) of the next header, or None at the end."""
        header = await self.read(12)
        return HEADER.unpack(header)[1:] if len(header) == 12 else None

    async def at_end(self) -> bool:
        """Whether the connection ends, whatever came before."""
        with trio.fail_after(PATIENCE_S):
            try:
                while await self.read(65_536):
                    pass
            except ConnectionResetError:
                pass
            return True


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected non-blocking TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


@asynccontextmanager
async def yamux_and_peer(
    *, initiator: bool = False, limits: MuxerLimits | None = None
) -> AsyncIterator[tuple[Yamux, RawPeer, Shared]]:
    """One connection of ours with a hand-made peer behind a socket pair."""
    near, far = tcp_pair()
    keys = [os.urandom(32), os.urandom(32)]
    suite = SUITES[NOISE_CHACHA]
    session = SimpleNamespace(
        is_initiator=initiator,
        get_remote_address=lambda: ("127.0.0.1", 1),
        detach=lambda: Detached(
            near, Sealer(suite, keys[0], 0), Opener(suite, keys[1], 0), b"", b""
        ),
    )
    shared = Shared(Counters(), limits or MuxerLimits())
    peer = RawPeer(
        trio.socket.from_stdlib_socket(far), Sealer(suite, keys[1], 0), Opener(suite, keys[0], 0)
    )
    connection = Yamux(session, peer_id_of(os.urandom(32)), shared)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shared.run)
        nursery.start_soon(connection.start)
        await connection.event_started.wait()
        try:
            with trio.fail_after(PATIENCE_S):
                yield connection, peer, shared
        finally:
            peer.socket.close()
            with trio.CancelScope(shield=True):
                await connection.close()
            nursery.cancel_scope.cancel()
