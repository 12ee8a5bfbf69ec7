"""A program at the stream socket that lies, floods, stalls or goes away (SPEC 18.5)."""

import os
import socket
import struct
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peerstream.node.library.api import server as serving
from peerstream.node.library.api.frames import (
    DATA_MAX,
    JSON_MAX,
    WINDOW,
    FrameError,
    FrameReader,
    Kind,
    encode,
    encode_credit,
    encode_object,
)
from peerstream.node.library.api.server import CONNECTIONS_MAX, REQUEST_S, StreamServer
from peerstream.node.library.node import ServiceOffer
from peerstream.node.ports import StreamResetError
from peerstream.node.roles.identity import Target
from tests.node.library.api.town import two_nodes
from tests.node.roles.people import echo

HEADER = struct.Struct("!BI")


class Program:
    """The other end of one connection."""

    def __init__(self, raw):
        self.socket = trio.socket.from_stdlib_socket(raw)
        self.reader = FrameReader()

    async def send(self, data):
        view = memoryview(data)
        while view:
            view = view[await self.socket.send(view) :]

    async def frame(self):
        """The next frame, None when the connection was closed."""
        while True:
            for frame in self.reader.frames():
                return frame
            try:
                data = await self.socket.recv(65_536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.reader.feed(data)

    async def closed(self):
        while await self.frame() is not None:
            pass

    def close(self):
        self.socket.close()


class Doors:
    """A server, and a way to connect to it."""

    def __init__(self, server, nodes, nursery):
        self.server, self.nodes, self.nursery = server, nodes, nursery
        self.card = str(nodes["callee"].identity.card)
        self.programs = []

    def open(self):
        ours, theirs = socket.socketpair()
        self.nursery.start_soon(self.server.handle, trio.socket.from_stdlib_socket(theirs))
        self.programs.append(Program(ours))
        return self.programs[-1]

    async def stream(self):
        program = self.open()
        asked = {"do": "connect", "target": self.card, "service": "echo"}
        await program.send(encode_object(Kind.REQUEST, asked))
        assert (await program.frame()).kind is Kind.ANSWER
        return program

    async def still_serves(self):
        program = await self.stream()
        await program.send(encode(Kind.DATA, b"hello"))
        assert await program.frame() == (Kind.DATA, b"hello")


@asynccontextmanager
async def doors():
    """The caller's stream server; the callee serves an echo."""
    async with two_nodes() as (_world, nodes), trio.open_nursery() as nursery:
        await nodes["callee"].offer("echo", ServiceOffer(echo))
        server = StreamServer(nodes["caller"])
        opened = Doors(server, nodes, nursery)
        try:
            yield opened
        finally:
            for program in opened.programs:
                program.close()
            nursery.cancel_scope.cancel()


REQUESTS = {
    "garbage": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "oversize": HEADER.pack(Kind.REQUEST, JSON_MAX + 1),
    "huge": HEADER.pack(Kind.DATAGRAM, 0xFFFF_FFFF),
    "no json": encode(Kind.REQUEST, b"{]"),
    "a list": encode(Kind.REQUEST, b"[]"),
    "deep": encode(Kind.REQUEST, b"[" * JSON_MAX),
    "bytes first": encode(Kind.DATA, b"hello"),
}


async def test_what_is_no_request_ends_its_connection_alone(autojump_clock):
    async with doors() as opened:
        for name, sent in REQUESTS.items():
            program = opened.open()
            await program.send(sent)
            assert await program.frame() is None, name
        await opened.still_serves()


async def test_a_bug_of_ours_ends_its_connection_alone(autojump_clock, monkeypatch):
    async def trips(*_):
        raise ZeroDivisionError

    async with doors() as opened:
        program = opened.open()
        with monkeypatch.context() as changed:
            changed.setattr(serving, "connect_node", trips)
            asked = {"do": "connect", "target": opened.card, "service": "echo"}
            await program.send(encode_object(Kind.REQUEST, asked))
            assert await program.frame() is None
        await opened.still_serves()


SENSELESS = [
    {},
    {"do": "destroy"},
    {"do": "connect"},
    {"do": "connect", "target": ["0x"], "service": "echo"},
    {"do": "connect", "target": "x" * 257, "service": "echo"},
    {"do": "connect", "target": "0x12", "service": {}},
    {"do": "connect", "target": "0x12", "service": "web", "level": True},
    {"do": "connect", "target": "0x12", "service": "web", "early": "%"},
    {"do": "connect", "target": "0x12", "service": "web", "isolation": "AA" * 400},
    {"do": "listen", "service": "", "level": 2},
    {"do": "listen", "service": "x" * 65},
    {"do": "listen", "service": 7},
    {"do": "fetch", "token": "guess"},
    {"do": "fetch", "token": None},
]


async def test_requests_that_make_no_sense_are_answered_by_name(autojump_clock):
    async with doors() as opened:
        for asked in SENSELESS:
            program = opened.open()
            await program.send(encode_object(Kind.REQUEST, asked))
            frame = await program.frame()
            assert frame.kind is Kind.ERROR, asked
            told = frame.read_object()
            assert told["error"] == "BadRequestError", asked
            assert told["remedy"]
            await program.closed()


async def test_a_program_that_says_nothing_or_a_byte_at_a_time(autojump_clock):
    async with doors() as opened:
        silent, slow = opened.open(), opened.open()
        started = trio.current_time()

        async def drip():
            for byte in encode_object(Kind.REQUEST, {"do": "describe", "x": "y" * 1_000}):
                await slow.send(bytes([byte]))
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await silent.closed()
            await slow.closed()
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started < REQUEST_S + 1
        await opened.still_serves()


BREACHES = [
    encode(Kind.DATA, bytes(DATA_MAX)) * (WINDOW // DATA_MAX) * 200,
    encode_credit(1),
    encode(Kind.END) + encode(Kind.DATA, b"behind the end"),
    encode(Kind.INCOMING, b"{}"),
    encode(Kind.REQUEST, b"{}"),
    HEADER.pack(Kind.DATA, DATA_MAX + 1),
    HEADER.pack(99, 0),
]


async def test_a_stream_that_breaks_the_rules_is_dropped_and_its_peer_told(autojump_clock):
    async with doors() as opened:
        callee = opened.nodes["callee"]._service
        for frames in BREACHES:
            program = await opened.stream()
            with suppress(BrokenPipeError, ConnectionResetError):
                await program.send(frames)
            await program.closed()
            await trio.sleep(5)
            assert not any(driver.streams for driver in callee._sessions), frames[:20]
        await opened.still_serves()


async def test_a_program_that_takes_nothing_stops_its_own_stream_alone(autojump_clock):
    async with doors() as opened:
        greedy = await opened.stream()
        for _ in range(WINDOW // 10_000):
            await greedy.send(encode(Kind.DATA, bytes(10_000)))
        await trio.sleep(20)
        await opened.still_serves()


async def test_programs_that_go_away_leave_no_descriptor_and_no_stream(autojump_clock):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    async with doors() as opened:
        await opened.still_serves()
        before = descriptors()
        for patience in (0.0, 0.01, 0.1, 0.3, 1.0, 3.0):
            for asked in (
                {"do": "connect", "target": opened.card, "service": "echo"},
                {"do": "listen", "service": "gone"},
                {"do": "describe"},
            ):
                program = opened.open()
                await program.send(encode_object(Kind.REQUEST, asked))
                await trio.sleep(patience)
                program.close()
        await trio.sleep(30)
        assert descriptors() == before
        assert opened.server._connections == 1
        assert opened.nodes["caller"].services == ()


async def test_more_connections_than_there_may_be(autojump_clock, monkeypatch):
    assert CONNECTIONS_MAX < 10_000
    monkeypatch.setattr(serving, "CONNECTIONS_MAX", 4)
    async with doors() as opened:
        first = [opened.open() for _ in range(4)]
        await trio.sleep(0.1)
        await opened.open().closed()
        for program in first:
            program.close()
        await trio.sleep(0.1)
        await opened.still_serves()


async def test_streams_that_are_announced_and_never_fetched(autojump_clock):
    async with doors() as opened:
        listening = opened.open()
        await listening.send(encode_object(Kind.REQUEST, {"do": "listen", "service": "shy"}))
        assert (await listening.frame()).kind is Kind.ANSWER
        caller = opened.nodes["callee"]
        target = opened.nodes["caller"].identity.card
        stream = await caller.connect(Target.of_card(target), "shy")
        token = (await listening.frame()).read_object()["token"]
        with pytest.raises(StreamResetError, match="BUSY"):
            await stream.receive()
        late = opened.open()
        await late.send(encode_object(Kind.REQUEST, {"do": "fetch", "token": token}))
        assert (await late.frame()).kind is Kind.ERROR
        assert opened.server._arrived == {}


async def test_a_program_of_another_user_is_not_answered(autojump_clock, monkeypatch):
    async with doors() as opened:
        other = os.getuid() + 1
        monkeypatch.setattr(serving.os, "getuid", lambda: other)
        program = opened.open()
        await program.send(encode_object(Kind.REQUEST, {"do": "describe"}))
        assert await program.frame() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.lists(st.integers(1, 50), max_size=10))
def test_any_bytes_are_frames_or_an_error_by_name(data, cuts):
    whole, pieces = FrameReader(), FrameReader()

    def read(reader, chunks):
        found = []
        try:
            for chunk in chunks:
                reader.feed(chunk)
                found += reader.frames()
        except FrameError:
            found.append("error")
        return found

    chunks, rest = [], data
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    assert read(whole, [data]) == read(pieces, [*chunks, rest])
