"""A libp2p host that a stranger can neither kill, nor hang, nor fill (SPEC 9.2).

Assembled from libp2p's public classes; each departure from ``new_host`` has its reason in SPEC 9
and its test in tests/node/network/test_faults.py.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import trio
from libp2p.abc import IMuxedConn, INetStream, IRawConnection, ISecureConn, ISecureTransport
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamError
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.security.noise.transport import Transport as StockNoise
from libp2p.security.security_multistream import SecurityMultistream
from libp2p.stream_muxer.muxer_multistream import MuxerMultistream
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux as StockYamux
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from peerstream.node.network import negotiate
from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import (
    ConnectFailedError,
    DialError,
    DialTimeoutError,
    HandshakeFailedError,
    ListenError,
    NoUsableAddressError,
    ProtocolRefusedError,
    WrongPeerError,
)
from peerstream.node.network.gate import AcceptLimits
from peerstream.node.network.noise import NOISE_AESGCM, NOISE_CHACHA, NoiseTransport
from peerstream.node.network.peers import host_key, peer_id_of, relay_id_of, relay_id_of_key
from peerstream.node.network.shared import MuxerLimits, Shared
from peerstream.node.network.transport import TcpTransport, endpoint
from peerstream.node.network.yamux import Yamux

NEGOTIATE_TIMEOUT_S = 3.0
TICK_S = 0.25

Admit = Callable[[bytes, str], Awaitable[bool]]
StreamHandler = Callable[[INetStream], Awaitable[None]]


class DataPlane(Enum):
    """Whose Noise and Yamux carry the bytes after the handshake."""

    OWN = "own"  # AES-GCM offered first
    OWN_CHACHA = "own-chacha"  # only the suite of the libp2p specification
    STOCK = "stock"  # py-libp2p's own, to tell our bugs from theirs


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How a host behaves; the defaults are those of a public relay."""

    data_plane: DataPlane = DataPlane.OWN
    source_address: str | None = None  # outgoing connections leave from this IP
    accept: AcceptLimits = field(default_factory=AcceptLimits)
    muxer: MuxerLimits = field(default_factory=MuxerLimits)


class _Security(SecurityMultistream):  # type: ignore[misc]  # libp2p is untyped here
    """Negotiates the Noise suite in one round trip less, and within bounds."""

    async def select_transport_and_protocol(
        self,
        conn: IRawConnection,
        is_initiator: bool,  # noqa: FBT001  # libp2p's signature
    ) -> tuple[TProtocol, ISecureTransport]:
        protocol = await _select(conn, list(self.transports), initiator=is_initiator)
        return protocol, self.transports[protocol]


class _Muxer(MuxerMultistream):  # type: ignore[misc]  # libp2p is untyped here
    """Negotiates Yamux likewise and makes ours: the stock class always makes its own."""

    def __init__(self, shared: Shared) -> None:
        super().__init__({YAMUX: Yamux})
        self._shared = shared

    async def new_conn(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        await _select(conn, [str(YAMUX)], initiator=conn.is_initiator)
        return Yamux(conn, peer_id, self._shared)


class _NoConnector(AutoConnector):  # type: ignore[misc]  # libp2p is untyped here
    """The stock one dials whoever stands in the peer store, from the first moment on."""

    async def start(self) -> None:
        """Stay stopped."""


async def _select(
    conn: negotiate.ByteStream, protocols: Sequence[str], *, initiator: bool
) -> TProtocol:
    if initiator:
        return TProtocol(await negotiate.propose(conn, protocols))
    return TProtocol(await negotiate.respond(conn, frozenset(protocols)))


class Host:
    """One libp2p identity: it listens, dials, and serves protocols on streams."""

    def __init__(
        self, seed: bytes, options: HostOptions | None = None, counters: Counters | None = None
    ) -> None:
        """``seed``: 32 bytes, the Ed25519 host key. Fresh random ones for whom nobody dials."""
        self.options = options or HostOptions()
        self.counters = counters or Counters()
        key = host_key(seed)
        self.relay_id = relay_id_of_key(key)
        self.peer_id = peer_id_of(self.relay_id)
        self.shared = Shared(self.counters, self.options.muxer)
        self._handlers: dict[str, StreamHandler] = {}
        self._admit: Admit | None = None
        self.transport = TcpTransport(
            self.options.accept, self.counters, self.options.source_address
        )
        self.swarm = self._make_swarm(key)
        self.swarm.auto_connector = _NoConnector(self.swarm)
        self.libp2p = BasicHost(self.swarm, disable_identify_address_discovery=True)
        self._silence()
        self.swarm.set_stream_handler(self._serve_stream)

    def _make_swarm(self, key: Any) -> Swarm:
        store = PeerStore()
        store.add_key_pair(self.peer_id, key)
        accept = self.options.accept
        limit = accept.connections * 2
        config = ConnectionConfig(
            max_connections=limit,
            high_watermark=limit,
            low_watermark=0,
            min_connections=0,
            max_connections_per_peer=limit,  # else a newcomer closes a link
            inbound_upgrade_timeout=accept.upgrade_timeout_s,
            outbound_upgrade_timeout=accept.upgrade_timeout_s,
        )
        return Swarm(
            self.peer_id,
            store,
            self._upgrader(key),
            transports=[self.transport],
            retry_config=RetryConfig(max_retries=0),  # the next address or relay is better
            connection_config=config,
        )

    def _upgrader(self, key: Any) -> TransportUpgrader:
        plane = self.options.data_plane
        if plane is DataPlane.STOCK:
            noise = StockNoise(key, noise_privkey=create_noise_key_pair().private_key)
            return TransportUpgrader({TProtocol(NOISE_CHACHA): noise}, {YAMUX: StockYamux})
        suites = [NOISE_CHACHA] if plane is DataPlane.OWN_CHACHA else [NOISE_AESGCM, NOISE_CHACHA]
        secure = {TProtocol(suite): NoiseTransport(key, suite) for suite in suites}
        upgrader = TransportUpgrader(secure, {YAMUX: Yamux})
        upgrader.security_multistream = _Security(secure)
        upgrader.muxer_multistream = _Muxer(self.shared)
        return upgrader

    def _silence(self) -> None:
        """Say nothing about ourselves: no identify, no push, no ping, and ask nobody for it.

        The library's own log names peers and addresses in warnings that a stranger can cause.
        """
        logging.getLogger("libp2p").setLevel(logging.CRITICAL)
        for protocol in list(self.libp2p.get_mux().get_protocols()):
            self.libp2p.remove_stream_handler(protocol)
        for notifee in list(self.swarm.notifees):
            self.swarm.remove_notifee(notifee)

    @asynccontextmanager
    async def run(self, addresses: Sequence[Multiaddr] = ()) -> AsyncIterator[None]:
        """Run until the block is left; every connection is closed then.

        Raises:
            ListenError: one of the addresses cannot be listened on.

        """
        for address in addresses:
            try:
                endpoint(address)
            except NoUsableAddressError as error:
                raise ListenError("not an address of the form /ip4|ip6/.../tcp/N") from error
        listening = True
        async with self.libp2p.run(listen_addrs=list(addresses)), trio.open_nursery() as nursery:
            try:
                listening = len(self.swarm.listeners) == len(set(map(str, addresses)))
                if listening:
                    nursery.start_soon(self.shared.run)
                    nursery.start_soon(self._tick)
                    yield
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await self.libp2p.close()
        if not listening:  # raised here, where no nursery wraps it
            raise ListenError("an address is in use or not of this machine")

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            self.shared.tick()

    @property
    def addresses(self) -> list[Multiaddr]:
        """Where we listen, with the ports that port 0 became, without /p2p."""
        return [a for listener in self.swarm.listeners.values() for a in listener.get_addrs()]

    def set_handler(self, protocol: str, handler: StreamHandler) -> None:
        """Serve a protocol; the handler runs as a task for each stream and may raise."""
        self._handlers[protocol] = handler

    def set_admission(self, admit: Admit) -> None:
        """``admit(relay_id, protocol)`` is asked before a proposal is accepted."""
        self._admit = admit

    async def _serve_stream(self, stream: INetStream) -> None:
        try:
            relay_id = relay_id_of(stream.muxed_conn.peer_id)
            with trio.fail_after(NEGOTIATE_TIMEOUT_S):
                protocol = await negotiate.respond(
                    stream, self._served(), lambda name: self._admits(relay_id, name)
                )
            handler = self._handlers.get(protocol) or self.libp2p.get_mux().handlers[protocol]
            await handler(stream)
        except Exception as error:  # noqa: BLE001  # supervisor: what leaves here ends the host
            self.counters.count("stream_failed")
            self.counters.count_error(error)
            await stream.reset()

    def _served(self) -> frozenset[str]:
        """Ours and those of libp2p's own services (such as a DHT) that were attached."""
        return frozenset(self._handlers) | frozenset(self.libp2p.get_mux().handlers)

    async def _admits(self, relay_id: bytes, protocol: str) -> bool:
        return self._admit is None or await self._admit(relay_id, protocol)

    async def dial(self, relay_id: bytes, addresses: Sequence[Multiaddr]) -> SwarmConn:
        """Connect to this relay over the first address that works.

        Not ``host.connect``, which always takes 250 ms and remembers failures for a minute.

        Raises:
            DialError: by its subclass, what went wrong at the last address.

        """
        usable = [a for a in addresses if self.transport.can_dial(a)]
        failure: DialError = NoUsableAddressError("no address that can be dialled")
        for address in usable:
            try:
                return await self._dial_one(relay_id, address)
            except DialError as error:
                failure = error
        raise failure

    async def _dial_one(self, relay_id: bytes, address: Multiaddr) -> SwarmConn:
        try:
            return await self.swarm.dial_addr(address, peer_id_of(relay_id))
        except SwarmException as error:
            raise _dial_error(error) from error
        except Exception as error:  # libp2p lets anything out: the bytes are a stranger's
            self.counters.count_error(error)
            raise HandshakeFailedError("the handshake failed") from error

    async def open_stream(self, connection: SwarmConn, protocol: str) -> INetStream:
        """Open a stream on this connection and agree on its protocol.

        Raises:
            ProtocolRefusedError: the other side does not serve it.
            HandshakeFailedError: it left or talks nonsense.

        """
        try:
            stream = await connection.new_stream()
            try:
                with trio.fail_after(NEGOTIATE_TIMEOUT_S):
                    await negotiate.propose(stream, [protocol])
            except BaseException:
                await stream.reset()
                raise
        except ProtocolRefusedError:
            raise
        except trio.TooSlowError as error:
            raise DialTimeoutError("no answer to the protocol") from error
        except StreamError as error:
            if connection.is_closed:
                raise HandshakeFailedError("the connection ended") from error
            raise ProtocolRefusedError("the peer cut the stream at once") from error
        except Exception as error:  # libp2p lets anything out: the bytes are a stranger's
            self.counters.count_error(error)
            raise HandshakeFailedError("the stream could not be opened") from error
        stream.set_protocol(TProtocol(protocol))
        return stream


def _dial_error(error: BaseException) -> DialError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PeerIDMismatchesPubkey):
            return WrongPeerError("another key answers at this address")
        if isinstance(cause, OpenConnectionError):
            return ConnectFailedError("no TCP connection")
        cause = cause.__cause__ or cause.__context__
    return HandshakeFailedError("the handshake failed")
