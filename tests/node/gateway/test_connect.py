"""HTTP CONNECT as programs speak it (RFC 9110 9.3.6; SPEC 16.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.gateway import errors as ge
from peerstream.node.gateway.connect import ConnectDialogue, is_http
from peerstream.node.gateway.requests import REQUEST_MAX, Command, Request

CURL = (
    b"CONNECT alice.psp.alt:80 HTTP/1.1\r\nHost: alice.psp.alt:80\r\nUser-Agent: curl/7.88.1\r\n"
    b"Proxy-Connection: Keep-Alive\r\n\r\n"
)


def refusal_of(sent):
    dialogue = ConnectDialogue()
    with pytest.raises(ge.RequestError) as refusal:
        dialogue.receive(sent)
    assert dialogue.request is None
    return refusal.value, dialogue.refused(refusal.value)


def test_curl_is_understood():
    dialogue = ConnectDialogue()
    assert dialogue.receive(CURL) == b""
    assert dialogue.request == Request(Command.CONNECT, "alice.psp.alt", 80)
    assert dialogue.granted(0).startswith(b"HTTP/1.1 200 ")
    assert dialogue.granted(0).endswith(b"\r\n\r\n")


@given(st.binary(max_size=50), st.integers(1, 200))
def test_it_does_not_matter_how_the_bytes_are_cut(early, cut):
    dialogue = ConnectDialogue()
    whole = CURL + early
    rest = b""
    for start in range(0, len(whole), cut):
        if dialogue.request is None:
            dialogue.receive(whole[start : start + cut])
        else:
            rest += whole[start : start + cut]
    assert dialogue.request is not None
    assert dialogue.rest + rest == early


def test_a_proxy_password_keeps_streams_apart():
    def token(line):
        dialogue = ConnectDialogue()
        dialogue.receive(CURL[:-2] + line + b"\r\n")
        assert "YTpi" not in repr(dialogue.request)
        return dialogue.request.token

    some = token(b"Proxy-Authorization: Basic YTpi\r\n")
    assert len(some) == 32
    assert some == token(b"proxy-authorization: Basic YTpi\r\n")
    assert some != token(b"Proxy-Authorization: Basic YTpj\r\n")
    assert token(b"") == b""


@pytest.mark.parametrize(
    ("sent", "error", "status"),
    [
        (b"GET http://a.psp.alt/ HTTP/1.1\r\nHost: a.psp.alt\r\n\r\n", ge.NotConnectError, b"405"),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9450\r\n\r\n", ge.NotConnectError, b"405"),
        (b"CONNECT a.psp.alt HTTP/1.0\r\n\r\n", ge.MalformedRequestError, b"400"),
        (b"CONNECT a.psp.alt:http HTTP/1.0\r\n\r\n", ge.MalformedRequestError, b"400"),
        (b"CONNECT a.psp.alt:-1 HTTP/1.0\r\n\r\n", ge.MalformedRequestError, b"400"),
        (b"CONNECT a.psp.alt:123456 HTTP/1.0\r\n\r\n", ge.MalformedRequestError, b"400"),
        (b"CONNECT a.psp.alt:80\r\n\r\n", ge.MalformedRequestError, b"400"),
        (b"CONNECT a b:80 HTTP/1.1\r\n\r\n", ge.MalformedRequestError, b"400"),
        (CURL[:-2] + b"X" * REQUEST_MAX, ge.LargeRequestError, b"431"),
        (b"CONNECT " + b"a" * REQUEST_MAX, ge.LargeRequestError, b"431"),
    ],
)
def test_what_is_not_taken_is_refused(sent, error, status):
    refused, answer = refusal_of(sent)
    assert isinstance(refused, error)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.startswith(type(refused).__name__.encode())


@pytest.mark.parametrize(
    "smuggled",
    [
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Host: bob.psp.alt:80\r\n",
        b"X\0: y\r\n",
        b"X : y\r\n",
        b"X: a\rb\r\n",
        b"X: \0\r\n",
        b": y\r\n",
    ],
)
def test_a_request_with_two_readings_is_refused(smuggled):
    refused, answer = refusal_of(CURL[:-2] + smuggled + b"\r\nhello")
    assert isinstance(refused, ge.MalformedRequestError)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_host_and_target_must_agree():
    sent = b"CONNECT a.psp.alt:80 HTTP/1.1\r\nHost: b.psp.alt:80\r\n\r\n"
    assert isinstance(refusal_of(sent)[0], ge.MalformedRequestError)


def test_an_answer_holds_nothing_that_a_stranger_wrote_raw():
    dialogue = ConnectDialogue()
    answer = dialogue.refused(ge.ForeignNameError("a\r\nSet-Cookie: x\x1b[2J"))
    assert answer.count(b"\r\n\r\n") == 1
    assert b"\x1b" not in answer
    assert b"\r\nSet-Cookie" not in answer
    assert b'Proxy-Status: psp; error=http_request_denied; details="ForeignNameError"' in answer


def test_first_bytes_of_http():
    assert all(is_http(method[0]) for method in (b"CONNECT", b"GET", b"POST", b"DELETE"))
    assert not any(is_http(first) for first in (4, 5, 0, 22, ord("c"), 255))
