"""A local port that leads to one service (SPEC 16.7)."""

import socket
from contextlib import suppress

import trio

from peerstream.node.gateway.forwarding import forward_connections, forward_datagrams
from peerstream.node.ports import StreamError
from peerstream.node.roles.errors import DescriptorUnavailableError
from tests.node.gateway.fronts import echo, read_all, was_reset
from tests.node.gateway.test_associate import echo_datagrams
from tests.node.services.memory_streams import memory_stream_pair


class Played:
    def __init__(self, nursery, serve):
        self.error = None
        self.told = []
        self.opened = 0
        self._nursery, self._serve = nursery, serve

    async def open_stream(self):
        self.opened += 1
        if self.error is not None:
            raise self.error
        caller, callee = memory_stream_pair()
        self._nursery.start_soon(self._quietly, callee)
        return caller

    async def _quietly(self, callee):
        with suppress(StreamError):
            await self._serve(callee)


async def test_each_connection_is_a_stream(nursery):
    played = Played(nursery, echo)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    nursery.start_soon(forward_connections, listener, played.open_stream, played.told.append)
    for data in (b"one", bytes(500_000)):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream, trio.open_nursery() as inner:
            inner.start_soon(_send, stream, data)
            assert await read_all(stream) == data
    assert played.opened == 2


async def _send(stream, data):
    await stream.send_all(data)
    await stream.send_eof()


async def test_why_it_was_not_connected_is_told(nursery):
    played = Played(nursery, echo)
    played.error = DescriptorUnavailableError(("gone",))
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    nursery.start_soon(forward_connections, listener, played.open_stream, played.told.append)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        assert await was_reset(stream)
    assert played.told == [played.error]
    played.error = None
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await _send(stream, b"again")
        assert await read_all(stream) == b"again"


async def test_datagrams_of_each_program_have_a_stream(nursery):
    played = Played(nursery, echo_datagrams)
    with (
        trio.socket.socket(type=socket.SOCK_DGRAM) as local,
        trio.socket.socket(type=socket.SOCK_DGRAM) as first,
        trio.socket.socket(type=socket.SOCK_DGRAM) as second,
    ):
        await local.bind(("127.0.0.1", 0))
        nursery.start_soon(forward_datagrams, local, played.open_stream, played.told.append)
        with trio.fail_after(20):
            for program in (first, second, first):
                await program.connect(local.getsockname())
                await program.send(b"hello")
                assert await program.recv(100) == b"hello"
        assert played.opened == 2
        nursery.cancel_scope.cancel()
