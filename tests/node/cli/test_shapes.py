"""The page is read as it is meant, so that the checks by it mean something."""

import re
from pathlib import Path

import pytest

from peerstream.node import cli
from tests.node.cli.shapes import require_shape, shapes

CLI = Path(cli.__file__).parent
PAGE = """
```
psp.x/1  up, status: {a, b (of 100), c[], d{Name: address}, e: [{f, g}]}   down: {h: [pid]}
         flags: --i {j}
psp.y/1  {k: [number], l}
```
"""


def test_keys_lists_and_maps_are_told_apart():
    found = shapes(PAGE.replace("flags: --i {j}", "flags: --i"))
    assert found["psp.x/1"] == [
        {"a": None, "b": None, "c": [], "d": {}, "e": [{"f": None, "g": None}]},
        {"h": []},
    ]
    assert found["psp.y/1"] == [{"k": [], "l": None}]


def test_every_command_that_prints_an_object_has_a_shape():
    printed = set()
    for source in CLI.glob("*.py"):
        printed |= set(re.findall(r'"(psp\.[a-z.]+/\d+)"', source.read_text(encoding="utf-8")))
    printed -= {"psp.network/1"}  # a file, not an answer
    assert len(printed) >= 7
    assert printed <= set(shapes())


def test_a_missing_an_added_and_a_wrong_key_are_noticed():
    found = {"schema": "psp.devnet/1", "ok": True, "stopped": [1], "leftover": []}
    require_shape(found, 1)
    for wrong in (
        {key: value for key, value in found.items() if key != "leftover"},
        {**found, "more": 1},
        {**found, "stopped": 1},
    ):
        with pytest.raises(AssertionError):
            require_shape(wrong, 1)
