"""HTTP over streams: httpx2 on our side, a real server behind a service on the other."""

import anyio
import h11
import httpx2
import pytest

from peerstream.http import Transport
from peerstream.node.library.api.client import Client
from peerstream.node.library.api.errors import NameNotFoundError, RefusedError
from tests.node.library.api.test_client import BACKENDS, Serving
from tests.node.library.api.town import PATIENCE_S


async def web(stream):
    """Answer HTTP/1.1 with what was asked, and who asked, as long as the connection is kept."""
    machine = h11.Connection(h11.SERVER)

    async def event():
        while (found := machine.next_event()) is h11.NEED_DATA:
            try:
                machine.receive_data(await stream.receive())
            except anyio.EndOfStream:
                machine.receive_data(b"")
        return found

    while not isinstance(request := await event(), h11.ConnectionClosed):
        body = b""
        while isinstance(part := await event(), h11.Data):
            body += part.data
        if request.target == b"/cut":
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            stream.reset()
            return
        told = b" ".join((request.method, request.target, body, stream.peer.address.encode()))
        headers = [("Content-Length", str(len(told))), ("X-Stream", str(id(stream)))]
        await stream.send(machine.send(h11.Response(status_code=200, headers=headers)))
        await stream.send(machine.send(h11.Data(data=told)) + machine.send(h11.EndOfMessage()))
        machine.start_next_cycle()


@pytest.mark.parametrize("backend", BACKENDS)
def test_requests_over_streams(town, backend):
    async def main():
        with anyio.fail_after(PATIENCE_S):
            async with (
                Client(socket=town.sockets["callee"]) as callee,
                Client(socket=town.sockets["caller"]) as caller,
                Serving(callee, web, "web"),
                Serving(callee, web, "8080"),
                httpx2.AsyncClient(transport=Transport(caller)) as client,
            ):
                await requests(client, callee, caller)

    anyio.run(main, backend=backend)


async def requests(client, callee, caller):
    host = f"{callee.address.lower()}.psp.alt"
    first = await client.get(f"http://{host}/page?q=1")
    assert first.text == f"GET /page?q=1  {caller.address}"
    again = await client.post(f"http://{host}/form", content=b"body")
    assert again.text == f"POST /form body {caller.address}"
    assert again.headers["X-Stream"] == first.headers["X-Stream"]  # one stream is kept
    for url in (f"http://web.{host}/", f"http://{host}:8080/"):
        assert (await client.get(url)).status_code == 200
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        await client.get(f"http://{host}/cut")
    for url, cause in (
        (f"http://ssh.{host}/", RefusedError),
        ("http://nobody.psp.alt/", NameNotFoundError),
        ("http://ssh.nobody.eth/", NameNotFoundError),
    ):
        with pytest.raises(httpx2.ConnectError) as refused:
            await client.get(url)
        assert isinstance(causes(refused.value)[-1], cause)
    for url in ("http://example.com/", "http://127.0.0.1/"):
        with pytest.raises(httpx2.ConnectError):
            await client.get(url)
    with pytest.raises((httpx2.ConnectError, httpx2.UnsupportedProtocol)):
        await client.get(f"https://web.{host}/")


def causes(error):
    found = [error]
    while found[-1].__cause__ is not None:
        found.append(found[-1].__cause__)
    return found
