"""The shapes of docs/spec/cli-json.md, read from the page itself, and checks by them."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs/spec/cli-json.md"
_TOKEN = re.compile(r"[A-Za-z0-9_]+|[{}\[\],:]")


def shapes(text=None):
    """Return the shapes by schema: a dict of keys; several when a schema has several objects."""
    found = {}
    page = PAGE.read_text(encoding="utf-8") if text is None else text
    for block in re.findall(r"```\n(.*?)```", page, re.DOTALL):
        for entry in re.split(r"\n(?=psp\.)", block):
            schema, _, rest = entry.partition(" ")
            found[schema] = [_object(_TOKEN.findall(text)) for text in _objects(rest)]
    return found


def _objects(text):
    """Cut the outermost braces out of the text, without what stands in parentheses."""
    plain = re.sub(r"\([^()]*\)", "", text)
    depth, start = 0, 0
    for position, letter in enumerate(plain):
        if letter == "{":
            start = start if depth else position
            depth += 1
        elif letter == "}":
            depth -= 1
            if not depth:
                yield plain[start : position + 1]


def _object(tokens):
    """Read ``{name, name[], name{...}, name: {...}, name: [...]}``; None stands for any value."""
    keys, position = {}, 1
    while tokens[position] != "}":
        name, inner = tokens[position], None
        position += 1
        if tokens[position] == ":":
            position += 1
        if tokens[position] in "{[":
            end = _closing(tokens, position)
            inner = _value(tokens[position : end + 1], mapped=tokens[position - 1] == name)
            position = end + 1
        elif tokens[position] not in ",}":
            position += 1
        keys[name] = inner
        if tokens[position] == ",":
            position += 1
    return keys


def _value(tokens, *, mapped):
    if mapped or len(tokens) < 3:
        return [] if tokens[0] == "[" else {}
    if tokens[0] == "[":
        return [_object(tokens[1:-1])] if tokens[1] == "{" else []
    return _object(tokens)


def _closing(tokens, start):
    depth = 0
    for position in range(start, len(tokens)):
        depth += (tokens[position] in "{[") - (tokens[position] in "}]")
        if not depth:
            return position
    raise AssertionError("the page has a brace that is not closed")


def require_shape(found, number=0):
    """Fail unless the object has exactly the keys of its schema on the page."""
    wanted = shapes()[found["schema"]][number]
    rest = {key: value for key, value in found.items() if key not in {"schema", "ok"}}
    assert isinstance(found["ok"], bool)
    _require(rest, wanted, found["schema"])


def require_failure(found, schema, name):
    """Fail unless the object is a failure of that name, with a remedy."""
    assert set(found) == {"schema", "ok", "error"}
    assert (found["schema"], found["ok"]) == (schema, False)
    assert set(found["error"]) == {"name", "message", "remedy"}
    assert found["error"]["name"] == name
    assert all(isinstance(text, str) and "\n" not in text for text in found["error"].values())


def _require(found, wanted, where):
    if wanted is None or (isinstance(wanted, (dict, list)) and not wanted):
        kinds = {type(None): object, dict: dict, list: list}
        assert isinstance(found, kinds[type(wanted)]), where
    elif isinstance(wanted, list):
        for item in found:
            _require(item, wanted[0], where)
    else:
        assert set(found) == set(wanted), where
        for key, inner in wanted.items():
            if found[key] is not None:
                _require(found[key], inner, f"{where}.{key}")
