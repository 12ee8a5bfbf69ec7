"""Every test that docs/attacks.md and docs/evidence name exists, and every attack names one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ATTACKS = ROOT / "docs" / "attacks.md"
PAGES = [ATTACKS, *sorted((ROOT / "docs" / "evidence").glob("*.md"))]
LINK = re.compile(r"`(tests/[\w/.]+\.(?:py|sol|ts))(?:::(\w+))?`")


@cache
def names_in(path):
    """Functions, classes and top-level names of a test file; for other languages, all words."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if not path.endswith(".py"):
        return frozenset(re.findall(r"\w+", text))
    tree = ast.parse(text)
    names = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return frozenset(names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page):
    missing = []
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert links
    for path, name in links:
        if not (ROOT / path).is_file() or (name and name not in names_in(path)):
            missing.append(f"{path}::{name}")
    assert missing == []


def rows(text):
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if line.startswith("|") and len(cells) == 4 and not set(cells[0]) <= {"-", " "}:
            yield cells


def test_every_attack_is_played():
    attacks = [cells for cells in rows(ATTACKS.read_text("utf-8")) if cells[0] != "attack"]
    assert len(attacks) > 60
    for attack, deed, defence, played in attacks:
        assert attack
        assert deed
        assert defence
        assert LINK.search(played), f"no test plays: {attack}"
    names = [cells[0] for cells in attacks]
    assert len(set(names)) == len(names)


def test_every_hostile_peer_is_in_the_table():
    text = ATTACKS.read_text("utf-8")
    for path in sorted((ROOT / "tests" / "hostile").glob("test_*.py")):
        assert f"tests/hostile/{path.name}" in text
