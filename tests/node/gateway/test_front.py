"""The front on real sockets: SOCKS5 and CONNECT on one port, and the bytes behind (SPEC 16.3)."""

import pytest
import trio

from peerstream.node.gateway.names import Alias, Destination
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import DescriptorUnavailableError
from tests.node.gateway.fronts import abort, read, read_all, start_front, was_reset
from tests.node.gateway.test_connect import CURL
from tests.node.gateway.test_socks import OPEN, WITH_PASSWORD, by_name, password

GRANTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
ASK = OPEN + by_name(b"alice.psp.alt")


async def ask(front, sent=ASK):
    stream = await front.connect()
    await stream.send_all(sent)
    assert await read(stream, 2 + len(GRANTED)) == b"\x05\x00" + GRANTED
    return stream


async def test_both_languages_on_one_port(nursery):
    front = await start_front(nursery)
    async with await ask(front) as socks:
        await socks.send_all(b"hello")
        assert await read(socks, 5) == b"hello"
    async with await front.connect() as http:
        await http.send_all(CURL)
        assert (await read(http, 26)).startswith(b"HTTP/1.1 200 ")
        await http.send_all(b"hello")
        assert await read(http, 5) == b"hello"
    assert [destination for destination, _ in front.node.dialled] == [
        Destination(Alias("alice"), "web")
    ] * 2


async def test_what_is_sent_before_the_answer_arrives(nursery):
    front = await start_front(nursery)
    async with await front.connect() as stream:
        await stream.send_all(ASK + b"early")
        await stream.send_eof()
        assert await read_all(stream) == b"\x05\x00" + GRANTED + b"early"


async def test_a_half_that_ended_leaves_the_other(nursery):
    done = trio.Event()

    async def count(stream):
        size = 0
        while data := await stream.receive():
            size += len(data)
        await done.wait()
        await stream.send(str(size).encode())
        await stream.send_end()

    front = await start_front(nursery, count)
    async with await ask(front) as stream:
        await stream.send_all(bytes(300_000))
        await stream.send_eof()
        done.set()
        assert await read_all(stream) == b"300000"


async def test_the_callee_may_end_first(nursery):
    received = []

    async def greet(stream):
        await stream.send(b"bye")
        await stream.send_end()
        while data := await stream.receive():
            received.append(data)

    front = await start_front(nursery, greet)
    async with await ask(front) as stream:
        assert await read_all(stream) == b"bye"
        await stream.send_all(b"still here")
        await stream.send_eof()
    while not front.node.callers[0].closed:
        await trio.lowlevel.checkpoint()
    assert b"".join(received) == b"still here"


async def test_a_reset_stream_resets_the_connection(nursery):
    async def give_up(stream):
        await stream.send(b"x")
        await stream.receive()
        stream.reset(Status.INTERNAL)

    front = await start_front(nursery, give_up)
    async with await ask(front) as stream:
        assert await read(stream, 1) == b"x"
        await stream.send_all(b"y")
        assert await was_reset(stream)


async def test_a_reset_connection_resets_the_stream(nursery):
    found = trio.Event()

    async def wait(stream):
        with pytest.raises(StreamResetError):
            await stream.receive()
        found.set()

    front = await start_front(nursery, wait)
    stream = await ask(front)
    abort(stream)
    await found.wait()


async def test_a_program_that_does_not_read_holds_the_callee_up(nursery):
    sent = 0

    async def pour(stream):
        nonlocal sent
        while True:
            await stream.send(bytes(65_536))
            sent += 65_536

    front = await start_front(nursery, pour, capacity=65_536)
    async with await ask(front):
        before = -1
        while sent != before:
            before = sent
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert 0 < sent < 32 << 20  # what the kernel buffers on loopback, and no more


async def test_megabytes_both_ways_arrive_as_they_were(nursery):
    data = bytes(range(256)) * 8_192 * 2
    front = await start_front(nursery, capacity=100_000)
    async with await ask(front) as stream, trio.open_nursery() as inner:

        async def send():
            await stream.send_all(data)
            await stream.send_eof()

        inner.start_soon(send)
        assert await read_all(stream) == data


async def test_user_and_password_keep_streams_apart(nursery):
    front = await start_front(nursery, isolation=b"port 1")
    other = await start_front(nursery, isolation=b"port 2")
    users = [
        WITH_PASSWORD + password(user, b"x") + by_name(b"a.psp.alt") for user in (b"u", b"v", b"u")
    ]
    for one, sent in [(front, ASK), (other, ASK), *((front, sent) for sent in users)]:
        async with await one.connect() as stream:
            await stream.send_all(sent)
            await stream.send_eof()
            await read_all(stream)
    first, same = [options.isolation for _, options in front.node.dialled][1::2]
    tokens = {options.isolation for _, options in front.node.dialled + other.node.dialled}
    assert first == same
    assert len(tokens) == 4


async def test_the_settings_of_a_front_are_those_of_its_dials(nursery):
    front = await start_front(nursery, level=1, anonymous=True)
    async with await ask(front):
        pass
    [(_, options)] = front.node.dialled
    assert (options.level, options.anonymous) == (1, True)


@pytest.mark.parametrize(
    ("host", "plain", "extended"),
    [
        (b"example.com", 2, 2),
        (b"127.0.0.1", 2, 2),
        (b"localhost", 2, 2),
        (b"a_b.psp.alt", 4, 0xF6),
        (b"\xff\xfe.psp.alt", 4, 0xF6),
        (b"0x0000000000000000000000000000000000000001.psp.alt", 4, 0xF0),
    ],
)
async def test_refusals(nursery, host, plain, extended):
    for asked, code in ((False, plain), (True, extended)):
        front = await start_front(nursery, extended_errors=asked)
        front.node.error = DescriptorUnavailableError(())
        async with await front.connect() as stream:
            await stream.send_all(OPEN + by_name(host))
            answer = await read_all(stream)
            assert answer[2:4] == bytes([5, code])
        async with await front.connect() as stream:
            await stream.send_all(b"CONNECT " + host + b":80 HTTP/1.0\r\n\r\n")
            assert not (await read_all(stream)).startswith(b"HTTP/1.1 2")
        if plain == 2 or code == 0xF6:
            assert not front.node.dialled


async def test_numbers_are_refused_whatever_they_name(nursery):
    front = await start_front(nursery)
    for kind, raw in ((1, bytes([127, 0, 0, 1])), (4, bytes(15) + b"\x01")):
        async with await front.connect() as stream:
            await stream.send_all(OPEN + bytes([5, 1, 0, kind]) + raw + b"\0\x50")
            assert (await read_all(stream))[2:4] == b"\x05\x02"
    assert not front.node.dialled


async def test_a_service_that_is_not_there_is_a_refused_connection(nursery):
    front = await start_front(nursery)
    front.node.refusal = Status.NO_SERVICE
    async with await front.connect() as stream:
        await stream.send_all(ASK)
        assert (await read_all(stream))[2:4] == b"\x05\x05"


async def test_a_dial_that_takes_too_long_is_told(nursery, autojump_clock):
    front = await start_front(nursery, dial_s=60)
    front.node.silent = True
    async with await front.connect() as stream:
        await stream.send_all(ASK)
        assert (await read_all(stream))[2:4] == b"\x05\x06"


async def test_a_bug_ends_one_connection_and_not_the_front(nursery):
    front = await start_front(nursery)
    front.node.error = KeyError("bug")
    async with await front.connect() as stream:
        await stream.send_all(ASK)
        assert await was_reset(stream)
    front.node.error = None
    async with await ask(front) as stream:
        await stream.send_all(b"z")
        assert await read(stream, 1) == b"z"


async def test_further_streams_are_connected_at_once_until_one_breaks(nursery):
    front = await start_front(nursery)
    async with await ask(front) as stream:
        await stream.send_eof()
        assert await read_all(stream) == b""
    front.node.refusal = Status.NO_SERVICE
    async with await ask(front) as stream:
        assert await was_reset(stream)
    async with await front.connect() as stream:
        await stream.send_all(ASK)
        assert (await read_all(stream))[2:4] == b"\x05\x05"


async def test_another_service_is_waited_for(nursery):
    front = await start_front(nursery)
    async with await ask(front) as stream:
        await stream.send_eof()
        assert await read_all(stream) == b""
    front.node.refusal = Status.NO_SERVICE
    async with await front.connect() as stream:
        await stream.send_all(OPEN + by_name(b"files.alice.psp.alt"))
        assert (await read_all(stream))[2:4] == b"\x05\x05"
