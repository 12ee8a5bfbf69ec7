"""TCP with limits in front: who may connect how often, and from where we dial (SPEC 9.2)."""

import ipaddress
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio
from libp2p.abc import IListener, ITransport
from libp2p.io.abc import ReadWriteCloser
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr
from multiaddr.exceptions import ProtocolLookupError

from peerstream.node.network.counters import Counters
from peerstream.node.network.errors import (
    ConnectionLostError,
    ListenError,
    NoUsableAddressError,
)
from peerstream.node.protocol.circuit.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BACKLOG = 1_024
IP_BIND_ADDRESS_NO_PORT = 24  # Linux; the socket module names it from Python 3.12 on
PACES_MAX = 4_096  # places remembered before those at rest are forgotten
ACCEPT_PAUSE_S = 0.1  # when the process is out of file descriptors


@dataclass(frozen=True, slots=True)
class AcceptLimits:
    """How many connections are held, in all and from one place (an IPv4 address or an IPv6 /64).

    A connection is pending until Noise and the muxer are agreed; that is where a stranger costs
    memory without having shown a key, so those are few and short. How often one place connects is
    limited too: each handshake costs its milliseconds, and three bad SETUPs come after each.
    """

    connections: int = 2_000  # 46 KB each: 92 MB at worst
    per_place: int = 128  # clients behind one NAT
    pending: int = 256
    pending_per_place: int = 32
    upgrade_timeout_s: float = 3.0
    per_place_second: float = 16.0
    per_place_burst: float = 128.0  # all clients behind one NAT come back at once


def endpoint(address: Multiaddr) -> tuple[str, int]:
    """IP and port of /ip4|ip6/.../tcp/N, with or without a /p2p behind.

    A name is refused: looking it up would tell a name server whom we are about to dial.

    Raises:
        NoUsableAddressError: anything else.

    """
    names = [part.name for part in address.protocols()]
    if names[:2] not in (["ip4", "tcp"], ["ip6", "tcp"]) or names[2:] not in ([], ["p2p"]):
        raise NoUsableAddressError("not an address of the form /ip4|ip6/.../tcp/N")
    try:
        return address.value_for_protocol(names[0]), int(address.value_for_protocol("tcp"))
    except (ProtocolLookupError, ValueError) as error:
        raise NoUsableAddressError("an address without IP or port") from error


def place(host: str) -> str:
    """Return what counts as one stranger: an IPv4 address, or the /64 of one IPv6 customer."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


class TcpStream(ReadWriteCloser):  # type: ignore[misc]  # libp2p is untyped here
    """A TCP connection during the handshakes; afterwards its socket is taken out of it."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        host, port = stream.socket.getpeername()[:2]
        self._remote = (str(host), int(port))

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte, or b"" at the end.

        Raises:
            ConnectionLostError: the connection broke.

        """
        try:
            return bytes(await self._stream.receive_some(n))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLostError("the TCP connection broke") from error

    async def write(self, data: bytes) -> None:
        """Send all.

        Raises:
            ConnectionLostError: the connection broke.

        """
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLostError("the TCP connection broke") from error

    async def close(self) -> None:
        """Close the socket, unless it has been taken out."""
        await self._stream.aclose()

    def get_remote_address(self) -> tuple[str, int] | None:
        """IP and port of the other side."""
        return self._remote

    def detach(self) -> socket.socket:
        """Take the non-blocking socket out; this object no longer closes it."""
        sock = socket.socket(fileno=self._stream.socket.detach())
        sock.setblocking(False)
        return sock


class Gate:
    """Counts connections per place and says no in time."""

    def __init__(
        self, limits: AcceptLimits, now: "Callable[[], float]" = trio.current_time
    ) -> None:
        self.limits = limits
        self._now = now
        self._open: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._paces: dict[str, TokenBucket] = {}

    @property
    def open(self) -> int:
        """Inbound connections that are held now, pending ones included."""
        return self._open.total()

    @property
    def pending(self) -> int:
        """Inbound connections whose handshakes are not finished."""
        return self._pending.total()

    def admits(self, where: str) -> bool:
        """Whether one more connection from this place fits; counts the attempt if it does."""
        limits = self.limits
        fits = (
            self._open[where] < limits.per_place
            and self._pending[where] < limits.pending_per_place
            and self.pending < limits.pending
            and self.open < limits.connections
        )
        return fits and self._pace(where).take(self._now())

    def _pace(self, where: str) -> TokenBucket:
        limits, now = self.limits, self._now()
        if len(self._paces) >= PACES_MAX:
            full = limits.per_place_burst
            self._paces = {p: pace for p, pace in self._paces.items() if pace.tokens(now) < full}
        if where not in self._paces:
            self._paces[where] = TokenBucket(limits.per_place_second, limits.per_place_burst, now)
        return self._paces[where]

    def enter(self, where: str) -> None:
        """Count a connection that was accepted."""
        self._open[where] += 1
        self._pending[where] += 1

    def upgraded(self, where: str) -> None:
        """Note that its handshakes are over, well or badly."""
        self._decrease(self._pending, where)

    def leave(self, where: str) -> None:
        """Note that it is closed."""
        self._decrease(self._open, where)

    @staticmethod
    def _decrease(counter: Counter[str], where: str) -> None:
        counter[where] -= 1
        if not counter[where]:
            del counter[where]


class Listener(IListener):  # type: ignore[misc]  # libp2p is untyped here
    """Accepts, asks the gate, upgrades under a deadline, and holds a slot until the end.

    The stock listener gives the connection to the swarm's own handler, which keeps its slot until
    the swarm stops: after 250 connections in its life such a node is deaf.
    """

    def __init__(self, transport: "TcpTransport") -> None:
        self._transport = transport
        self._listeners: list[trio.SocketListener] = []
        self.background_nursery: trio.Nursery | None = None  # libp2p sets it before listen()

    async def listen(self, maddr: Multiaddr) -> None:
        """Bind and start to accept.

        Raises:
            OpenConnectionError: the address is no TCP address or cannot be bound.

        """
        if self.background_nursery is None:
            raise ListenError("the host does not run")
        try:
            host, port = endpoint(maddr)
            sock = await _bound_socket(host, port)
        except (NoUsableAddressError, OSError) as error:
            raise OpenConnectionError("the address cannot be listened on") from error
        sock.listen(BACKLOG)
        listener = trio.SocketListener(sock)
        self._listeners.append(listener)
        self.background_nursery.start_soon(self._accept, listener, maddr)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Return the addresses as bound, with the port that port 0 became."""
        names = [listener.socket.getsockname()[:2] for listener in self._listeners]
        return tuple(
            Multiaddr(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}")
            for host, port in names
        )

    async def close(self) -> None:
        """Stop accepting; connections stay."""
        for listener in self._listeners:
            await listener.aclose()
        self._listeners.clear()

    async def _accept(self, listener: trio.SocketListener, maddr: Multiaddr) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    stream = await listener.accept()
                except trio.ClosedResourceError:
                    return  # the nursery waits for the connections
                except OSError as error:  # EMFILE and its like pass when connections end
                    self._transport.counters.count_error(error)
                    await trio.sleep(ACCEPT_PAUSE_S)
                    continue
                self._admit(stream, maddr, nursery)

    def _admit(self, stream: trio.SocketStream, maddr: Multiaddr, nursery: trio.Nursery) -> None:
        transport = self._transport
        try:
            where = place(stream.socket.getpeername()[0])
        except OSError:  # gone before it was accepted
            stream.socket.close()
            return
        if not transport.gate.admits(where):
            transport.counters.count("connection_refused")
            stream.socket.close()
            return
        transport.gate.enter(where)
        nursery.start_soon(transport.serve, stream, where, maddr)


class TcpTransport(ITransport):  # type: ignore[misc]  # libp2p is untyped here
    """Dials from one source address and accepts through the gate."""

    def __init__(
        self, limits: AcceptLimits, counters: Counters, source_address: str | None = None
    ) -> None:
        self.gate = Gate(limits)
        self.counters = counters
        self._source_address = source_address
        self.upgrade: Callable[[RawConnection, Multiaddr], Awaitable[Any]] = _not_running

    def set_swarm(self, swarm: Any) -> None:
        """Take the swarm that upgrades connections; libp2p calls this when it starts."""
        self.upgrade = swarm.upgrade_inbound_raw_conn

    async def dial(self, maddr: Multiaddr) -> RawConnection:
        """Open a TCP connection.

        Raises:
            OpenConnectionError: no such address, refused, unreachable.

        """
        try:
            stream = await self._connect(*endpoint(maddr))
        except (NoUsableAddressError, OSError) as error:
            raise OpenConnectionError("no TCP connection") from error
        return RawConnection(TcpStream(stream), initiator=True)

    async def _connect(self, host: str, port: int) -> trio.SocketStream:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            if self._source_address is not None:
                # The port is chosen at connect(): else 28 000 dials to all relays use them up.
                sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                await sock.bind((self._source_address, 0))
            await sock.connect((host, port))
            return trio.SocketStream(sock)
        except BaseException:
            sock.close()
            raise

    async def serve(self, stream: trio.SocketStream, where: str, maddr: Multiaddr) -> None:
        """One inbound connection from the accept to its end."""
        pending = True
        try:
            raw = RawConnection(TcpStream(stream), initiator=False)
            connection = await self.upgrade(raw, maddr)
            self.gate.upgraded(where)
            pending = False
            await connection.event_closed.wait()
        except Exception as error:  # noqa: BLE001  # supervisor: a stranger's bytes went through libp2p
            self.counters.count("upgrade_failed")
            self.counters.count_error(error)
        finally:
            if pending:
                self.gate.upgraded(where)
            self.gate.leave(where)
            stream.socket.close()

    def create_listener(self, handler_function: Any) -> Listener:
        """Make a listener that upgrades by itself, see Listener."""
        del handler_function
        return Listener(self)

    def can_dial(self, maddr: Multiaddr) -> bool:
        """Whether it is an address of ours."""
        try:
            endpoint(maddr)
        except NoUsableAddressError:
            return False
        return True

    def can_listen(self, maddr: Multiaddr) -> bool:
        """Whether it is an address of ours."""
        return self.can_dial(maddr)

    def protocols(self) -> list[str]:
        """Return the multiaddr parts that mark our addresses."""
        return ["tcp"]


async def _not_running(_raw: RawConnection, _maddr: Multiaddr) -> Any:
    raise ListenError("the host does not run")


async def _bound_socket(host: str, port: int) -> trio.socket.SocketType:
    sock = trio.socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM
    )
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in host:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
