"""The blocks of shell and Python in our pages, and what is said of running each."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^([^\n]*)\n```(sh|bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (run|not run): (.+) -->")


@dataclass(frozen=True)
class Block:
    """A block. mark: `run` with the test that does, `not run` with why; empty without a word."""

    page: str
    language: str
    text: str
    mark: str
    what: str


def blocks(page: Path) -> list[Block]:
    found = []
    name = page.relative_to(ROOT).as_posix()
    for before, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        said = _MARK.fullmatch(before.strip())
        mark, what = said.groups() if said else ("", "")
        found.append(Block(name, language, text, mark, what))
    return found


def blocks_for(test: str) -> dict[str, list[str]]:
    """Return the texts that a test is to run, by page."""
    every = [block for page in PAGES for block in blocks(page)]
    mine = [block for block in every if (block.mark, block.what) == ("run", test)]
    return {block.page: [each.text for each in mine if each.page == block.page] for block in mine}
