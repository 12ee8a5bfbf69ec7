"""Standard input and output, joined to a stream (SPEC 16.7)."""

import os
import socket

import pytest
import trio

from peerstream.node.gateway.pipes import carry_pipe
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from tests.node.gateway.fronts import echo
from tests.node.services.memory_streams import memory_stream_pair

DATA = bytes(range(256)) * 1_000


@pytest.fixture
def descriptors():
    """Pairs of pipe ends that are closed at the end, those given away too."""
    made = []

    def pipe():
        pair = os.pipe()
        made.extend(pair)
        return pair

    yield pipe
    for number in made:
        try:
            os.close(number)
        except OSError:
            continue


async def test_pipes_are_binary_and_end(nursery, descriptors):
    caller, callee = memory_stream_pair(capacity=10_000)
    nursery.start_soon(echo, callee)
    (source, give), (take, sink) = descriptors(), descriptors()
    received = b""

    async def give_all():
        async with trio.lowlevel.FdStream(os.dup(give)) as stream:
            os.close(give)
            await stream.send_all(DATA)

    async def take_all():
        nonlocal received
        async with trio.lowlevel.FdStream(os.dup(take)) as stream:
            async for data in stream:
                received += data

    async with trio.open_nursery() as inner:
        inner.start_soon(give_all)
        inner.start_soon(take_all)
        await carry_pipe(caller, source, sink)
    assert received == DATA


async def test_files_are_read_and_written(nursery, tmp_path):
    caller, callee = memory_stream_pair()
    nursery.start_soon(echo, callee)
    given = tmp_path / "given"
    given.write_bytes(DATA)
    with given.open("rb") as source, (tmp_path / "taken").open("wb") as sink:
        await carry_pipe(caller, source.fileno(), sink.fileno())
    assert (tmp_path / "taken").read_bytes() == DATA


async def test_one_socket_may_be_both_as_sshs_is(nursery):
    caller, callee = memory_stream_pair()
    nursery.start_soon(echo, callee)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"hello")
        theirs.shutdown(socket.SHUT_WR)
        await carry_pipe(caller, ours.fileno(), ours.fileno())
        assert theirs.recv(100) == b"hello"
        assert theirs.recv(100) == b""
        assert ours.getblocking()


async def test_a_stream_that_breaks_is_an_error(descriptors):
    caller, callee = memory_stream_pair()
    (source, _), (_, sink) = descriptors(), descriptors()
    callee.reset(Status.INTERNAL)
    with pytest.raises(StreamResetError):
        await carry_pipe(caller, source, sink)


async def test_an_output_that_nobody_reads_is_an_error(descriptors):
    caller, callee = memory_stream_pair()
    (source, _), (take, sink) = descriptors(), descriptors()
    os.close(take)
    await callee.send(b"x")
    with pytest.raises(BrokenPipeError):
        await carry_pipe(caller, source, sink)
    with pytest.raises(StreamResetError):
        await callee.receive()
