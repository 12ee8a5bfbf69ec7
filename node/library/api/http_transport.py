"""HTTP/1.1 over streams, for httpx2: its own machine speaks it, ours carries the bytes (SPEC 18.7).

Hosts are names of the network, and nothing else is ever connected to: no DNS, no proxy, no clear
text to the Internet. What a stream carries is encrypted and its other end verified, so the scheme
is http and cookies marked Secure are not sent.
"""

import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import anyio
import httpcore2
import httpx2

from peerstream.node.gateway.errors import DestinationError
from peerstream.node.gateway.names import parse_destination
from peerstream.node.library.api.connector import Connector
from peerstream.node.library.api.errors import PeerStreamError, public
from peerstream.node.library.api.streams import Stream

CONNECTIONS_MAX: Final = 100
KEPT_MAX: Final = 20
KEPT_S: Final = 30.0


class Transport(httpx2.AsyncBaseTransport):
    """Sends requests for `http://[service.]0x….psp.alt/` over streams of a Node or Client.

    The service is the one that the host names, else that of the port: `web` for 80. Use it as
    ``httpx2.AsyncClient(transport=Transport(node))``; the node must outlive the client. Raises
    httpx2.ConnectError with the PeerStreamError as its cause, and other errors of httpx2.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        level: int = 2,
        anonymous: bool = False,
        isolation: bytes = b"",
    ) -> None:
        """How to dial is as in `Connector.connect`, for all requests."""
        backend = _Backend(connector, level=level, anonymous=anonymous, isolation=isolation)
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=KEPT_MAX,
            keepalive_expiry=KEPT_S,
            network_backend=backend,
        )

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; as httpx2 asks of a transport."""
        url = request.url
        asked = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(asked)
        except _ERRORS as error:
            _raise(error, request)
        return httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer, request),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close the streams that are kept for further requests."""
        await self._pool.aclose()


_ERRORS: Final = tuple(
    getattr(httpcore2, name)
    for name in (
        "TimeoutException", "NetworkError", "ProtocolError", "UnsupportedProtocol", "ProxyError",
    )
)  # fmt: skip


def _raise(error: Exception, request: httpx2.Request) -> NoReturn:
    """Raise the error of httpx2 that has the same name as one of httpcore2."""
    kind = getattr(httpx2, type(error).__name__, httpx2.TransportError)
    raise kind(str(error), request=request) from error.__context__ or error  # the pool drops causes


class _Body(httpx2.AsyncByteStream):
    """The body of an answer, with errors of httpx2."""

    def __init__(self, answer: httpcore2.Response, request: httpx2.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> Any:
        try:
            async for part in self._answer.aiter_stream():
                yield part
        except _ERRORS as error:
            _raise(error, self._request)

    async def aclose(self) -> None:
        """Give the stream back, or up."""
        await self._answer.aclose()


class _Backend(httpcore2.AsyncNetworkBackend):
    """Opens a stream where httpcore2 wants a TCP connection."""

    def __init__(
        self, connector: Connector, *, level: int, anonymous: bool, isolation: bytes
    ) -> None:
        self._connector = connector
        self._how: dict[str, Any] = {
            "level": level, "anonymous": anonymous, "isolation": isolation,
        }  # fmt: skip

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """As httpcore2 asks."""
        del local_address, socket_options
        try:
            with anyio.fail_after(timeout):
                return _NetworkStream(await self._dial(host, port))
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} did not answer") from error
        except PeerStreamError as error:
            raise httpcore2.ConnectError(f"{error}: {error.remedy}") from error

    async def _dial(self, host: str, port: int) -> Stream:
        try:
            service = parse_destination(host).at_port(port).service
        except DestinationError as error:
            raise public(error) from error
        return await self._connector.connect(host, service, **self._how)

    async def sleep(self, seconds: float) -> None:
        """As httpcore2 asks, between tries."""
        await anyio.sleep(seconds)


class _NetworkStream(httpcore2.AsyncNetworkStream):
    """A stream as httpcore2 uses one."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> bytes:
        """Return bytes, b"" at the end."""
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpcore2.ReadTimeout("nothing came") from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> None:
        """Send all of it."""
        try:
            with anyio.fail_after(timeout):
                await self._stream.send(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout("the other side does not read") from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        """Refuse: the stream is encrypted and its end verified, and no CA names an address."""
        del ssl_context, server_hostname, timeout
        raise httpcore2.UnsupportedProtocol("streams need no TLS: ask for http://")

    def get_extra_info(self, info: str) -> Any:
        """Tell `peer`: who answers; nothing of sockets, for there are none."""
        return self._stream.peer if info == "peer" else None
