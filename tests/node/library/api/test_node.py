"""A node in the program itself: under trio in its tasks, under asyncio in a thread."""

import asyncio
import contextlib
import threading
from contextlib import asynccontextmanager

import anyio
import pytest
import trio

import peerstream
from peerstream.node.library.api import embedded
from peerstream.node.library.api.client import SocketConnector
from peerstream.node.library.api.embedded import EmbeddedConnector
from peerstream.node.library.api.threaded import TrioThread
from peerstream.node.protocol.wire.status import Status
from tests.node.library.api.test_client import echo, expect_reset
from tests.node.library.api.town import PATIENCE_S, two_nodes

BODY = bytes(range(256)) * 1_200  # more than a window


async def test_the_same_streams_without_a_socket(autojump_clock):
    """Under trio nothing lies between the program and the node's own streams."""
    async with two_nodes() as (_world, nodes):
        callee, caller = (EmbeddedConnector(nodes[name]) for name in ("callee", "caller"))
        card = str(nodes["callee"].identity.card)
        async with (
            await callee.listen("echo", anonymous=True) as listener,
            trio.open_nursery() as n,
        ):
            n.start_soon(listener.serve, echo)
            async with await caller.connect(card, "echo") as stream:
                assert stream.extra(peerstream.PeerAttribute.address) == callee.address
                n.start_soon(stream.send, BODY)
                got = b""
                while len(got) < len(BODY):
                    got += await stream.receive()
                assert got == BODY
                await stream.send_eof()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
                with pytest.raises(anyio.ClosedResourceError):
                    await stream.send(b"x")
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()
            with pytest.raises(peerstream.RefusedError) as refused:
                await caller.connect(card, "nothing")
            assert refused.value.status is Status.NO_SERVICE
            assert refused.value.__cause__ is not None
            n.cancel_scope.cancel()


async def test_resets_datagrams_and_a_listener_that_closes(autojump_clock):
    async with two_nodes() as (_world, nodes):
        callee, caller = (EmbeddedConnector(nodes[name]) for name in ("callee", "caller"))
        card = str(nodes["callee"].identity.card)
        listener = await callee.listen("dgram")
        streams = []

        async def call():
            streams.append(await caller.connect(card, "dgram"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            taken = await listener.accept()
        (stream,) = streams
        assert await stream.send_datagram(b"ping", 5.0)
        assert await taken.receive_datagram() == b"ping"
        with pytest.raises(peerstream.BadRequestError):
            await stream.send_datagram(bytes(300_000))
        taken.reset(Status.HIBERNATE)
        await expect_reset(stream, Status.HIBERNATE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused_as_busy, caller, card)
            await trio.sleep(5)
            await listener.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await listener.accept()


async def refused_as_busy(caller, card):
    """Nobody accepts, and then the listener is closed."""
    with pytest.raises(peerstream.RefusedError) as refused:
        await caller.connect(card, "dgram")
    assert refused.value.status is Status.BUSY


async def test_more_streams_than_anybody_accepts(autojump_clock, monkeypatch):
    monkeypatch.setattr(embedded, "WAITING_MAX", 3)
    async with two_nodes() as (_world, nodes):
        callee, caller = (EmbeddedConnector(nodes[name]) for name in ("callee", "caller"))
        card = str(nodes["callee"].identity.card)
        outcomes = []

        async def call():
            try:
                async with await caller.connect(card, "slow"):
                    outcomes.append("taken")
            except peerstream.RefusedError as error:
                outcomes.append(error.status)

        async with await callee.listen("slow"), trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(call)
            await trio.sleep(20)
            assert outcomes == [Status.BUSY] * 2
            nursery.cancel_scope.cancel()


# In a thread


@asynccontextmanager
async def callee_alone():
    async with two_nodes() as (_world, nodes):
        yield nodes["callee"]


def run_asyncio(main):
    async def bounded():
        async with asyncio.timeout(PATIENCE_S):
            await main()

    asyncio.run(bounded())


def threads():
    return {thread.name for thread in threading.enumerate() if thread.name == "peerstream"}


def test_a_node_for_asyncio_calls_itself():
    """Listener and caller in one asyncio program, both through one trio thread."""

    async def main():
        async with (
            TrioThread.running(callee_alone) as thread,
            SocketConnector(thread.open_transport) as connector,
        ):
            card = str(thread._server._node.identity.card)
            listener = await connector.listen("echo")
            serving = asyncio.create_task(listener.serve(echo))
            stream = await connector.connect(card, "echo")
            sending = asyncio.create_task(stream.send(BODY))
            got = b""
            while len(got) < len(BODY):
                got += await stream.receive()
            assert got == BODY
            await sending
            await cancel_a_reader(stream)
            await stream.aclose()
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            await listener.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await connector.connect(card, "echo")
        with pytest.raises(OSError, match="ended"):
            await thread.open_transport()

    run_asyncio(main)
    assert not threads()


async def cancel_a_reader(stream):
    """The stream goes on, and loses nothing."""
    reading = asyncio.create_task(stream.receive())
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await stream.send(b"goes on")
    assert await stream.receive() == b"goes on"


def test_a_node_that_cannot_start_says_why():
    @asynccontextmanager
    async def failing():
        raise LookupError("no such network")
        yield

    async def main():
        with pytest.raises(LookupError, match="no such network"):
            async with TrioThread.running(failing):
                pass

    run_asyncio(main)
    assert not threads()


def test_a_stream_that_is_asked_for_as_the_node_fails_finds_it_ended():
    fail, ending, go_on = threading.Event(), threading.Event(), threading.Event()

    async def fail_when_told():
        await trio.to_thread.run_sync(fail.wait)
        raise LookupError("the node broke")

    @asynccontextmanager
    async def failing():
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail_when_told)
                yield None
        finally:
            with trio.CancelScope(shield=True):
                ending.set()
                await trio.to_thread.run_sync(go_on.wait)

    async def main():
        with pytest.raises(LookupError, match="the node broke"):  # noqa: PT012 - it must fail in there
            async with TrioThread.running(failing) as thread:
                fail.set()
                await anyio.to_thread.run_sync(ending.wait)
                async with await thread.open_transport() as transport:
                    with pytest.raises(anyio.EndOfStream):
                        await transport.receive()
                go_on.set()

    run_asyncio(main)
    assert not threads()


def test_a_start_that_is_cancelled_leaves_no_thread():
    @asynccontextmanager
    async def slow():
        await trio.sleep_forever()
        yield

    async def start():
        async with asyncio.timeout(0.2), TrioThread.running(slow):
            pass

    async def main():
        with pytest.raises(TimeoutError):
            await start()

    run_asyncio(main)
    assert not threads()


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_what_a_node_is_started_without(tmp_path, monkeypatch, backend):
    for name in ("PSP_NETWORK", "PSP_STATE", "PSP_RELAY_FILE"):
        monkeypatch.delenv(name, raising=False)

    async def main():
        with pytest.raises(peerstream.BadRequestError, match="PSP_NETWORK"):
            async with peerstream.Node(state=tmp_path):
                pass
        with pytest.raises(peerstream.StateError) as told:
            async with peerstream.connect(
                "0x" + "12" * 20, "web", network="absent", state=tmp_path
            ):
                pass
        assert told.value.cause == "NetworkFileMissingError"

    anyio.run(main, backend=backend)
