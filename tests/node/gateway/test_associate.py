"""UDP ASSOCIATE: datagrams to names of the network, and to nothing else (SPEC 16.6)."""

import socket
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from peerstream.node.gateway.associate import parse_datagram
from peerstream.node.gateway.flows import FLOWS_MAX
from peerstream.node.gateway.names import Alias, Destination
from peerstream.node.ports import StreamError
from tests.node.gateway.fronts import abort, read, start_front
from tests.node.gateway.test_socks import OPEN


def datagram(host, data, port=53, fragment=0, kind=3):
    head = bytes([0, 0, fragment, kind, len(host)])
    return head + host + port.to_bytes(2, "big") + data


async def echo_datagrams(stream):
    with suppress(StreamError):
        while (data := await stream.receive_datagram()) is not None:
            await stream.send_datagram(data)


class Program:
    """A program with an association: its connection, its port, and where to send."""

    def __init__(self, connection, local):
        self.connection, self.local = connection, local
        self.relay = None

    async def ask(self, port=0):
        where = bytes(4) + port.to_bytes(2, "big")
        await self.connection.send_all(OPEN + bytes([5, 3, 0, 1]) + where)
        answer = await read(self.connection, 12)
        assert answer[:10] == b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01"
        self.relay = ("127.0.0.1", int.from_bytes(answer[10:], "big"))

    async def send(self, data):
        await self.local.sendto(data, self.relay)

    async def receive(self):
        with trio.fail_after(20):
            return await self.local.recv(65_535)


@asynccontextmanager
async def started(front, *, named=False):
    """A program that asked; `named`: for the port that it will send from."""
    with trio.socket.socket(type=socket.SOCK_DGRAM) as local:
        await local.bind(("127.0.0.1", 0))
        async with await front.connect() as connection:
            program = Program(connection, local)
            await program.ask(local.getsockname()[1] if named else 0)
            yield program


async def test_a_datagram_goes_to_a_name_and_its_answer_comes_from_there(nursery):
    front = await start_front(nursery, echo_datagrams)
    async with started(front) as program:
        for host in (b"alice.psp.alt", b"dns.bob.psp.alt"):
            await program.send(datagram(host, b"hello"))
            assert await program.receive() == datagram(host, b"hello")
        assert [destination for destination, _ in front.node.dialled] == [
            Destination(Alias("alice"), "53"),
            Destination(Alias("bob"), "dns"),
        ]


async def test_the_connection_is_the_life_of_the_association(nursery):
    front = await start_front(nursery, echo_datagrams)
    async with started(front) as program:
        await program.send(datagram(b"alice.psp.alt", b"x"))
        await program.receive()
        await program.connection.aclose()
        with trio.fail_after(20):
            while not front.node.callers[0].closed:
                await trio.testing.wait_all_tasks_blocked(0.01)
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.connect(program.relay)
            probe.send(b"x")
            with pytest.raises(ConnectionRefusedError):  # nobody has that port any more
                probe.send(b"x")


async def test_a_connection_that_is_reset_is_no_bug(nursery):
    front = await start_front(nursery, echo_datagrams)
    with capture_logs() as lines:
        async with started(front) as program:
            await program.send(datagram(b"alice.psp.alt", b"x"))
            await program.receive()
            abort(program.connection)
            with trio.fail_after(20):
                while not front.node.callers[0].closed:
                    await trio.testing.wait_all_tasks_blocked(0.01)
    assert [line["event"] for line in lines if line["log_level"] == "error"] == []


@pytest.mark.parametrize("named", [False, True])
async def test_another_program_is_not_heard(nursery, named):
    front = await start_front(nursery, echo_datagrams)
    async with started(front, named=named) as program:
        if not named:
            await program.send(datagram(b"alice.psp.alt", b"first"))
            await program.receive()
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.sendto(datagram(b"mallory.psp.alt", b"x"), program.relay)
        await program.send(datagram(b"alice.psp.alt", b"second"))
        assert (await program.receive()).endswith(b"second")
    assert {destination.target for destination, _ in front.node.dialled} == {Alias("alice")}


@pytest.mark.parametrize(
    "lost",
    [
        b"",
        b"\0\0\0\3",
        datagram(b"alice.psp.alt", b"x", fragment=1),
        datagram(b"alice.psp.alt", b"x", fragment=0x80),
        datagram(b"alice.psp.alt", b"x", port=0),
        datagram(b"example.com", b"x"),
        datagram(b"127.0.0.1", b"x"),
        bytes([0, 0, 0, 1, 127, 0, 0, 1, 0, 53]) + b"x",
        bytes([0, 0, 0, 4]) + bytes(16) + b"\0\x35x",
        datagram(b"alice.psp.alt", b"")[:-1],
        b"\1" + datagram(b"alice.psp.alt", b"x")[1:],
    ],
)
def test_what_leads_nowhere_is_lost(lost):
    assert parse_datagram(lost) is None


@given(st.binary(max_size=600))
def test_any_datagram_is_read_or_lost(data):
    found = parse_datagram(data)
    if found is not None:
        place, inside = found
        assert place.header() + inside == data
        assert place.destination.service


async def test_large_datagrams_are_carried_and_too_large_ones_are_lost(nursery):
    async def answer(stream):
        assert len(await stream.receive_datagram()) == 65_000
        await stream.send_datagram(bytes(70_000))
        await stream.send_datagram(bytes(65_000))

    front = await start_front(nursery, answer)
    async with started(front) as program:
        await program.send(datagram(b"alice.psp.alt", bytes(65_000)))
        assert await program.receive() == datagram(b"alice.psp.alt", bytes(65_000))


async def test_many_destinations_end_the_oldest(nursery):
    front = await start_front(nursery, echo_datagrams)
    async with started(front) as program:
        for number in range(FLOWS_MAX + 3):
            await program.send(datagram(f"a{number}.psp.alt".encode(), b"x"))
            await program.receive()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert [stream.closed for stream in front.node.callers] == [True] * 3 + [False] * FLOWS_MAX


async def test_a_flow_that_rests_ends_and_begins_anew(nursery, autojump_clock):
    front = await start_front(nursery, echo_datagrams)
    async with started(front) as program:
        for count in (1, 2):
            await program.send(datagram(b"alice.psp.alt", b"x"))
            await program.local.recv(100)
            assert len(front.node.dialled) == count
            await trio.sleep(200)
            assert front.node.callers[-1].closed
