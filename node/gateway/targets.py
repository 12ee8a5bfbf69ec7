"""Where an exposed service leads on this machine, and connecting there (SPEC 19.2)."""

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import trio

from peerstream.node.gateway.carrying import Local
from peerstream.node.gateway.errors import BadServiceError, TargetRefusedError

CONNECT_S: Final = 10.0
PORT_MAX: Final = 65_535
_LOCALHOST: Final = ("127.0.0.1", "::1")  # what it means here, without asking anybody
_UNIX_PATH_MAX: Final = 107  # bytes, sun_path of Linux


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """A TCP port; of several hosts the first that takes the connection."""

    hosts: tuple[str, ...]
    port: int

    def __str__(self) -> str:
        host = "localhost" if len(self.hosts) > 1 else self.hosts[0]
        return _joined(host, self.port)


@dataclass(frozen=True, slots=True)
class UnixTarget:
    """A stream socket of the file system."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class UdpTarget:
    """A UDP port, for the datagrams of a stream."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"udp:{_joined(self.host, self.port)}"


Target = TcpTarget | UnixTarget | UdpTarget


def parse_target(text: str) -> Target:
    """Read `127.0.0.1:80`, `[::1]:80`, `localhost:80`, `80`, `unix:/path`, `udp:127.0.0.1:53`.

    Raises BadServiceError, for host names too: what one means may change under us.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix":
        return UnixTarget(_checked_path(rest))
    if kind == "udp":
        hosts, port = _endpoint(rest)
        return UdpTarget(hosts[0], port)
    if text.isdecimal():
        return TcpTarget(_LOCALHOST[:1], _port(text))
    return TcpTarget(*_endpoint(text))


def _checked_path(path: str) -> str:
    if not path.startswith("/") or "\0" in path or len(path.encode()) > _UNIX_PATH_MAX:
        raise BadServiceError(f"a path begins with / and has at most {_UNIX_PATH_MAX} bytes")
    return path


def _endpoint(text: str) -> tuple[tuple[str, ...], int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise BadServiceError("a target is HOST:PORT, a port, unix:/path or udp:HOST:PORT")
    if host == "localhost":
        return _LOCALHOST, _port(port)
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        found = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise BadServiceError(f"{host!r} is no IP address: names are not looked up") from None
    if (found.version == 6) is not bracketed or getattr(found, "scope_id", None):
        raise BadServiceError("an IPv6 address stands in brackets and has no zone")
    return (str(found),), _port(port)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= PORT_MAX):
        raise BadServiceError(f"a port is 1 to {PORT_MAX}")
    return int(text)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a literal IP address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


async def connect(target: TcpTarget | UnixTarget) -> Local:
    """Connect to a local program. Raises TargetRefusedError."""
    with trio.move_on_after(CONNECT_S):
        if isinstance(target, UnixTarget):
            return await _connect(socket.AF_UNIX, target.path)
        for host in target.hosts[:-1]:
            try:
                return await _connect(family_of(host), (host, target.port))
            except TargetRefusedError:
                continue
        host = target.hosts[-1]
        return await _connect(family_of(host), (host, target.port))
    raise TargetRefusedError(f"{target} did not answer for {CONNECT_S:.0f} s")


async def _connect(family: socket.AddressFamily, where: str | tuple[str, int]) -> Local:
    opened = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await opened.connect(where)
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        opened.close()
        raise TargetRefusedError(f"{where}: {error.strerror}") from error
    except BaseException:
        opened.close()
        raise
    return opened
