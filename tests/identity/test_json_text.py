"""JSON that a stranger wrote, with the recursion limit that other libraries set."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.identity.json_text import DEPTH_MAXIMUM, JsonTextError, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def high_limit():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(before)


@given(values)
def test_what_is_written_is_read(value):
    assert read_json(json.dumps(value).encode()) == value


TOO_DEEP = b"[" * (DEPTH_MAXIMUM + 1) + b"]" * (DEPTH_MAXIMUM + 1)
BAD = [b"[" * 200_000, b'{"a":' * 50_000, b'["\\"' + b"[" * 90_000, TOO_DEEP]
BAD += [b"", b"nul", b"NaN", b"[Infinity]", b"\xff", b'{"a":1', b'"a']


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_what_is_none_is_refused_and_ends_no_process(data):
    with pytest.raises(JsonTextError):
        read_json(data)


def test_brackets_in_texts_do_not_count_and_enough_levels_are_taken():
    text = "[" * 1_000 + '"' + "{" * 1_000
    assert read_json(json.dumps([text]).encode()) == [text]
    deep = b"[" * DEPTH_MAXIMUM + b"]" * DEPTH_MAXIMUM
    assert read_json(deep)


@given(st.text(alphabet='[]{}"\\'), st.integers(DEPTH_MAXIMUM + 1, 3 * DEPTH_MAXIMUM))
def test_no_text_hides_depth(text, depth):
    hidden = json.dumps(text).encode()
    nest = b"".join(b"[" + hidden + b"," for _ in range(depth)) + b"1" + b"]" * depth
    with pytest.raises(JsonTextError):
        read_json(nest)


@given(st.lists(st.text(alphabet='[]{}"\\'), min_size=DEPTH_MAXIMUM, max_size=2 * DEPTH_MAXIMUM))
def test_no_text_pretends_depth(texts):
    assert read_json(json.dumps(texts).encode()) == texts


@pytest.mark.parametrize("depth", [DEPTH_MAXIMUM, DEPTH_MAXIMUM + 1, 1_000, 300_000])
def test_the_limit(depth):
    nest = b"[" * depth + b"]" * depth
    if depth > DEPTH_MAXIMUM:
        with pytest.raises(JsonTextError):
            read_json(nest)
    else:
        assert read_json(nest)


@pytest.mark.parametrize("open_string", [rb'["', rb"[\"", b'["\\'])
def test_open_strings_take_linear_time(open_string):
    with pytest.raises(ValueError, match=r"levels|Expecting|Invalid|Unterminated"):
        read_json(open_string * 200_000)


@pytest.mark.parametrize("depth", [1_000, 300_000])
def test_an_open_nest(depth):
    with pytest.raises(ValueError, match="levels"):
        read_json(b'{"a":' * depth)
    with pytest.raises(ValueError, match="levels"):
        read_json(b"[" * depth + b'"')


@given(st.binary(max_size=100))
def test_any_bytes_are_read_as_python_reads_them_or_refused(data):
    try:
        value = read_json(data)
    except JsonTextError:
        return
    assert json.loads(data) == value
