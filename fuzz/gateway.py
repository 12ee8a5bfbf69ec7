"""Targets for chapters 16 and 19: names, what programs and browsers send, what services say."""

from collections.abc import Callable

import h11

from fuzz.target import Target, machine
from peerstream.identity.address import Address
from peerstream.node.gateway.connect import ConnectDialogue
from peerstream.node.gateway.errors import DestinationError, RequestError
from peerstream.node.gateway.names import Alias, EnsName, parse_destination, shown_host
from peerstream.node.gateway.requests import REQUEST_MAX, Dialogue
from peerstream.node.gateway.socks import SocksDialogue
from peerstream.node.gateway.web.confinement import confined
from peerstream.node.gateway.web.fields import path_of, plain, request_fields
from peerstream.node.gateway.web.origins import destination_of
from peerstream.node.gateway.web.refusal import PageError

HOSTS = (
    b"0x27b1fdb04752bbc536007a920d24acb045561c26.psp.alt",
    b"web.0x52908400098527886E0F7030069857D2E4169EE7.psp.alt.",
    b"alice.psp.alt",
    b"db.alice.psp.alt",
    b"ssh.alice.eth",
    "äöü.eth".encode(),
    b"127.0.0.1",
    b"[::1]",
    b"example.com",
)


def _name(data: bytes) -> None:
    host = data.decode("utf-8", "surrogateescape")
    shown = shown_host(host)
    assert shown.isascii()
    assert shown.isprintable()
    try:
        found = parse_destination(host)
    except DestinationError:
        return
    assert isinstance(found.target, Address | Alias | EnsName)
    assert found.service == found.service.lower()
    assert len(found.service) <= 63
    assert found.at_port(80).service


def _dialogue(begin: Callable[[], Dialogue]) -> Callable[[bytes], None]:
    """Whatever a program sends, in two parts: a request or a named refusal, and an answer."""

    def run(data: bytes) -> None:
        dialogue, half = begin(), len(data) // 2
        try:
            dialogue.receive(data[:half])
            if dialogue.request is None:
                dialogue.receive(data[half:])
        except RequestError as error:
            dialogue.refused(error)
            return
        request = dialogue.request
        if request is not None:
            assert 0 <= request.port <= 99_999
            assert len(request.host) <= REQUEST_MAX
            assert len(request.token) in {0, 32}
            assert dialogue.granted(0)
            assert data.endswith(dialogue.rest) or dialogue.rest in data

    return run


_HOST = HOSTS[0]
_SOCKS = b"\x05\x01\0" + b"\x05\x01\0\x03" + bytes([len(_HOST)]) + _HOST + b"\0\x50GET /"
_NUMBERS = b"\x05\x02\0\x02" + b"\x01\x04user\x02pw" + b"\x05\x03\0\x01\0\0\0\0\0\0"
_CONNECT = b"CONNECT alice.eth:80 HTTP/1.1\r\nHost: alice.eth:80\r\nX: y\r\n\r\nGET /"

_PEER = b"x-psp-peer"


def _request(data: bytes) -> None:
    """Whatever a caller sends as HTTP: refused by name, or written anew with one meaning."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    try:
        found = reader.next_event()
        if not isinstance(found, h11.Request):
            return
        target, fields = path_of(found), request_fields(found)
    except (h11.RemoteProtocolError, PageError):
        return
    names = [plain(name) for name, _ in fields]
    assert names.count(b"host") == 1
    assert not any(name.startswith(b"x-psp-") for name in names)
    assert not {b"content-length", b"transfer-encoding"} <= set(names)
    fields.append((_PEER, b"0x00"))
    written = h11.Connection(h11.CLIENT).send(
        h11.Request(method=found.method, target=target, headers=fields)
    )
    again = h11.Connection(h11.SERVER)
    again.receive_data(written or b"")
    read = again.next_event()
    assert isinstance(read, h11.Request)
    assert [value for name, value in read.headers if plain(name) == _PEER] == [b"0x00"]


def _response(data: bytes) -> None:
    """Whatever a service answers: nothing in its head makes a browser talk to others."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reader.receive_data(data)
    try:
        found = reader.next_event()
    except h11.RemoteProtocolError:
        return
    if not isinstance(found, h11.Response):
        return
    fields = confined(found, "0x00.localhost:8181")
    names = [plain(name) for name, _ in fields]
    assert not {b"alt-svc", b"link", b"refresh", b"report-to", b"nel"} & set(names)
    assert names.count(b"referrer-policy") == 1
    for name, value in fields:
        directives = [part.split() for part in value.lower().replace(b",", b";").split(b";")]
        reports = [each for each in directives if each[:1] in ([b"report-uri"], [b"report-to"])]
        assert plain(name) != b"content-security-policy" or not reports
        attributes = [part.partition(b"=")[0].strip() for part in value.lower().split(b";")[1:]]
        assert plain(name) != b"set-cookie" or b"domain" not in attributes


def _host(data: bytes) -> None:
    """Whatever stands in a browser's Host: an address or an ENS name, or a page of ours."""
    try:
        found = destination_of(data.decode("ascii", "replace").lower())
    except PageError as error:
        error.page()
        return
    assert not isinstance(found.target, Alias)
    assert found.service


_HEAD = (
    b"POST /a?b HTTP/1.1\r\nHost: 0x00.localhost\r\nX_PSP_Peer: 0xdead\r\n"
    b"Connection: X-PSP-Peer\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nLink: <x>; rel=preconnect\r\nSet-Cookie: a=b; Domain=localhost\r\n"
    b"Content-Security-Policy: img-src x; report-uri https://x\r\nContent-Length: 0\r\n\r\n"
)
_LABELS = (
    b"chat-0x27b1fdb04752bbc536007a920d24acb045561c26.localhost:8181",
    b"al--ice-eth.localhost",
    b"localhost:8181",
    b"127.0.0.1",
)

TARGETS: list[Target] = [
    machine("http-request", _request, [_HEAD, b"GET http://x/ HTTP/1.0\r\nHost: x\r\n\r\n"]),
    machine("http-response", _response, [_ANSWER]),
    machine("localhost-host", _host, _LABELS),
    Target("host-name", _name, HOSTS),
    machine("socks5", _dialogue(SocksDialogue), [_SOCKS, _NUMBERS]),
    machine("http-connect", _dialogue(ConnectDialogue), [_CONNECT, b"GET / HTTP/1.0\r\n\r\n"]),
]
