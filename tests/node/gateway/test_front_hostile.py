"""Local programs that mean harm, or page scripts that reach the port (SPEC 16.3)."""

import sys
from contextlib import suppress

import pytest
import trio

from peerstream.node.gateway.requests import REQUEST_MAX
from tests.node.gateway.fronts import read_all, start_front, was_reset
from tests.node.gateway.test_connect import CURL
from tests.node.gateway.test_front import ASK, ask
from tests.node.gateway.test_socks import OPEN, by_name


@pytest.mark.parametrize("start", [b"", b"\x05", OPEN, ASK[:-1], b"CONNECT a", CURL[:-1]])
async def test_a_request_that_does_not_come_whole_is_not_waited_for(nursery, autojump_clock, start):
    front = await start_front(nursery, request_s=20)
    async with await front.connect() as stream:
        began = trio.current_time()
        if start:
            await stream.send_all(start)
        await read_all(stream)
        assert trio.current_time() - began == pytest.approx(20, abs=1)
    assert not front.node.dialled


async def test_a_request_that_drips_is_not_waited_for(nursery, autojump_clock):
    front = await start_front(nursery, request_s=20)
    async with await front.connect() as stream:
        began = trio.current_time()
        waiting = list(CURL)
        with suppress(trio.BrokenResourceError):
            while waiting:
                await stream.send_all(bytes([waiting.pop(0)]))
                await trio.sleep(1)
        assert waiting
        assert trio.current_time() - began < 25
    assert not front.node.dialled


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",  # SOCKS4
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS
        b"\x00" * 100,
        b"connect a.psp.alt:80 HTTP/1.1\r\n\r\n",
        b"\xff" * REQUEST_MAX,
    ],
)
async def test_garbage_is_not_answered(nursery, garbage):
    front = await start_front(nursery)
    async with await front.connect() as stream:
        await stream.send_all(garbage)
        with suppress(trio.BrokenResourceError):  # it was closed with bytes unread
            assert await read_all(stream) == b""
    assert not front.node.dialled


@pytest.mark.parametrize("head", [b"GET / ", b"POST / ", b"OPTIONS * "])
async def test_a_page_in_a_browser_cannot_dial(nursery, head):
    front = await start_front(nursery)
    async with await front.connect() as stream:
        body = b"CONNECT alice.psp.alt:80 HTTP/1.1\r\n\r\n" + ASK
        size = str(len(body)).encode()
        await stream.send_all(
            head + b"HTTP/1.1\r\nHost: x\r\nContent-Length: " + size + b"\r\n\r\n"
        )
        await stream.send_all(body)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 405 ")
    assert not front.node.dialled


async def test_a_large_head_is_refused_before_it_is_whole(nursery):
    front = await start_front(nursery)
    async with await front.connect() as stream:
        await stream.send_all(CURL[:-2] + b"X: " + b"y" * (2 * REQUEST_MAX))
        assert (await read_all(stream)).startswith(b"HTTP/1.1 431 ")


async def test_a_flood_of_connections_is_cut_and_ends(nursery):
    front = await start_front(nursery, connections=3)
    held = [await ask(front) for _ in range(3)]
    async with await front.connect() as refused:
        assert await was_reset(refused)
    await held[0].aclose()
    while not front.node.callers[0].closed:
        await trio.testing.wait_all_tasks_blocked(0.01)
    await trio.testing.wait_all_tasks_blocked(0.01)
    async with await ask(front):
        pass
    for stream in held[1:]:
        await stream.aclose()


async def test_the_front_connects_to_nothing(nursery):
    """Whatever is asked for, this process opens no connection for it and asks no resolver."""
    reached = []
    watching = True

    def watch(event, arguments):
        if watching and event in {"socket.connect", "socket.sendto", "socket.getaddrinfo"}:
            reached.append((event, arguments[1:]))

    front = await start_front(nursery)
    here = ("127.0.0.1", front.port)
    sys.addaudithook(watch)  # it cannot be taken away again
    try:
        for host in (b"example.com", b"127.0.0.1", b"localhost", b"a.psp.alt", b"alice.eth"):
            for sent in (OPEN + by_name(host), b"CONNECT " + host + b":80 HTTP/1.0\r\n\r\n"):
                async with await front.connect() as stream:
                    await stream.send_all(sent)
                    await stream.send_eof()
                    await read_all(stream)
    finally:
        watching = False
    ours = [entry for entry in reached if here not in entry[1]]
    assert [entry for entry in ours if entry[0] != "socket.getaddrinfo"] == []
    assert not [entry for entry in ours if b"example" in repr(entry).encode()]
    assert len(reached) - len(ours) == 10
