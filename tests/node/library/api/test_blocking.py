"""For threads: the same streams, with calls that block."""

import threading

import anyio
import pytest

from peerstream import sync
from peerstream.node.library.api.errors import BadRequestError, RefusedError, StreamBrokenError
from peerstream.node.protocol.wire.status import Status

BODY = bytes(range(256)) * 100


def serve(listener, answer, count):
    for _ in range(count):
        with listener.accept() as stream:
            answer(stream)


def echo(stream):
    for data in stream:
        stream.write(data)
    stream.write_eof()


def test_two_threads_talk(town):
    card = town.cards["callee"]
    with (
        sync.Client(socket=town.sockets["callee"]) as callee,
        sync.Client(socket=town.sockets["caller"]) as caller,
        callee.listen("sync") as listener,
    ):
        assert listener.address == callee.address
        assert listener.service == "sync"
        serving = threading.Thread(target=serve, args=(listener, echo, 2))
        serving.start()
        for isolation in (b"one", b"two"):
            with caller.connect(card, "sync", isolation=isolation) as stream:
                assert stream.peer.address == callee.address
                assert "sync" in repr(stream)
                writing = threading.Thread(target=write_all, args=(stream, BODY))
                writing.start()
                assert b"".join(stream) == BODY
                assert stream.read() == b""
                writing.join()
        serving.join()
        with pytest.raises(RefusedError):
            caller.connect(card, "nothing")
    with pytest.raises(anyio.ClosedResourceError):
        caller.connect(card, "sync")


def write_all(stream, body):
    stream.write(body)
    stream.write_eof()


def test_an_error_in_the_block_resets_the_stream(town):
    statuses = []

    def wait(stream):
        assert stream.receive_datagram() == b"hello"
        stream.write(b"here")
        try:
            stream.read()
        except StreamBrokenError as error:
            statuses.append(error.status)

    def call(caller):
        with caller.connect(town.cards["callee"], "reset") as stream:
            assert stream.send_datagram(b"hello", 10.0)
            assert stream.read() == b"here"
            raise LookupError

    with (
        sync.Client(socket=town.sockets["callee"]) as callee,
        sync.Client(socket=town.sockets["caller"]) as caller,
        callee.listen("reset") as listener,
    ):
        serving = threading.Thread(target=serve, args=(listener, wait, 1))
        serving.start()
        with pytest.raises(LookupError):
            call(caller)
        serving.join()
    assert statuses == [Status.CLOSED]


def test_a_node_for_threads_that_cannot_start_leaves_no_thread(tmp_path, monkeypatch):
    monkeypatch.delenv("PSP_NETWORK", raising=False)
    before = threading.active_count()
    node = sync.Node(state=tmp_path)
    with pytest.raises(BadRequestError, match="PSP_NETWORK"):
        node.__enter__()
    assert node.address is None
    assert threading.active_count() == before
