"""What the code and the documents cite exists: sections of the specification, decisions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SECTIONS = {
    heading.group(1)
    for page in (DOCS / "spec").glob("*.md")
    for heading in re.finditer(r"^#+ (\d+(?:\.\d+)?)\.? ", page.read_text("utf-8"), re.MULTILINE)
}
DECISIONS = {path.name[:4] for path in (DOCS / "decisions").glob("[0-9]*.md")}
SOURCES = sorted(
    path
    for folder in ("identity", "node", "tests", "contracts", "fuzz", "bench")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".sol"} and "node_modules" not in path.parts
)
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
NUMBERED = [*sorted((DOCS / "spec").glob("*.md")), DOCS / "glossary.md"]
WRITTEN = {section.split(".")[0] for section in SECTIONS}


def cited(text):
    """Sections named as SPEC n.m, SPEC n.m and k.l, SPEC n.m to k.l; decisions by number."""
    sections = set()
    for match in re.finditer(r"SPEC (\d+(?:\.\d+)?)((?:(?:,| and| to) \d+\.\d+)*)", text):
        sections |= {match.group(1), *re.findall(r"\d+\.\d+", match.group(2))}
    decisions = set(re.findall(r"[dD]ecisions? (00\d\d)\b", text))
    return sections, decisions | set(re.findall(r"decisions/(00\d\d)", text))


def test_citations_are_found():
    text = "(SPEC 4.1 to 4.5; decision 0020; SPEC 5.6, 5.8; SPEC 3). See docs/decisions/0060"
    assert cited(text) == ({"4.1", "4.5", "5.6", "5.8", "3"}, {"0020", "0060"})


def missing(sections):
    """Of the chapters that are written: those on their way are cited ahead."""
    return sorted(s for s in sections - SECTIONS if s.split(".")[0] in WRITTEN)


def unwritten(decisions):
    """Of the tens of numbers in which some are written: an area writes its own together."""
    tens = {number[:3] for number in DECISIONS}
    return sorted(n for n in decisions - DECISIONS if n[:3] in tens)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_the_code_cites_exists(path):
    sections, decisions = cited(path.read_text(encoding="utf-8"))
    assert missing(sections) == []
    assert unwritten(decisions) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_page_cites_exists(path):
    sections, decisions = cited(path.read_text(encoding="utf-8"))
    assert missing(sections) == []
    assert unwritten(decisions) == []


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.name)
def test_sections_named_in_brackets_exist(path):
    text = path.read_text(encoding="utf-8")
    assert missing(set(re.findall(r"\((\d{1,2}\.\d{1,2})(?=[,;)])", text))) == []
