"""Programs of both users that know nothing of the network: a web site, curl, a browser (SPEC 15.1).

They run in the process of the audit, on the addresses of their users, and are not recorded.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import h11
import trio

from peerstream.node.lab.audit.stage import ADDRESSES, Stage, account_of
from peerstream.node.lab.errors import LabError

HTTP: Final = "web"
RAW: Final = "raw"
_PIECE: Final = 65_536
_SOCKS_CONNECT: Final = b"\x05\x01\x00\x05\x01\x00\x03"  # RFC 1928: no method but none, CONNECT
_GREETED: Final = 2
_ANSWER: Final = 10
_REFUSED: Final = 2
_OK: Final = 200


class LocalProgramError(LabError):
    """A local program did not get what it asked for: please report it, with the message."""


async def expose(stage: Stage) -> None:
    """Expose a local site in both ways of saying who calls, and call it node to node."""
    async with _exposed(stage), _ways_in(stage) as ports:
        seen = await _get_page(ports["pages"], "/who")
        _require(json.loads(seen) == {"peer": account_of("caller")}, "the site saw another caller")


async def socks(stage: Stage) -> None:
    """Fetch a file as curl does through SOCKS5, and ask for what is not of the network."""
    async with _exposed(stage), _ways_in(stage) as ports:
        host = f"{RAW}.{account_of('callee')}.psp.alt"
        stream, status = await _through_socks(ports["socks"], host)
        _require(status == 0, f"SOCKS said {status}")
        async with stream:
            await stream.send_all(b"file\n")
            found = b"".join([data async for data in stream])
        _require(found == stage.file.read_bytes(), "the file arrived as another")
        for foreign in ("example.com", "192.0.2.1"):
            stream, status = await _through_socks(ports["socks"], foreign)
            await stream.aclose()
            _require(status == _REFUSED, f"{foreign} was not refused")


async def gateway(stage: Stage) -> None:
    """Open a page of an address as a browser does."""
    async with _exposed(stage), _ways_in(stage) as ports:
        found = await _get_page(ports["pages"], "/file")
        _require(found == stage.file.read_bytes(), "the page arrived as another")


def _require(held: bool, text: str) -> None:  # noqa: FBT001 - as `assert`
    if not held:
        raise LocalProgramError(text)


@asynccontextmanager
async def _exposed(stage: Stage) -> AsyncIterator[None]:
    """Run the callee's local programs, and have the callee expose them."""
    callee, host = stage.parties["callee"], ADDRESSES["callee"]
    async with trio.open_nursery() as nursery:
        site, raw = _Site(stage), _Raw(stage)
        for name, program, flag in ((HTTP, site.serve, "http"), (RAW, raw.serve, "proxy_protocol")):
            listeners = await trio.open_tcp_listeners(0, host=host)
            nursery.start_soon(trio.serve_listeners, program, listeners)
            port = listeners[0].socket.getsockname()[1]
            service = {"name": name, "target": f"{host}:{port}", flag: True}
            await callee.ask({"do": "expose", "service": service}, "exposed")
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                for name in (HTTP, RAW):
                    await callee.ask({"do": "withdraw", "name": name}, "withdrawn")
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def _ways_in(stage: Stage) -> AsyncIterator[Mapping[str, Any]]:
    """Have the caller let local programs in; gives the ports."""
    wanted = {"do": "let in", "host": ADDRESSES["caller"], "level": stage.level}
    yield await stage.parties["caller"].ask(wanted, "lets in")


class _Site:
    """A web site: who the caller is said to be, and a file."""

    def __init__(self, stage: Stage) -> None:
        self._file = stage.file.read_bytes()

    async def serve(self, local: trio.SocketStream) -> None:
        """Answer requests."""
        connection = h11.Connection(h11.SERVER)
        async with local:
            while isinstance(event := await _event(local, connection), h11.Request):
                peer = dict(event.headers).get(b"x-psp-peer", b"").decode()
                who = json.dumps({"peer": peer}).encode()
                body = self._file if event.target == b"/file" else who
                while not isinstance(await _event(local, connection), h11.EndOfMessage):
                    pass
                fields = [("Content-Length", str(len(body)))]
                await local.send_all(
                    (connection.send(h11.Response(status_code=200, headers=fields)) or b"")
                    + (connection.send(h11.Data(body)) or b"")
                    + (connection.send(h11.EndOfMessage()) or b"")
                )
                connection.start_next_cycle()


class _Raw:
    """A program of a protocol of its own: a line, and a file comes."""

    def __init__(self, stage: Stage) -> None:
        self._file = stage.file.read_bytes()

    async def serve(self, local: trio.SocketStream) -> None:
        """Send the file once a line came, with a PROXY header before it that names the caller."""
        async with local:
            heard = b""
            while not heard.endswith(b"file\n"):
                heard += bytes(await local.receive_some(_PIECE))
            if account_of("caller").encode() in heard:
                await local.send_all(self._file)


async def _event(stream: trio.SocketStream, connection: h11.Connection) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(bytes(await stream.receive_some(_PIECE)))
    return event


async def _get_page(port: int, path: str) -> bytes:
    """Return a page of the callee, through the caller's gateway."""
    stream = await trio.open_tcp_stream(ADDRESSES["caller"], port)
    async with stream:
        connection = h11.Connection(h11.CLIENT)
        host = f"{account_of('callee').lower()}.localhost:{port}"
        request = h11.Request(method="GET", target=path, headers=[("Host", host)])
        sent = (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
        await stream.send_all(sent)
        answer = await _event(stream, connection)
        _require(getattr(answer, "status_code", 0) == _OK, f"the gateway said {answer}")
        body = b""
        while isinstance(event := await _event(stream, connection), h11.Data):
            body += bytes(event.data)
        return body


async def _through_socks(port: int, host: str) -> tuple[trio.SocketStream, int]:
    """Connect to a host through the caller's front; return the stream and what SOCKS5 said."""
    stream = await trio.open_tcp_stream(ADDRESSES["caller"], port)
    name = host.encode()
    await stream.send_all(_SOCKS_CONNECT + bytes([len(name)]) + name + b"\0\x50")
    heard = b""
    while len(heard) < _GREETED + _ANSWER and (data := await stream.receive_some(1)):
        heard += bytes(data)
    return stream, heard[_GREETED + 1] if len(heard) > _GREETED + 1 else -1
