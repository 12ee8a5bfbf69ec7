"""What no log line of ours may hold (docs/logging.md)."""

import ast
from pathlib import Path

import pytest

from peerstream.node.network.counters import Counters

ROOT = Path(__file__).parent.parent
MODULES = sorted([*(ROOT / "node").rglob("*.py"), *(ROOT / "identity").rglob("*.py")])
# The console renderer of structlog prints the local variables of every frame of a traceback.
FORBIDDEN_KEYWORDS = {"exc_info", "stack_info", "locals", "show_locals"}
FORBIDDEN_METHODS = {"exception"}


def calls_of_loggers(tree):
    """Calls of a method on something named like a logger."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            if name.lstrip("_") in {"log", "logger"}:
                yield node


def offences(source):
    found = []
    for call in calls_of_loggers(ast.parse(source)):
        keywords = {keyword.arg for keyword in call.keywords}
        if keywords & FORBIDDEN_KEYWORDS or call.func.attr in FORBIDDEN_METHODS:
            found.append(ast.unparse(call))
        if any(isinstance(each, ast.JoinedStr) for each in call.args):
            found.append(f"text put together: {ast.unparse(call)}")
    return found


def test_the_search_finds_what_is_forbidden():
    for bad in (
        '_log.error("a", exc_info=error)',
        'self._log.exception("a")',
        'logger.info(f"hello {peer}")',
    ):
        assert offences(bad)
    assert not offences('_log.error("a", error=type(error).__name__)')


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_line_takes_a_traceback_or_a_text_that_was_put_together(path):
    assert offences(path.read_text(encoding="utf-8")) == []


def fail_with(secret):
    key = b"key of " + secret
    raise ZeroDivisionError(f"text of a stranger about {key!r}")


def test_a_bug_is_logged_with_its_place_and_nothing_else(capsys):
    counters = Counters()
    with pytest.raises(ZeroDivisionError) as caught:
        fail_with(b"hunter2")
    counters.count_bug(caught.value)
    logged = "".join(capsys.readouterr())
    assert "network.bug" in logged
    assert "ZeroDivisionError" in logged
    assert "fail_with" in logged
    assert "hunter2" not in logged
    assert "stranger" not in logged
    assert str(ROOT) not in logged
