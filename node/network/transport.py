"""TCP with limits in front: who may connect how often, and from where we dial (SPEC 9.2)."""

import socket
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
from peerstream.node.network.gate import AcceptLimits, Gate, place
from peerstream.node.protocol.errors import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BACKLOG = 1_024
IP_BIND_ADDRESS_NO_PORT = 24  # Linux; the socket module names it from Python 3.12 on
ACCEPTS_MAX = 64  # in a row, then others have their turn
ACCEPT_PAUSE_S = 0.1  # when the process is out of file descriptors


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


class Listener(IListener):  # type: ignore[misc]  # libp2p is untyped here
    """Accepts, asks the gate, upgrades under a deadline, and holds a slot until the end.

    The stock listener gives the connection to the swarm's own handler, which keeps its slot until
    the swarm stops: after 250 connections in its life such a node is deaf. Sockets are trio's only
    from the gate on: who is refused costs two system calls and no task.
    """

    def __init__(self, transport: "TcpTransport") -> None:
        self._transport = transport
        self._sockets: list[socket.socket] = []
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
            sock = _bound_socket(host, port)
        except (NoUsableAddressError, OSError) as error:
            raise OpenConnectionError("the address cannot be listened on") from error
        sock.listen(BACKLOG)
        self._sockets.append(sock)
        self.background_nursery.start_soon(self._accept, sock, maddr)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Return the addresses as bound, with the port that port 0 became."""
        names = [sock.getsockname()[:2] for sock in self._sockets]
        return tuple(
            Multiaddr(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}")
            for host, port in names
        )

    async def close(self) -> None:
        """Stop accepting; connections stay."""
        for sock in self._sockets:
            trio.lowlevel.notify_closing(sock)
            sock.close()
        self._sockets.clear()
        await trio.lowlevel.checkpoint()

    async def _accept(self, sock: socket.socket, maddr: Multiaddr) -> None:
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    try:
                        await trio.lowlevel.wait_readable(sock)
                    except trio.ClosedResourceError:
                        return  # the nursery waits for the connections
                    try:
                        self._accept_some(sock, maddr, nursery)
                    except OSError as error:  # EMFILE and its like pass when connections end
                        self._transport.counters.count_error(error)
                        await trio.sleep(ACCEPT_PAUSE_S)
        finally:
            sock.close()

    def _accept_some(self, sock: socket.socket, maddr: Multiaddr, nursery: trio.Nursery) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                connection, remote = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):  # none there, or it left again
                return
            self._admit(connection, place(remote[0]), maddr, nursery)

    def _admit(
        self, connection: socket.socket, where: str, maddr: Multiaddr, nursery: trio.Nursery
    ) -> None:
        transport = self._transport
        if not transport.gate.admits(where):
            transport.counters.count("connection_refused")
            connection.close()
            return
        transport.gate.enter(where)
        nursery.start_soon(transport.serve, connection, where, maddr)


class TcpTransport(ITransport):  # type: ignore[misc]  # libp2p is untyped here
    """Dials from one source address and accepts through the gate."""

    def __init__(
        self, limits: AcceptLimits, counters: Counters, source_address: str | None = None
    ) -> None:
        self.gate = Gate(limits)
        self._limits = limits
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

    async def serve(self, sock: socket.socket, where: str, maddr: Multiaddr) -> None:
        """One inbound connection from the accept to its end."""
        pending = True
        try:
            muxer = await self._upgraded(sock, where, maddr)
            self.gate.upgraded(where)
            pending = False
            if muxer is not None:
                await muxer.event_closed.wait()
                if isinstance(getattr(muxer, "lost_by", None), RemoteProtocolError):
                    self.gate.blame(where)
        except Exception as error:  # noqa: BLE001  # supervisor: a stranger's bytes went through libp2p
            self.gate.blame(where)
            self.counters.count("upgrade_failed")
            self.counters.count_error(error)
        finally:
            if pending:
                self.gate.upgraded(where)
            self.gate.leave(where)
            sock.close()

    async def _upgraded(self, sock: socket.socket, where: str, maddr: Multiaddr) -> Any:
        """Handshake when the stranger has spoken and his turn is come; None when it is not."""
        with trio.fail_after(self._limits.upgrade_timeout_s):
            await trio.lowlevel.wait_readable(sock)
        if not await self.gate.turn(where):
            self.counters.count("connection_refused")
            return None
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        return await self.upgrade(RawConnection(TcpStream(stream), initiator=False), maddr)

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


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in host:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
