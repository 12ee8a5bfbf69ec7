"""HTTP to an exposed service: who calls is said by us alone, and messages have one meaning."""

import h11
import pytest
import trio

from peerstream.node.gateway.web import exchange
from peerstream.node.ports import StreamResetError
from tests.node.gateway.local import Lines, called, exposed, program, read_all
from tests.node.services.memory_streams import CALLER

HOST = b"Host: 0x1.localhost:8181\r\n"
PEER = str(CALLER).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Site:
    """A local program that keeps what it was sent and answers each request by the next answer."""

    def __init__(self, *answers):
        self.heard = b""
        self.answers = list(answers)
        self.connections = 0

    async def serve(self, local):
        self.connections += 1
        async with local:
            async for data in local:
                self.heard += data
                while self.answers and self.heard.count(b"\r\n\r\n") > self.answered:
                    self.answered += 1
                    await local.send_all(self.answers.pop(0))

    answered = 0


async def ask(raw, *answers, caller=CALLER, log=None, **table):
    """Send bytes of a caller; return what the site heard and what came back."""
    site = Site(*answers)
    async with program(site.serve) as port:
        service = exposed(port, http=True, log=log, **table)
        async with called(service, caller=caller) as (ours, _):
            await ours.send(raw)
            await ours.send_end()
            back = await read_all(ours)
    return site.heard, back


def fields(heard):
    """Return the header fields of the first request heard, as a CGI program would name them."""
    lines = heard.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    pairs = [line.split(b": ", 1) for line in lines]
    return [(name.upper().replace(b"-", b"_"), value) for name, value in pairs]


async def test_the_service_learns_who_calls():
    heard, back = await ask(b"GET /a?b=c HTTP/1.1\r\n" + HOST + b"\r\n", OK)
    assert heard.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 0x1.localhost:8181\r\n")
    assert fields(heard)[-2:] == [(b"X_PSP_PEER", PEER), (b"X_PSP_LEVEL", b"anonymous")]
    assert back.endswith(b"\r\n\r\nok")


async def test_an_anonymous_caller_has_no_address():
    raw = b"GET / HTTP/1.1\r\n" + HOST + b"X-PSP-Peer: " + PEER + b"\r\n\r\n"
    heard, _ = await ask(raw, OK, caller=None, allow="anyone")
    assert PEER not in heard
    assert (b"X_PSP_LEVEL", b"anonymous") in fields(heard)


@pytest.mark.parametrize(
    "name",
    [
        b"X-PSP-Peer",
        b"x-psp-peer",
        b"X_PSP_Peer",
        b"X-PSP_Peer",
        b"X.PSP.Peer",
        b"X!PSP~Peer",
        b"X-PSP-Level",
        b"X-PSP-Anything",
        b"Forwarded",
        b"X-Forwarded-For",
        b"X_Forwarded_For",
        b"X-Forwarded-User",
        b"X-Real-IP",
        b"True-Client-IP",
        b"Client-IP",
        b"CF-Connecting-IP",
        b"Remote-User",
        b"X-Remote-User",
        b"Proxy",
        b"Proxy-Authorization",
        b"Via",
    ],
)
async def test_nobody_else_says_who_calls(name):
    raw = b"GET / HTTP/1.1\r\n" + HOST + name + b": 0xdead\r\n\r\n"
    heard, back = await ask(raw, OK)
    assert b"0xdead" not in heard
    assert [value for key, value in fields(heard) if key == b"X_PSP_PEER"] == [PEER]
    assert back.startswith(b"HTTP/1.1 200 ")


async def test_a_folded_or_repeated_field_does_not_say_it_either():
    raw = b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n X-PSP-Peer: 0xdead\r\n"
    heard, _ = await ask(raw + b"X-PSP-Peer: 0xdead\r\nX-PSP-Peer: 0xbeef\r\n\r\n", OK)
    assert [value for key, value in fields(heard) if key == b"X_PSP_PEER"] == [PEER]
    assert (b"A", b"b X-PSP-Peer: 0xdead") in fields(heard)  # one value of one field


async def test_connection_cannot_have_our_fields_or_the_framing_taken_out():
    raw = (
        b"POST / HTTP/1.1\r\n" + HOST + b"Connection: X-PSP-Peer, Content-Length, Host, X-Mine\r\n"
        b"X-Mine: 1\r\nContent-Length: 2\r\n\r\nhi"
    )
    heard, _ = await ask(raw, OK)
    found = dict(fields(heard))
    assert found[b"X_PSP_PEER"] == PEER
    assert found[b"CONTENT_LENGTH"] == b"2"
    assert b"CONNECTION" not in found
    assert b"X_MINE" not in found


async def test_a_trailer_does_not_say_it():
    raw = (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTrailer: X-PSP-Peer\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-PSP-Peer: 0xdead\r\n\r\n"
    )
    heard, _ = await ask(raw, OK)
    assert b"0xdead" not in heard
    assert heard.endswith(b"2\r\nhi\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", 400),
        (b"Content-Length: 2, 3\r\n", 400),
        (b"Content-Length: +2\r\n", 400),
        (b"Content-Length: 0x2\r\n", 400),
        (b"Content_Length: 2\r\n", 400),
        (b"Transfer-Encoding: chunked, identity\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 400),
        (b"Transfer-Encoding: xchunked\r\n", 400),
        (b"Transfer_Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Host: other\r\n", 400),
        (b"Ho st: other\r\n", 400),
        (b"X: a\rb\r\n", 400),
        (b"X: a\0b\r\n", 400),
        (b"A: b\r\n" * 200, 431),
        (b"X: " + b"a" * 70_000 + b"\r\n", 431),
    ],
)
async def test_what_can_be_read_in_two_ways_reaches_no_service(head, status):
    raw = b"POST / HTTP/1.1\r\n" + HOST + head + b"\r\n" + b"GET /smuggled HTTP/1.1\r\n\r\n"
    heard, back = await ask(raw, OK, OK)
    assert heard == b""
    assert back.startswith(b"HTTP/1.1 %d " % status)
    assert back.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1", 405),
        (b"GET http://example.com/ HTTP/1.1", 421),
        (b"GET http://0x1.localhost:8181@example.com/ HTTP/1.1", 421),
        (b"GET ftp://0x1.localhost:8181/ HTTP/1.1", 421),
        (b"GET example.com/ HTTP/1.1", 421),
        (b"GET * HTTP/1.1", 421),
        (b"GET / HTTP/2.0", 505),
        (b"GET /a b HTTP/1.1", 400),
        (b"PRI * HTTP/2.0", 505),
        (b"nonsense", 400),
    ],
)
async def test_other_places_and_protocols_are_refused(line, status):
    heard, back = await ask(line + b"\r\n" + HOST + b"\r\n", OK)
    assert heard == b""
    assert back.startswith(b"HTTP/1.1 %d " % status)
    assert b"<script" not in back


async def test_its_own_place_may_be_named_in_full():
    heard, _ = await ask(b"GET http://0X1.localhost:8181/p?q HTTP/1.1\r\n" + HOST + b"\r\n", OK)
    assert heard.startswith(b"GET /p?q HTTP/1.1\r\n")


async def test_http_1_0_is_answered_and_ends():
    heard, back = await ask(b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", OK)
    assert heard.startswith(b"GET / HTTP/1.1\r\n")
    assert b"connection: close" in back.lower()
    heard, back = await ask(b"GET / HTTP/1.0\r\n\r\n", OK)
    assert heard == b""
    assert back.startswith(b"HTTP/1.1 400 ")


async def test_requests_follow_each_other_on_one_connection():
    log = Lines()
    raw = b"GET /%d?secret HTTP/1.1\r\n" + HOST + b"\r\n"
    heard, back = await ask(raw % 1 + raw % 2 + raw % 3, OK, OK, OK, log=log)
    assert heard.count(b"X-PSP-Peer: " + PEER) == 3
    assert back.count(b"200 OK") == 3
    assert [(line["method"], line["path"], line["status"]) for line in log.lines] == [
        ("GET", f"/{number}", 200) for number in (1, 2, 3)
    ]
    assert {line["caller"] for line in log.lines} == {str(CALLER)}


async def mirror(local):
    """Send a chunked body back, each piece at once."""
    async with local:
        connection = h11.Connection(h11.SERVER)
        while (event := connection.next_event()) is not None:
            if event is h11.NEED_DATA:
                connection.receive_data(await local.receive_some())
            elif isinstance(event, h11.Request):
                await local.send_all(connection.send(h11.Response(status_code=200, headers=[])))
            else:
                await local.send_all(connection.send(event))
            if isinstance(event, h11.EndOfMessage):
                return


async def body_of(client, stream, size):
    """Return at least so many bytes of the answer, fewer at its end."""
    got = b""
    while len(got) < size:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(await stream.receive())
        elif isinstance(event, h11.Data):
            got += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            break
    return got


async def test_a_body_streams_both_ways_at_once():
    client = h11.Connection(h11.CLIENT)
    async with program(mirror) as port, called(exposed(port, http=True)) as (ours, _):
        fields = [("Host", "x"), ("Transfer-Encoding", "chunked")]
        await ours.send(client.send(h11.Request(method="POST", target="/", headers=fields)))
        for number in range(20):
            piece = bytes([number]) * 40_000
            await ours.send(client.send(h11.Data(piece)))
            assert await body_of(client, ours, len(piece)) == piece
        await ours.send(client.send(h11.EndOfMessage()))
        assert await body_of(client, ours, 1) == b""


async def test_a_program_that_ends_its_connection_ends_the_callers():
    gone = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end"

    async def once(local):
        async with local:
            await local.receive_some()
            await local.send_all(gone)

    async with program(once) as port, called(exposed(port, http=True)) as (ours, _):
        await ours.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        back = await read_all(ours)
    assert b"Connection: close\r\n" in back
    assert b"until the end" in back


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nX"])
async def test_a_program_that_speaks_something_else_is_named(answer):
    async def talk(local):
        async with local:
            await local.receive_some()
            await local.send_all(answer)

    async with program(talk) as port, called(exposed(port, http=True)) as (ours, _):
        await ours.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        back = await read_all(ours)
    assert back.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"MessageError" in back


async def test_an_answer_that_breaks_off_breaks_off():
    async def half(local):
        async with local:
            await local.receive_some()
            await local.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    log = Lines()
    async with program(half) as port:
        service = exposed(port, http=True, log=log)
        async with called(service) as (ours, _):
            await ours.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            with pytest.raises(StreamResetError):
                await read_all(ours)
    assert [(line["status"], line["outcome"]) for line in log.lines] == [(200, "reset")]


async def test_an_answer_before_the_body_was_read():
    async def early(local):
        async with local:
            await local.receive_some()
            await local.send_all(
                b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )

    async with program(early) as port, called(exposed(port, http=True)) as (ours, _):
        head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
        await ours.send(head + b"a" * 100_000)
        await ours.send(b"a" * 900_000)
        back = await read_all(ours)
    assert back.startswith(b"HTTP/1.1 413 ")


async def test_expect_100_is_passed_on():
    async def careful(local):
        async with local:
            heard = await local.receive_some()
            assert b"100-continue" in heard
            await local.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await local.receive_some() == b"hi"
            await local.send_all(OK)
            await local.receive_some()

    async with program(careful) as port, called(exposed(port, http=True)) as (ours, _):
        head = HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        await ours.send(b"PUT / HTTP/1.1\r\n" + head)
        assert (await ours.receive()).startswith(b"HTTP/1.1 100 ")
        await ours.send(b"hi")
        assert (await ours.receive()).startswith(b"HTTP/1.1 200 ")


UPGRADE = HOST + b"Connection: keep-alive, Upgrade\r\nUpgrade: %s\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def test_websocket_is_raw_behind_101():
    async def socket(local):
        async with local:
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += await local.receive_some()
            assert b"Upgrade: websocket" in heard
            assert PEER in heard
            await local.send_all(SWITCH + b"early")
            async for data in local:
                await local.send_all(data.upper())

    async with program(socket) as port, called(exposed(port, http=True)) as (ours, _):
        await ours.send(b"GET /ws HTTP/1.1\r\n" + UPGRADE % b"websocket" + b"first")
        back = b""
        while not back.endswith(b"FIRST"):
            back += await ours.receive()
        assert back.startswith(b"HTTP/1.1 101 ")
        assert back.endswith(b"\r\n\r\nearlyFIRST")
        await ours.send(b"X-PSP-Peer: x")
        assert await ours.receive() == b"X-PSP-PEER: X"


async def test_no_other_protocol_is_changed_to():
    """HTTP/2 behind an upgrade would reach the service unread, with any header."""
    raw = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\n"
    heard, back = await ask(raw + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", OK)
    found = dict(fields(heard))
    assert {b"UPGRADE", b"CONNECTION", b"HTTP2_SETTINGS"}.isdisjoint(found)
    assert back.startswith(b"HTTP/1.1 200 ")


async def test_a_101_that_nobody_asked_for_changes_nothing():
    heard, back = await ask(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", SWITCH + b"raw")
    assert heard.startswith(b"GET / ")
    assert back.startswith(b"HTTP/1.1 502 ")


async def test_time_is_bounded(autojump_clock):
    site = Site()
    for sent, seconds in ((b"", exchange.IDLE_S), (b"GET / HTTP/1.1\r\nX: ", exchange.HEAD_S)):
        async with program(site.serve) as port:
            service = exposed(port, http=True)
            async with called(service, patience_s=1_000) as (ours, _):
                began = trio.current_time()
                await ours.send(sent)
                back = await read_all(ours)
        assert trio.current_time() - began == pytest.approx(seconds, abs=5)
        assert back.startswith(b"HTTP/1.1 408 ") if sent else back == b""


async def test_an_idle_program_that_goes_takes_the_caller_along():
    async def once(local):
        async with local:
            await local.receive_some()
            await local.send_all(OK)

    async with program(once) as port, called(exposed(port, http=True)) as (ours, _):
        await ours.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await read_all(ours)).endswith(b"ok")
