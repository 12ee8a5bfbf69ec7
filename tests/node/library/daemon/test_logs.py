"""No line of a daemon's log names anybody or opens anything, whoever wrote it (docs/logging.md)."""

import io
import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.library.daemon.logs import configure_logs, redact
from tests.node.library.daemon.forbidden import ADDRESS, FORBIDDEN, PEER


@pytest.fixture
def log():
    """A log in memory; the loggers of the process are as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()

    def lines(form="json", level="info"):
        configure_logs(level, form, stream)
        return stream

    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("secret", FORBIDDEN)
@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_is_forbidden_never_reaches_a_line(log, secret, form, level):
    stream = log(form, level)
    logger = structlog.get_logger("test")
    logger.info("event", value=secret, inside={"a": [secret, (secret,)], secret: 1})
    logger.info(f"said {secret} in the event itself", error=ValueError(secret))  # noqa: G004
    logger.warning("raw", data=secret.encode(), view=memoryview(secret.encode()))
    logger.debug("deep", value=[[[[[[secret]]]]]])
    logging.getLogger("some.library").warning("dialled %s at once", secret)
    logging.getLogger("some.library").error("it was " + secret)  # noqa: G003 - as libraries do
    try:
        int(secret, 3)
    except ValueError:
        logging.getLogger("some.library").exception("failed", stack_info=True)
    written = stream.getvalue()
    assert written.count("\n") >= 6
    assert secret not in written
    assert "Traceback" not in written


def test_what_says_nothing_of_anybody_is_kept(log):
    stream = log()
    structlog.get_logger("peerstream.x").warning(
        "network.first_of_kind", cause="UnreachableError", count=3, share=0.5, fine=True, none=None
    )
    found = json.loads(stream.getvalue())
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "network.first_of_kind",
        "level": "warning",
        "cause": "UnreachableError",
        "count": 3,
        "share": 0.5,
        "fine": True,
        "none": None,
    }


def test_the_level_counts_for_libraries_too(log):
    stream = log(level="warning")
    structlog.get_logger("a").info("quiet")
    logging.getLogger("some.library").info("quiet")
    logging.getLogger("libp2p.network").warning("a peer: %s", PEER)
    assert stream.getvalue() == ""


def test_kinds_are_told_apart():
    text = f"from 192.0.2.7:4001 to {ADDRESS} by {PEER} at https://rpc.example/key"
    assert redact(text) == "from <ip> to <address> by <peer> at <url>"
    assert redact("fd00::1 and [2001:db8::5]:80, 12:30:01") == "<ip> and [<ip>]:80, 12:30:01"


@given(st.text(max_size=200))
def test_any_text_is_redacted_in_linear_time(text):
    assert isinstance(redact(text * 50), str)


@given(st.text(alphabet="abc.-_ :", max_size=30))
def test_words_are_left_as_they_are(text):
    if not any(text.count(each) > 1 for each in ":"):
        assert redact(text) == text
