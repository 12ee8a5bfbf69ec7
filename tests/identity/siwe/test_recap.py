"""ReCaps that a stranger made."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.siwe import Recap, errors, read_recap
from tests.identity.siwe.messages import message


def urn(text):
    return "urn:recap:" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def granting(recap, statement=None):
    return message(statement=statement or recap.statement, resources=(recap.uri,))


ONE = Recap({"https://a.example": {"crud/read": ({},), "crud/write": ({"times": 1},)}})

names = st.text("abcXYZ019.*_+-", min_size=1, max_size=6)
abilities = st.builds("{}/{}".format, names, names)
notes = st.lists(st.dictionaries(names, st.integers() | st.text("ab") | st.booleans()), max_size=2)
recaps = st.builds(
    Recap,
    st.dictionaries(
        st.builds("{}:{}".format, st.sampled_from(["https", "a"]), names),
        st.dictionaries(abilities, notes.map(tuple), min_size=1, max_size=4),
        max_size=3,
    ),
    st.lists(st.sampled_from(["bafy1", "zdj7"]), max_size=2).map(tuple),
)


@given(recaps)
def test_what_is_written_is_read(recap):
    assert Recap.parse(recap.uri) == recap
    assert read_recap(granting(recap)) == recap


def test_the_sentence_is_the_draft_s():
    recap = Recap(
        {
            "https://example.com/pictures/": {
                "crud/delete": ({},),
                "crud/update": ({},),
                "other/action": ({},),
            },
            "mailto:username@example.com": {"msg/receive": ({},), "msg/send": ({},)},
        }
    )
    assert recap.statement == (
        "I further authorize the stated URI to perform the following actions on my behalf:"
        " (1) 'crud': 'delete', 'update' for 'https://example.com/pictures/'."
        " (2) 'other': 'action' for 'https://example.com/pictures/'."
        " (3) 'msg': 'receive', 'send' for 'mailto:username@example.com'."
    )


def test_the_wallet_must_have_shown_it():
    for statement in ("Sign in.", ONE.statement + " ", "x" + ONE.statement, ONE.statement[:-1]):
        with pytest.raises(errors.RecapError):
            read_recap(granting(ONE, statement))
    read_recap(granting(ONE, "Sign in. " + ONE.statement))
    with pytest.raises(errors.RecapError):
        read_recap(message(statement=None, resources=(ONE.uri,)))


def test_there_is_one_and_it_is_the_last():
    assert read_recap(message()) is None
    for resources in ((ONE.uri, ONE.uri), (ONE.uri, "https://a.example")):
        with pytest.raises(errors.RecapError):
            read_recap(message(statement=ONE.statement, resources=resources))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "NaN",
        '{"att":{"a:b":{}}}',
        '{"att":{"ab":{"x/y":[]}}}',
        '{"att":{"a:b":{"xy":[]}}}',
        '{"att":{"a:b":{"x/y/z":[]}}}',
        '{"att":{"a:b":{"x/y":{}}}}',
        '{"att":{"a:b":{"x/y":[1]}}}',
        '{"att":{"a:b":{"x/y":[NaN]}}}',
        '{"att":{"a:b":{"x/y":[{"n":NaN}]}}}',
        '{"att":[]}',
        '{"att":{"a:b":1}}',
        '{"prf":{}}',
        '{"prf":[1]}',
        '{"other":1}',
        '{"prf":[],"att":{}}',
        '{"att":{"b:b":{"x/y":[]},"a:b":{"x/y":[]}}}',
        '{"att":{"a:b":{"x/y":[],"x/y":[]}}}',
        "[" * 3_000,
        '{"att":' + '{"a:b":' * 400,
    ],
)
def test_what_is_no_recap_is_refused_by_name(text):
    with pytest.raises(errors.RecapError):
        Recap.parse(urn(text))


@pytest.mark.parametrize(
    "uri", ["urn:recap:!", "urn:recap:e30=", "urn:recap:e31", "urn:recap:_w", "urn:recap:é"]
)
def test_base64_has_one_spelling(uri):
    with pytest.raises(errors.RecapError):
        Recap.parse(uri)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_by_name_or_read(data):
    uri = "urn:recap:" + base64.urlsafe_b64encode(data).decode().rstrip("=")
    try:
        read = Recap.parse(uri)
    except errors.RecapError:
        return
    assert json.loads(data) == {"att": read.abilities, "prf": list(read.proofs)} or data == b"{}"
