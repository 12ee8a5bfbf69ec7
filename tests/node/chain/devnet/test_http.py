import pytest
import trio
from trio.testing import memory_stream_pair

from peerstream.node.chain.devnet.http import BODY_MAX, IDLE_S, serve, serve_connection

POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"


def echo(body: bytes) -> bytes:
    return b"<" + body + b">"


async def received(stream, total: int = 1) -> bytes:
    found = b""
    while found.count(b"HTTP/1.1") < total or not found.endswith((b">", b"\r\n\r\n")):
        piece = await stream.receive_some(65_536)
        if not piece:
            break
        found += piece
    return found


@pytest.fixture
async def client(nursery):
    ours, theirs = memory_stream_pair()
    nursery.start_soon(serve_connection, theirs, echo)
    yield ours
    nursery.cancel_scope.cancel()


async def test_two_requests_on_one_connection(client):
    for body in (b"one", b"two"):
        await client.send_all(POST % (3, body))
        answer = await received(client)
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"\r\n\r\n<" + body + b">")
        assert b"access-control-allow-origin: *" in answer.lower()


async def test_a_request_in_single_bytes(client):
    for byte in POST % (5, b"bytes"):
        await client.send_all(bytes([byte]))
    assert (await received(client)).endswith(b"<bytes>")


async def test_a_chunked_request(client):
    await client.send_all(
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert (await received(client)).endswith(b"<abcde>")


async def test_a_client_that_waits_for_permission(client):
    await client.send_all(
        b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    )
    assert (await received(client)).startswith(b"HTTP/1.1 100")
    await client.send_all(b"ab")
    assert (await received(client)).endswith(b"<ab>")


async def test_a_browser_that_asks_first(client):
    await client.send_all(b"OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: http://a\r\n\r\n")
    answer = (await received(client)).lower()
    assert answer.startswith(b"http/1.1 204")
    assert b"access-control-allow-headers: content-type" in answer
    await client.send_all(POST % (1, b"x"))
    assert (await received(client)).endswith(b"<x>")


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"HEAD"])
async def test_other_methods(client, method):
    await client.send_all(method + b" / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await received(client)).startswith(b"HTTP/1.1 405")


async def test_a_body_without_end(client):
    await client.send_all(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (2 * BODY_MAX)
    )
    await client.send_all(bytes(BODY_MAX + 1))
    answer = await received(client)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer
    assert await client.receive_some(1) == b""


@pytest.mark.parametrize(
    "said",
    [b"\x00\x01\x02\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"a" * 200_000],
)
async def test_what_is_no_http_is_closed(client, said):
    await client.send_all(said)
    assert b"200 OK" not in await received(client)


async def test_who_stalls_is_closed(client, autojump_clock):
    await client.send_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
    assert await client.receive_some(1) == b""
    assert trio.current_time() == pytest.approx(IDLE_S)


async def test_who_leaves_early(client):
    await client.send_all(b"POST / HTTP/1.1\r\n")
    await client.aclose()


async def test_over_real_sockets(nursery):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(serve, listener, echo)
    port = listener.socket.getsockname()[1]
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(POST % (4, b"real"))
        assert (await received(stream)).endswith(b"<real>")
    nursery.cancel_scope.cancel()
