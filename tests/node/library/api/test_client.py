"""Through stream sockets, under both event loops: what a program can do with a daemon."""

import hashlib
import math
import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from peerstream.node.library.api.client import Client
from peerstream.node.library.api.errors import (
    BadRequestError,
    DaemonError,
    NameNotFoundError,
    RefusedError,
    StreamBrokenError,
)
from peerstream.node.library.api.streams import DATAGRAM_MAX, PeerAttribute
from peerstream.node.protocol.wire.status import Status
from tests.node.library.api.town import PATIENCE_S

BODY = bytes(range(256)) * 1_200  # more than a window
BACKENDS = ["trio", "asyncio"]


@pytest.fixture(params=BACKENDS)
def play(request, town):
    """Run ``script(callee, caller)``, two clients, under one of the two."""

    def run(script):
        async def main():
            with anyio.fail_after(PATIENCE_S):
                async with (
                    Client(socket=town.sockets["callee"]) as callee,
                    Client(socket=town.sockets["caller"]) as caller,
                ):
                    await script(callee, caller)

        anyio.run(main, backend=request.param)

    run.town = town
    run.backend = request.param
    return run


async def echo(stream):
    async for data in stream:
        await stream.send(data)
    await stream.send_eof()


async def echo_datagrams(stream):
    while True:
        await stream.send_datagram(await stream.receive_datagram(), 30.0)


class Serving:
    """A listener with a handler, in a task group of its own, while the block runs."""

    def __init__(self, callee, handler, service="echo", **how):
        self.callee, self.handler, self.service, self.how = callee, handler, service, how

    async def __aenter__(self):
        self.listener = await self.callee.listen(self.service, **self.how)
        self.tasks = anyio.create_task_group()
        await self.tasks.__aenter__()
        self.tasks.start_soon(self.listener.serve, self.handler)
        return self.listener

    async def __aexit__(self, *error):
        self.tasks.cancel_scope.cancel()
        await self.tasks.__aexit__(*error)
        await self.listener.aclose()


def test_bytes_both_ways_and_who_is_there(play):
    async def script(callee, caller):
        seen = []

        async def noting(stream):
            seen.append(stream.extra(PeerAttribute.address))
            await echo(stream)

        async with Serving(callee, noting) as listener:
            assert listener.address == callee.address
            async with await caller.connect(play.town.cards["callee"], "echo") as stream:
                assert stream.extra(PeerAttribute.address) == callee.address
                assert stream.extra(PeerAttribute.level) == 2
                assert stream.extra(PeerAttribute.hops) == 6
                assert stream.extra(PeerAttribute.service) == "echo"
                got = hashlib.sha256()
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(send_all, stream, BODY)
                    async for data in stream:
                        got.update(data)
                assert got.digest() == hashlib.sha256(BODY).digest()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
        assert seen == [caller.address]

    play(script)


async def send_all(stream, body):
    await stream.send(body)
    await stream.send_eof()


def test_half_close_and_what_is_closed(play):
    async def script(callee, caller):
        async def answer(stream):
            asked = b"".join([data async for data in stream])
            await stream.send(asked[::-1])

        async with Serving(callee, answer):
            stream = await caller.connect(play.town.cards["callee"], "echo")
            await stream.send(b"abc")
            await stream.send_eof()
            await stream.send_eof()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.send(b"behind the end")
            assert await stream.receive(1) == b"c"
            assert await stream.receive() == b"ba"
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            with pytest.raises(ValueError, match="at least 1"):
                await stream.receive(0)
            await stream.aclose()
            await stream.aclose()
            for act in (stream.receive, stream.send_eof, stream.receive_datagram):
                with pytest.raises(anyio.ClosedResourceError):
                    await act()

    play(script)


def test_datagrams(play):
    async def script(callee, caller):
        async with Serving(callee, echo_datagrams, "dgram"):
            stream = await caller.connect(play.town.cards["callee"], "dgram")
            for body in (b"", b"small", bytes(DATAGRAM_MAX)):
                assert await stream.send_datagram(body, 30.0)
                assert await stream.receive_datagram() == body
            assert await stream.send_datagram(b"for ever", math.inf)
            assert await stream.receive_datagram() == b"for ever"
            assert not await stream.send_datagram(b"late", math.nan)
            with pytest.raises(BadRequestError) as told:
                await stream.send_datagram(bytes(DATAGRAM_MAX + 1))
            assert told.value.cause == "DatagramTooLargeError"
            stream.reset()

    play(script)


def test_a_reader_that_stops_stops_its_sender(play):
    """Backpressure goes through both sockets and the network; datagrams are not held up by it."""

    async def script(callee, caller):
        async def hold(stream):
            await stream.send_datagram(await stream.receive_datagram(), 30.0)
            await stream.receive_datagram()
            for _ in range(4):
                await stream.receive()
            await stream.send(b"went on")
            await anyio.sleep_forever()

        async with Serving(callee, hold, "hold"):
            stream = await caller.connect(play.town.cards["callee"], "hold")
            sent = 0
            with anyio.move_on_after(1):
                while True:
                    await stream.send(bytes(65_536))
                    sent += 65_536
            assert 0 < sent < 8 << 20  # two windows, the kept bytes of the session, and its window
            await stream.send_datagram(b"urgent", 30.0)
            assert await stream.receive_datagram() == b"urgent"
            await stream.send_datagram(b"go on", 30.0)
            assert await stream.receive() == b"went on"
            stream.reset()

    play(script)


def test_resets_carry_their_status_both_ways(play):
    async def script(callee, caller):
        statuses = []

        async def resetting(stream):
            if await stream.receive() == b"you":
                stream.reset(Status.HIBERNATE)
                return
            try:
                await stream.receive()
            except StreamBrokenError as error:
                statuses.append(error.status)
                raise

        async with Serving(callee, resetting, "reset"):
            stream = await caller.connect(play.town.cards["callee"], "reset")
            await expect_reset(stream, Status.HIBERNATE)
            stream = await caller.connect(play.town.cards["callee"], "reset")
            await stream.send(b"me")
            await anyio.sleep(0.2)
            stream.reset(Status.PUZZLE)
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()
            with anyio.fail_after(20):
                while not statuses:  # noqa: ASYNC110 - another process's task has no event for us
                    await anyio.sleep(0.02)
        assert statuses == [Status.PUZZLE]

    play(script)


async def expect_reset(stream, status):
    await stream.send(b"you")
    with pytest.raises(StreamBrokenError) as broken:
        await stream.receive()
    assert isinstance(broken.value, anyio.BrokenResourceError)
    assert (broken.value.status, broken.value.cause) == (status, "StreamResetError")
    assert "What was not yet received is lost" in broken.value.remedy
    with pytest.raises(StreamBrokenError):
        await stream.send(b"x")
    await stream.aclose()


def test_a_handler_that_fails_resets_its_stream_and_ends_the_group(play):
    async def script(callee, caller):
        async def failing(stream):
            await stream.receive()
            raise LookupError("a bug of the program")

        listener = await callee.listen("bug")

        async def call():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, failing)
                stream = await caller.connect(play.town.cards["callee"], "bug")
                await expect_reset(stream, Status.INTERNAL)
                await anyio.sleep_forever()

        with pytest.raises(BaseExceptionGroup) as caught:
            await call()
        assert caught.group_contains(LookupError)
        await listener.aclose()

    play(script)


def test_who_is_refused_and_how(play):
    async def script(callee, caller):
        card = play.town.cards["callee"]
        async with Serving(callee, echo, "named"), Serving(callee, echo, "open", anonymous=True):
            with pytest.raises(RefusedError) as refused:
                await caller.connect(card, "named", anonymous=True, isolation=b"new")
            assert refused.value.status is Status.AUTH_REQUIRED
            stream = await caller.connect(card, "open", anonymous=True)
            await stream.aclose()
            with pytest.raises(RefusedError) as refused:
                await caller.connect(card, "named", anonymous=True)
            assert (refused.value.cause, refused.value.status) == (
                "CallDeniedError",
                Status.AUTH_REQUIRED,
            )
            with pytest.raises(BadRequestError, match="named"):
                await callee.listen("named")
        with pytest.raises(RefusedError) as refused:
            await caller.connect(card, "named")
        assert refused.value.status is Status.NO_SERVICE

    play(script)


def test_targets_that_lead_nowhere(play):
    async def script(callee, caller):
        for target, service, error in (
            ("0x12", "web", BadRequestError),
            ("psp:garbage", "web", BadRequestError),
            ("example.com", "web", BadRequestError),
            ("alice.eth", "web", NameNotFoundError),
            (caller.address, "web", NameNotFoundError),
            ("nobody.psp.alt", "web", NameNotFoundError),
            (play.town.cards["callee"], "", BadRequestError),
            (f"web.{callee.address}.psp.alt", "ssh", BadRequestError),
        ):
            with pytest.raises(error) as told:
                await caller.connect(target, service)
            assert told.value.remedy
        for wrong in ({"level": 3}, {"early": bytes(3_073)}, {"isolation": bytes(256)}):
            with pytest.raises(BadRequestError):
                await caller.connect(play.town.cards["callee"], "web", **wrong)

    play(script)


def test_early_data_and_isolation(play):
    async def script(callee, caller):
        async with Serving(callee, echo, "early", anonymous=True, early_data=True):
            card = play.town.cards["callee"]
            before = await sessions(play.town)
            for tab in (b"one", b"two", b"two"):
                name = tab + play.backend.encode()
                stream = await caller.connect(
                    card, "early", anonymous=True, isolation=name, early=b"GET /"
                )
                assert await stream.receive() == b"GET /"
                await stream.aclose()
            after = await sessions(play.town)
            assert after - before == 2

    play(script)


def test_a_cancelled_task_leaves_nothing_behind(play):
    """Connecting, sending and receiving are cancelled: both sides' descriptors are closed."""

    async def script(callee, caller):
        async def use(act):
            async with await caller.connect(play.town.cards["callee"], "watch") as stream:
                await act(stream)

        async def send_forever(stream):
            while True:
                await stream.send(bytes(65_536))

        before = descriptors()
        async with Serving(callee, until_gone, "watch"):
            for act in (send_forever, lambda stream: stream.receive(), forever):
                with anyio.move_on_after(0.5):
                    await use(act)
            for patience in (0.0, 0.001, 0.01, 0.05):
                with anyio.move_on_after(patience):
                    await use(forever)
        with anyio.fail_after(30):
            while descriptors() > before:  # noqa: ASYNC110 - the node closes its ends by itself
                await anyio.sleep(0.02)

    play(script)


async def sessions(town):
    return await anyio.to_thread.run_sync(town.call, lambda: town.nodes["callee"]._service.sessions)


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def forever(_stream):
    await anyio.sleep_forever()


async def until_gone(stream):
    async for _ in stream:
        pass


def test_where_nobody_listens(tmp_path, play):
    async def main():
        with pytest.raises(DaemonError) as told:
            async with Client(tmp_path):
                pass
        assert "psp up" in told.value.remedy

    anyio.run(main, backend=play.backend)


def test_the_socket_is_this_user_s_alone(town):
    for path in town.sockets.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
