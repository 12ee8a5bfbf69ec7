"""SOCKS5 as programs speak it, byte by byte (RFC 1928, RFC 1929; SPEC 16.3)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.gateway import errors as ge
from peerstream.node.gateway.requests import Command, Request
from peerstream.node.gateway.socks import SocksDialogue
from peerstream.node.roles.errors import DescriptorUnavailableError

OPEN = b"\x05\x01\x00"
WITH_PASSWORD = b"\x05\x02\x00\x02"


def by_name(host: bytes, port: int = 80, command: int = 1) -> bytes:
    head = bytes([5, command, 0, 3, len(host)])
    return head + host + port.to_bytes(2, "big")


def password(user: bytes, secret: bytes) -> bytes:
    return b"\x01" + bytes([len(user)]) + user + bytes([len(secret)]) + secret


def test_a_program_asks_for_a_name():
    dialogue = SocksDialogue()
    assert dialogue.receive(OPEN) == b"\x05\x00"
    assert dialogue.request is None
    assert dialogue.receive(by_name(b"alice.psp.alt", 8080)) == b""
    assert dialogue.request == Request(Command.CONNECT, "alice.psp.alt", 8080)
    assert dialogue.rest == b""
    assert dialogue.granted(0) == b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def test_user_and_password_become_a_token():
    def token(user, secret):
        dialogue = SocksDialogue()
        assert dialogue.receive(WITH_PASSWORD) == b"\x05\x02"
        assert dialogue.receive(password(user, secret)) == b"\x01\x00"
        dialogue.receive(by_name(b"a.psp.alt"))
        assert "token" not in repr(dialogue.request)
        return dialogue.request.token

    tokens = [token(b"a", b"bc"), token(b"ab", b"c"), token(b"abc", b""), token(b"", b"abc")]
    assert len({*tokens, b""}) == 5
    assert token(b"a", b"bc") == tokens[0]
    assert {len(one) for one in tokens} == {32}


@given(st.binary(max_size=30), st.binary(max_size=255), st.lists(st.integers(0, 400), max_size=4))
def test_it_does_not_matter_how_the_bytes_are_cut(early, host, cuts):
    whole = WITH_PASSWORD + password(b"user", b"pw") + by_name(host, 443) + early
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    dialogue, answers, rest = SocksDialogue(), b"", b""
    for start, end in pairwise(places):
        if dialogue.request is None:
            answers += dialogue.receive(whole[start:end])
        else:
            rest += whole[start:end]
    assert answers == b"\x05\x02\x01\x00"
    assert dialogue.request.host == host.decode("utf-8", "surrogateescape")
    assert dialogue.request.port == 443
    assert dialogue.rest + rest == early


@pytest.mark.parametrize(
    ("kind", "raw", "host"),
    [(1, bytes([127, 0, 0, 1]), "127.0.0.1"), (4, bytes(15) + b"\x01", "::1")],
)
def test_numbers_are_read_as_text(kind, raw, host):
    dialogue = SocksDialogue()
    dialogue.receive(OPEN)
    dialogue.receive(bytes([5, 1, 0, kind]) + raw + b"\x00\x50")
    assert dialogue.request == Request(Command.CONNECT, host, 80)


@pytest.mark.parametrize(
    ("sent", "error", "answer"),
    [
        (b"\x05\x01\x01", ge.NoMethodError, b"\x05\xff"),
        (b"\x05\x00", ge.NoMethodError, b"\x05\xff"),
        (b"\x04\x01\x00", ge.MalformedRequestError, b"\x05\xff"),
        (WITH_PASSWORD + b"\x05\x01a\x01b", ge.MalformedRequestError, b"\x01\x01"),
        (OPEN + b"\x04\x01\x00\x03\x01", ge.MalformedRequestError, b"\x05\x01"),
        (OPEN + b"\x05\x01\x01\x03\x01", ge.MalformedRequestError, b"\x05\x01"),
        (OPEN + b"\x05\x02\x00\x03\x01", ge.UnsupportedCommandError, b"\x05\x07"),
        (OPEN + b"\x05\xf0\x00\x03\x01", ge.UnsupportedCommandError, b"\x05\x07"),
        (OPEN + b"\x05\x01\x00\x02\x01", ge.UnsupportedAddressError, b"\x05\x08"),
    ],
)
def test_what_is_not_taken_is_refused_in_its_own_words(sent, error, answer):
    dialogue = SocksDialogue()
    with pytest.raises(error) as refusal:
        dialogue.receive(sent)
    assert dialogue.refused(refusal.value)[:2] == answer
    assert dialogue.request is None


@pytest.mark.parametrize("cut", range(20))
def test_half_a_request_is_none(cut):
    whole = OPEN + by_name(b"alice.psp.alt")
    dialogue = SocksDialogue()
    dialogue.receive(whole[: len(whole) - 1 - cut])
    assert dialogue.request is None


def test_extended_errors_are_for_who_asks():
    error = DescriptorUnavailableError(())
    for extended, code in ((False, 4), (True, 0xF0)):
        dialogue = SocksDialogue(extended_errors=extended)
        dialogue.receive(OPEN + by_name(b"a.psp.alt"))
        assert dialogue.refused(error) == bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
