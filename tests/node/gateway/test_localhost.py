"""Addresses in a browser: whom a Host names, who may ask, and what an answer may do."""

import errno
import socket
from contextlib import asynccontextmanager
from types import SimpleNamespace

import h11
import pytest
import trio
import trio.testing

from peerstream.node.gateway import localhost
from peerstream.node.gateway.errors import UnknownAliasError
from peerstream.node.gateway.localhost import LocalhostGateway, LocalhostSettings
from peerstream.node.gateway.names import Destination, EnsName
from peerstream.node.gateway.web.confinement import confined
from peerstream.node.gateway.web.origins import destination_of, label_of
from peerstream.node.gateway.web.refusal import PageError
from peerstream.node.ports import StreamResetError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import AddressUnknownError, CallDeniedError
from tests.node.gateway.local import PATIENCE_S, read_all
from tests.node.services.memory_streams import CALLEE, CALLER, memory_stream_pair

HOST = f"{str(CALLEE).lower()}.localhost:8181"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Network:
    """A network in which every address answers each request by the next answer."""

    def __init__(self, nursery, *answers, error=None):
        self._nursery = nursery
        self._answers = list(answers)
        self.error = error
        self.dialled = []
        self.options = []
        self.heard = b""

    async def dial(self, destination, options):
        await trio.lowlevel.checkpoint()
        self.dialled.append(destination)
        self.options.append(options)
        if self.error is not None:
            raise self.error
        ours, theirs = memory_stream_pair(service=destination.service)
        self._nursery.start_soon(self._serve, theirs)
        return ours

    async def _serve(self, stream):
        try:
            while data := await stream.receive():
                self.heard += data
                while self._answers and self.heard.count(b"\r\n\r\n") > 0:
                    self.heard = self.heard.replace(b"\r\n\r\n", b"\r\n.\r\n", 1)
                    answer = self._answers.pop(0)
                    if isinstance(answer, Status):
                        stream.reset(answer)
                        return
                    await stream.send(answer)
        except StreamResetError:
            pass


@asynccontextmanager
async def browser(*answers, error=None, **settings):
    """Open a connection of a browser; gives it and the network behind the gateway."""
    ours, theirs = trio.socket.socketpair()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            network = Network(nursery, *answers, error=error)
            gateway = LocalhostGateway(network.dial, LocalhostSettings(**settings))
            nursery.start_soon(gateway.serve, trio.SocketStream(theirs))
            async with trio.SocketStream(ours) as stream:
                yield Browser(stream), network
            nursery.cancel_scope.cancel()


class Browser:
    def __init__(self, stream):
        self._stream = stream
        self.send = stream.send_all

    async def receive(self):
        return await self._stream.receive_some()

    async def until(self, end):
        found = b""
        while not found.endswith(end):
            found += await self.receive()
        return found


async def get(*answers, host=HOST, path="/", method="GET", headers=(), **options):
    """Ask for one page; return what came back and the network."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "Connection: close"]
    async with browser(*answers, **options) as (stream, network):
        await stream.send("\r\n".join([*lines, "", ""]).encode())
        return await read_all(stream), network


def status_of(back):
    return int(back.split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("host", "target", "service"),
    [
        (HOST, CALLEE, "web"),
        (f"{str(CALLEE).lower()}.localhost", CALLEE, "web"),
        (f"chat-{str(CALLEE).lower()}.localhost:1", CALLEE, "chat"),
        (f"my--app-{str(CALLEE).lower()}.localhost", CALLEE, "my-app"),
        ("alice-eth.localhost:8181", EnsName("alice.eth"), "web"),
        ("al--ice-eth.localhost:8181", EnsName("al-ice.eth"), "web"),
        ("chat-alice-eth.localhost:8181", EnsName("alice.eth"), "chat"),
    ],
)
def test_one_label_names_an_address_and_a_service(host, target, service):
    assert destination_of(host) == Destination(target, service)


def test_labels_are_made_as_they_are_read():
    for name in (f"{str(CALLEE).lower()}.psp.alt", "al-ice.eth", "chat.alice.eth"):
        assert destination_of(f"{label_of(name)}.localhost")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8181", 404),
        ("alice.localhost:8181", 404),
        ("0x00.localhost:8181", 404),
        (f"chat.{HOST}", 421),
        (f"{str(CALLEE).lower()}.localhost.:8181", 421),
        (f"{str(CALLEE).lower()}.psp.alt", 421),
        ("127.0.0.1:8181", 421),
        ("[::1]:8181", 421),
        ("rebound.example", 421),
        ("rebound.example:8181", 421),
        (f"{str(CALLEE).lower()}.localhost.example", 421),
        (f"{str(CALLEE).lower()}.localhost:8181@example.com", 421),
        ("ålice-eth.localhost", 421),
        ("", 421),
    ],
)
async def test_every_other_host_is_refused_and_nothing_is_dialled(host, status):
    with pytest.raises(PageError) as refused:
        destination_of(host)
    assert refused.value.status == status
    back, network = await get(OK, host=host)
    assert status_of(back) in {status, 400}
    assert network.dialled == []


async def test_a_page_comes_from_its_address():
    back, network = await get(OK, path="/a?b=c", headers=["X-PSP-Peer: 0xdead", "Cookie: a=b"])
    assert status_of(back) == 200
    assert back.endswith(b"\r\n\r\nok")
    assert network.dialled == [Destination(CALLEE, "web")]
    assert network.heard.startswith(f"GET /a?b=c HTTP/1.1\r\nHost: {HOST}\r\n".encode())
    assert b"0xdead" not in network.heard
    assert b"Cookie: a=b" in network.heard
    assert len(network.options[0].isolation) == 32


async def test_one_connection_is_for_one_address():
    async with browser(OK, OK) as (stream, network):
        for path in ("/1", "/2"):
            await stream.send(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert (await stream.until(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
        assert len(network.dialled) == 1
        other = str(CALLER).lower()
        await stream.send(f"GET / HTTP/1.1\r\nHost: {other}.localhost:8181\r\n\r\n".encode())
        assert status_of(await read_all(stream)) == 421
        assert len(network.dialled) == 1


NAVIGATION = ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Sec-Fetch-Site: none", *NAVIGATION],
        ["Sec-Fetch-Site: same-origin", *NAVIGATION],
        ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", f"Origin: http://{HOST}"],
    ],
)
async def test_the_user_and_its_own_pages_may_ask(headers):
    back, network = await get(OK, headers=headers)
    assert status_of(back) == 200
    assert len(network.dialled) == 1


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"]),
        (
            "GET",
            ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
        ),
        ("GET", ["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"]),
        ("POST", ["Sec-Fetch-Site: cross-site", *NAVIGATION]),
        ("GET", ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"]),
        ("GET", ["Sec-Fetch-Site: nonsense"]),
        ("GET", ["Origin: https://evil.example"]),
        ("GET", ["Origin: null"]),
        ("POST", [f"Origin: http://{str(CALLER).lower()}.localhost:8181"]),
        ("GET", [f"Origin: http://{HOST}", "Origin: https://evil.example"]),
        ("GET", ["Origin: https://evil.example", "Connection: Upgrade", "Upgrade: websocket"]),
        ("OPTIONS", ["Origin: https://evil.example", "Access-Control-Request-Method: PUT"]),
    ],
)
async def test_no_other_page_makes_the_gateway_call(method, headers):
    back, network = await get(OK, method=method, headers=headers)
    assert status_of(back) == 403
    assert b"<a " not in back
    assert network.dialled == []


async def test_a_link_from_elsewhere_is_asked_about_first():
    headers = ["Sec-Fetch-Site: cross-site", *NAVIGATION]
    back, network = await get(OK, path="/x?%22&y='", headers=headers)
    assert status_of(back) == 403
    assert b'<a href="/x?%22&amp;y=&#x27;">' in back
    assert network.dialled == []
    for elsewhere in ("//evil.example/", "/\\evil.example/"):
        back, _ = await get(OK, path=elsewhere, headers=headers)
        assert b"<a " not in back


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (AddressUnknownError(), 502, b"AddressUnknownError"),
        (CallDeniedError(Status.NO_SERVICE), 502, b"no such service"),
        (CallDeniedError(Status.DENIED), 403, b"not let in"),
        (UnknownAliasError("x"), 502, b"psp contact list"),
        (trio.TooSlowError(), 504, b"TooSlowError"),
    ],
)
async def test_what_went_wrong_is_a_page_that_runs_nothing(error, status, words):
    back, _ = await get(error=error)
    assert status_of(back) == status
    head, _, page = back.partition(b"\r\n\r\n")
    assert words in page
    assert b"<script" not in page
    assert b"Content-Security-Policy: default-src 'none'; style-src 'sha256-" in head
    assert b"Cache-Control: no-store" in head


@pytest.mark.parametrize(
    ("status", "http", "words"),
    [
        (Status.CONNECT, 502, b"Connection refused"),
        (Status.NO_SERVICE, 502, b"no such service"),
        (Status.DENIED, 403, b"not let in"),
        (Status.BUSY, 503, b"Too many"),
    ],
)
async def test_a_stream_that_is_refused_is_a_page(status, http, words):
    back, _ = await get(status)
    assert status_of(back) == http
    assert words in back


async def test_connections_are_bounded():
    back, network = await get(OK, connections=0)
    assert status_of(back) == 503
    assert network.dialled == []


async def test_a_dial_is_bounded(autojump_clock):
    async def never(_destination, _options):
        await trio.sleep_forever()

    ours, theirs = trio.socket.socketpair()
    gateway = LocalhostGateway(never, LocalhostSettings(dial_s=5))
    async with trio.open_nursery() as nursery, trio.SocketStream(ours) as stream:
        nursery.start_soon(gateway.serve, trio.SocketStream(theirs))
        await stream.send_all(
            f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        )
        assert status_of(await read_all(Browser(stream))) == 504


async def test_who_does_not_even_ask_is_held_in_bounds(monkeypatch):
    monkeypatch.setattr(localhost, "_TOLD_MAX", 1)
    gateway = LocalhostGateway(None, LocalhostSettings(connections=1))
    pairs = [trio.socket.socketpair() for _ in range(3)]
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _, theirs in pairs:
                nursery.start_soon(gateway.serve, trio.SocketStream(theirs))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert gateway.open == 2
            nursery.cancel_scope.cancel()
    for ours, _ in pairs:
        ours.close()


class GoneSocket:
    """A socket whose program reset it: some systems take no option then (macOS: EINVAL)."""

    family = socket.AF_INET

    def __init__(self):
        self.closed = False

    def setsockopt(self, *_):
        raise OSError(errno.EINVAL, "invalid argument")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True


async def test_a_browser_that_is_gone_already_ends_nothing_else():
    gateway, gone = LocalhostGateway(None, LocalhostSettings()), GoneSocket()
    await gateway.serve(SimpleNamespace(socket=gone))
    assert (gone.closed, gateway.open) == (True, 0)


ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    b'Alt-Svc: h3="evil.example:443"\r\nLink: <https://evil.example>; rel=preconnect\r\n'
    b"Refresh: 0; url=https://evil.example\r\nNEL: {}\r\nReport-To: {}\r\n"
    b'Reporting-Endpoints: e="https://evil.example"\r\n'
    b"Content-Security-Policy-Report-Only: default-src 'none'; report-uri https://evil.example\r\n"
    b"Content-Security-Policy: img-src 'self'; report-uri https://evil.example;"
    b" report-to e, script-src 'self'; REPORT-URI https://evil.example\r\n"
    b"Referrer-Policy: unsafe-url\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
    b"Cross-Origin-Opener-Policy: unsafe-none\r\nX-DNS-Prefetch-Control: on\r\n"
    b"Set-Cookie: a=b; Domain=localhost; Path=/; HttpOnly\r\n"
    b"Set-Cookie: c=d; path=/; DOMAIN =.localhost\r\n"
    b'Speculation-Rules: "https://evil.example/rules.json"\r\n'
    b"X-Mine: 1\r\n\r\n"
)


async def test_an_answer_makes_the_browser_talk_to_nobody_else():
    back, _ = await get(ANSWER)
    head = back.partition(b"\r\n\r\n")[0]
    assert b"evil.example" not in head
    assert b"domain" not in head.lower().replace(b"x-psp", b"")
    assert b"Set-Cookie: a=b; Path=/; HttpOnly\r\n" in head
    assert b"Set-Cookie: c=d; path=/\r\n" in head
    assert b"X-Mine: 1\r\n" in head
    policies = [
        line for line in head.split(b"\r\n") if line.startswith(b"Content-Security-Policy:")
    ]
    assert policies[0] == b"Content-Security-Policy: img-src 'self', script-src 'self'"
    assert f"connect-src 'self' ws://{HOST} data: blob:".encode() in policies[1]
    for line in (
        b"Referrer-Policy: same-origin",
        b"Cross-Origin-Resource-Policy: same-origin",
        b"Cross-Origin-Opener-Policy: same-origin",
        b"X-DNS-Prefetch-Control: off",
    ):
        assert head.count(line.split(b":")[0] + b":") == 1
        assert line in head


async def test_early_hints_are_kept_back():
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: <https://evil.example>; rel=preconnect\r\n\r\n"
    back, _ = await get(hints + OK)
    assert back.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"evil.example" not in back


async def test_websocket_goes_both_ways():
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    async with browser(switch + b"hello") as (stream, network):
        lines = (
            f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Origin: http://{HOST}\r\n\r\n"
        )
        await stream.send(lines.encode() + b"first")
        assert status_of(await stream.until(b"hello")) == 101
        await stream.send(b"second")
        while not network.heard.endswith(b"firstsecond"):  # noqa: ASYNC110 - raw bytes, no event
            await trio.sleep(0.01)


def test_confinement_names_the_host_that_was_checked():
    fields = dict(confined(h11.Response(status_code=200, headers=[]), "0x1.localhost:1"))
    assert b"ws://0x1.localhost:1 " in fields[b"Content-Security-Policy"]
