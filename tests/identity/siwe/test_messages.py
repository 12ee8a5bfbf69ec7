"""Reading and writing: one spelling each way, and named errors for whatever a stranger sends."""

import contextlib
import dataclasses
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.siwe import (
    MESSAGE_MAXIMUM,
    SiweMessage,
    errors,
    parse,
    read_time,
    write_time,
)
from tests.identity.siwe.messages import ACCOUNT, message, vectors

STALL = 2.0  # seconds for all inputs of one kind: 4 KiB take far below 2 ms each
TEXTS = [case["message"] for case in vectors("parsing_positive").values()]
UNRESERVED = string.ascii_letters + string.digits + "-._~"

hosts = st.from_regex(
    r"[a-z0-9][a-z0-9-]{0,10}(\.[a-z0-9]{1,8}){0,3}(:[0-9]{1,5})?", fullmatch=True
)
# Without an authority a path does not begin with two slashes (RFC 3986, 3.3).
uris = st.from_regex(r"[a-z][a-z0-9+.-]{0,6}:(//[a-z0-9.]{1,12}(/[a-zA-Z0-9@:._~-]{0,8}){0,3}"
                     r"|(/[a-zA-Z0-9@:._~-]{1,8}){0,3})"
                     r"(\?[a-z=&/]{0,9})?(#[a-z?/]{0,9})?", fullmatch=True)  # fmt: skip
times = st.datetimes().map(lambda moment: f"{moment:%H:%M:%S}").map("2026-02-28T{}+05:30".format)
messages = st.builds(
    SiweMessage,
    scheme=st.none() | st.sampled_from(["https", "http", "a+b-c.d"]),
    domain=hosts,
    address=st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    statement=st.none() | st.text(UNRESERVED + ":/?#[]@!$&'()*+,;= ", max_size=60),
    uri=uris,
    chain_id=st.integers(0, 2**256 - 1),
    nonce=st.text(string.ascii_letters + string.digits, min_size=8, max_size=40),
    issued_at=times,
    expiration_time=st.none() | times,
    not_before=st.none() | times,
    request_id=st.none() | st.text(UNRESERVED + "!$&'()*+,;=:@", max_size=20),
    resources=st.none() | st.lists(uris, max_size=4).map(tuple),
)


@given(messages)
def test_every_message_is_read_back_from_its_text(built):
    assert parse(str(built)) == built


@given(st.sampled_from(TEXTS), st.data())
def test_a_changed_text_is_another_message_or_refused_by_name(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(["", "\n", "\n\n", " ", "%", "%zz", "é", "\r", "\0", "@"])
        )
        text = text[:place] + piece + text[place + data.draw(st.integers(0, 3)) :]
    try:
        read = parse(text)
    except errors.SiweFormatError:
        return
    assert str(read) == text


@given(st.text(max_size=200))
def test_any_text_is_refused_by_name(text):
    with pytest.raises(errors.SiweFormatError):
        parse(text)


names = [
    "domain",
    "address",
    "uri",
    "version",
    "chainId",
    "nonce",
    "issuedAt",
    "resources",
    "statement",
    "other",
]
junk = st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.booleans()


@given(st.dictionaries(st.sampled_from(names), junk))
def test_any_fields_are_refused_by_name(values):
    with pytest.raises(errors.SiweFormatError):
        SiweMessage.from_fields(values)


@pytest.mark.parametrize("resources", [1, True, 1.5, {"https://a": 1}, "https://a", [1], [None]])
def test_resources_of_another_type_are_refused_by_name(resources):
    values = dict.fromkeys(names[:4] + names[5:7], "0")
    with pytest.raises(errors.LayoutError, match="another type"):
        SiweMessage.from_fields({**values, "chainId": 1, "resources": resources})


def long(fill):
    """A message whose part has as many repetitions as fit."""
    base = str(message(uri="https://a"))
    return [
        base.replace("https://a", f"https://{fill * 2_000}"[:3_700]),
        base.replace("https://a", f"https://a/{fill * 2_000}"[:3_700]),
        base.replace("https://a", f"https://a?{fill * 2_000}"[:3_700]),
        base.replace("app.example", (fill * 2_000)[:3_700]),
        base.replace("Sign in.", (fill * 2_000)[:3_700]),
        base.replace("12345678abcd", (fill * 2_000)[:3_700]),
        base.replace("2027-01-15T08:00:00Z", f"2027-01-15T08:00:00.{fill * 2_000}"[:3_700]),
        base + "\nResources:" + ("\n- " + fill) * 600,
    ]


@pytest.mark.parametrize(
    "fill", ["a", "%", "%2", "%20", "/", "@", ":", "[", "]", "9", "a:", "%2a", ".", "-"]
)
def test_a_hostile_text_stalls_nobody(fill):
    started = time.perf_counter()
    for text in long(fill):
        assert len(text) <= MESSAGE_MAXIMUM
        with contextlib.suppress(errors.SiweFormatError):
            parse(text)
    assert time.perf_counter() - started < STALL


def test_length_is_bounded_before_anything_else_and_when_one_is_built():
    with pytest.raises(errors.MessageTooLongError):
        parse("\n" * (MESSAGE_MAXIMUM + 1))
    with pytest.raises(errors.MessageTooLongError):
        message(statement="a" * MESSAGE_MAXIMUM)


@pytest.mark.parametrize(
    "change",
    [
        {"domain": "bücher.example"},
        {"domain": ""},
        {"domain": ":80"},
        {"domain": "user@"},
        {"domain": "a@b@c"},
        {"domain": "app.example/path"},
        {"domain": "app.example:8x"},
        {"domain": "[::1"},
        {"domain": "[::1]x"},
        {"domain": "[1.2.3.4]"},
        {"domain": "[fe80::1%eth0]"},
        {"domain": "a b"},
    ],
)
def test_domains_that_are_none(change):
    with pytest.raises(errors.DomainError):
        message(**change)


@pytest.mark.parametrize(
    "domain", ["xn--bcher-kva.example", "[::1]:8080", "[v1.a:b]", "u:p@h:1", "LOCALHOST", "a%20b"]
)
def test_domains_that_are_some(domain):
    assert parse(str(message(domain=domain))).domain == domain


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "app.example",
        "//app.example",
        "1a:b",
        "a:b c",
        "a:b\nc",
        "https://[::1",
        "https://a:b",
        "https://a/%2",
        "https://a/<b>",
        "https://a#b#c",
        "a:é",
        "https://[::zz]",
    ],
)
def test_uris_that_are_none(uri):
    with pytest.raises(errors.UriError):
        message(uri=uri)
    with pytest.raises(errors.UriError):
        message(resources=("https://fine.example", uri))


def test_a_wrong_checksum_is_a_wrong_address():
    swapped = ACCOUNT[:2] + ACCOUNT[2:].swapcase()
    with pytest.raises(errors.AccountError):
        message(address=swapped)
    assert message(address=ACCOUNT).has_checksum


@pytest.mark.parametrize(
    "number", ["01", "+1", "-1", "1.0", "1e3", "", " 1", "0x1", "9" * 79, "\u0967"]
)
def test_a_chain_id_has_one_spelling(number):
    with pytest.raises(errors.ChainIdError):
        parse(str(message()).replace("Chain ID: 1", f"Chain ID: {number}"))


def test_a_chain_id_is_below_2_256():
    text = str(message(chain_id=2**256 - 1))
    assert parse(text).chain_id == 2**256 - 1
    with pytest.raises(errors.ChainIdError):
        parse(text.replace(str(2**256 - 1), str(2**256)))
    with pytest.raises(errors.ChainIdError):
        message(chain_id=True)


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2027-01-15t08:00:00z", 1_800_000_000),
        ("2027-01-15T10:00:00+02:00", 1_800_000_000),
        ("2027-01-15T05:30:00-02:30", 1_800_000_000),
        ("2027-01-15T08:00:00.5Z", 1_800_000_000.5),
        ("2016-12-31T23:59:60Z", 1_483_228_800),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
    ],
)
def test_times(text, unix):
    assert read_time(text) == unix


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z",
        "2023-01-01T00:00:61Z",
        "2023-01-01T00:00:00",
        "2023-01-01 00:00:00Z",
        "2023-01-01T00:00:00.Z",
        "2023-01-01T00:00:00+24:00",
        "2023-01-01T00:00:00+01:60",
        "\u0662\u0660\u0662\u0663-01-01T00:00:00Z",
        "2023-01-01T00:00:00Z\n",
    ],
)
def test_times_that_never_are(text):
    with pytest.raises(errors.TimeError):
        message(issued_at=text)


@given(st.integers(0, 250_000_000_000))
def test_a_time_that_is_written_is_read(unix):
    assert read_time(write_time(unix)) == unix


def test_a_time_beyond_the_calendar_is_refused():
    for unix in (2**64 - 1, -(10**12), 10**30):
        with pytest.raises(errors.TimeError):
            write_time(unix)


def test_an_empty_statement_is_not_none_and_headings_may_stand_alone():
    for change in ({"statement": ""}, {"statement": None}, {"resources": ()}, {"resources": None}):
        built = message(**change)
        assert parse(str(built)) == built
    texts = {str(message(statement=value)) for value in (None, "")}
    assert len(texts) == 2


def test_each_line_stands_in_its_place_once():
    lines = str(message(request_id="r", resources=("a:b",))).split("\n")
    for place in range(len(lines)):
        for changed in (
            lines[:place] + lines[place + 1 :],
            lines[:place] + lines[place:][:1] + lines[place:],
        ):
            text = "\n".join(changed)
            try:
                read = parse(text)
            except errors.SiweFormatError:
                continue
            assert str(read) == text
            assert dataclasses.replace(read) == read


@pytest.mark.parametrize(
    "end", ["\n", "\r", " ", "\0", "\nResources: ", "\nVersion: 1", "\nExpiration Time: "]
)
def test_nothing_may_stand_behind_the_end(end):
    with pytest.raises(errors.SiweFormatError):
        parse(str(message()) + end)
