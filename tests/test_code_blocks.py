"""Every block of shell or Python in a page is run by a test, or says why it is not."""

import pytest

from tests.code_blocks import PAGES, ROOT, blocks

FENCE = "\n```"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_block_is_run_or_says_why_not(page):
    for block in blocks(page):
        said = f"{block.page}: put <!-- run: TEST --> or <!-- not run: WHY --> before\n{block.text}"
        assert block.mark, said
        if block.mark == "run":
            test = ROOT / block.what
            assert test.is_file(), said
            assert "code_blocks" in test.read_text() or page.name in test.read_text(), said
        else:
            assert len(block.what.split()) >= 5, said


def test_the_pages_have_blocks():
    found = [block for page in PAGES for block in blocks(page)]
    assert len(found) >= 15
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    fences = sum(text.count(f"{FENCE}{language}\n") for language in ("sh", "bash", "python"))
    assert fences == len(found)
