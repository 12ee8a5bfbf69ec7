"""Files that are made from the code: `make check` makes them anew and says when one was stale."""

import json
from pathlib import Path

import pytest

import tests.node.library.conftest  # noqa: F401 - libp2p, without the warnings of its imports
from peerstream.node import http
from peerstream.node.http.app import make_app
from tests import error_page
from tests.node.http.serving import MemoryDaemon

ROOT = Path(__file__).parent.parent


def require_fresh(path, made):
    if not path.exists() or path.read_text(encoding="utf-8") != made:
        path.write_text(made, encoding="utf-8")
        pytest.fail(f"{path} was stale and is written anew: look at the difference and commit it")


def test_the_openapi_document_of_the_local_api():
    text = json.dumps(make_app(MemoryDaemon()).openapi(), indent=1)
    require_fresh(Path(http.__file__).parent / "openapi.json", text + "\n")


def test_the_page_of_errors():
    require_fresh(ROOT / "docs" / "errors.md", error_page.page())


def test_the_page_has_every_error_of_the_source():
    there = {kind.__name__ for kind in error_page.classes()}
    named = set(error_page.named_in_the_source())
    assert len(named) > 300
    assert named <= there


@pytest.mark.parametrize("kind", error_page.classes(), ids=lambda kind: kind.__qualname__)
def test_every_error_says_what_it_is_and_what_to_do(kind):
    text = error_page.text_of(kind)
    assert text.endswith((".", "`", ")"))
    assert len(text.split()) >= 6
