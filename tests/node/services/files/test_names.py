"""Names from a stranger: refused, never repaired; copies never overwrite."""

import os
import unicodedata
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.services.files.errors import HostileNameError, StorageError
from peerstream.node.services.files.names import NAME_MAX, candidates, name_to_offer, require_safe

GOOD = [
    "report.pdf",
    "Straße_Überblick (3).tar.gz",
    "猫.png",
    "no_extension",
    "trailing.",
    "a",
    "$HOME; rm -rf *",
    "family 👩‍👩‍👧.jpg",
    "x" * 255,
    "é" * 127,
]
HOSTILE = {
    "empty": "",
    "dot": ".",
    "parent": "..",
    "hidden": ".bashrc",
    "our own place": ".psp-parts",
    "absolute": "/etc/passwd",
    "traversal": "../../.ssh/authorized_keys",
    "traversal inside": "a/../../b",
    "backslash": "..\\..\\boot.ini",
    "nul": "good.txt\0.exe",
    "newline": "a\nb",
    "escape": "a\x1b[2J",
    "c1 control": "a\x9b31m",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "right to left override": "annual\u202efdp.exe",
    "isolate": "a\u2066b",
    "mark": "a\u200fb",
    "byte order mark": "\ufeffa",
    "option": "-rf",
    "leading space": " a",
    "trailing space": "a ",
    "trailing no-break space": "a\u00a0",
    "decomposed": "e\u0301.txt",
    "surrogate": "a\udc80",
    "256 bytes": "x" * 256,
    "256 bytes of two": "é" * 128,
}


@pytest.mark.parametrize("name", GOOD)
def test_ordinary_names_pass(name):
    assert require_safe(name) == name


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_names_are_refused(case):
    with pytest.raises(HostileNameError):
        require_safe(HOSTILE[case])


@given(st.text(max_size=300))
def test_whatever_passes_is_one_component(name):
    try:
        require_safe(name)
    except HostileNameError:
        return
    assert Path(name).name == name
    assert os.path.normpath(name) == name
    assert len(os.fsencode(name)) <= NAME_MAX
    assert name.isprintable() or all(
        unicodedata.category(c) not in {"Cc", "Cs"} for c in name if not c.isprintable()
    )


@given(st.text(min_size=1, max_size=200).filter(lambda text: len(text.encode(errors="replace"))))
def test_every_copy_of_a_safe_name_is_safe_and_new(name):
    try:
        require_safe(name)
    except HostileNameError:
        return
    several = list(islice(candidates(name), 12))
    assert several[0] == name
    assert len(set(several)) == 12
    for candidate in several:
        require_safe(candidate)


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("a.txt", "a (1).txt"),
        ("a", "a (1)"),
        ("x" * 255, "x" * 251 + " (1)"),
        ("é" * 127, "é" * 125 + " (1)"),
        ("x" * 251 + ".txt", "x" * 247 + " (1).txt"),
        ("a." + "x" * 253, "a." + "x" * 249 + " (1)"),
    ],
)
def test_copies_keep_the_ending_where_it_fits(name, copy):
    assert list(islice(candidates(name), 2)) == [name, copy]
    assert len(copy.encode()) <= NAME_MAX


def test_there_is_an_end_to_copies():
    found = []
    with pytest.raises(StorageError):
        found.extend(candidates("a"))
    names = list(islice(candidates("a"), 1_000))
    assert names[-1] == "a (999)"
    assert all(one != other for one, other in pairwise(names))


def test_the_sender_composes_its_names_and_refuses_the_rest(tmp_path):
    assert name_to_offer(tmp_path / "e\u0301.txt") == "é.txt"
    for name in (".env", "-x", os.fsdecode(b"latin\xe9.txt")):
        with pytest.raises(HostileNameError):
            name_to_offer(tmp_path / name)
