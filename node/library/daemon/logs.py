"""The log of a daemon: structured, and without what docs/logging.md forbids (SPEC 17.4)."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

# In this order: what is longer or says more comes first.
_FORMS: Final = tuple(
    (kind, re.compile(form, re.IGNORECASE if kind != "<key>" else 0))
    for kind, form in (
        ("<url>", r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>]+"),
        ("<card>", r"\bpsp:0x\S+"),
        ("<key>", r"(?<![0-9a-zA-Z])(?:0x)?[0-9a-fA-F]{64,}(?![0-9a-zA-Z])"),
        ("<address>", r"(?<![0-9a-z])(?:0x)?[0-9a-f]{40}(?![0-9a-f])"),
        ("<peer>", r"\b(?:12D3Koo|16Uiu2|Qm)[1-9A-HJ-NP-Za-km-z]{30,}"),
        # IPv6 in full has seven colons, any other way to write it two in a row
        ("<ip>", r"(?<![0-9a-z:.])(?=[0-9a-f:]*::|(?:[0-9a-f]{1,4}:){7})[0-9a-f:]+(?:\.\d+){0,3}"),
        ("<ip>", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])(?::\d+)?"),
        ("<key>", r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43,}={0,2}(?![A-Za-z0-9_-])"),
    )
)
_DEPTH: Final = 4
_KEPT: Final = ("timestamp", "level")


def redact(value: Any, depth: int = 0) -> Any:
    """Return a value with all that names somebody, or opens something, replaced by its kind."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        for kind, form in _FORMS:
            value = form.sub(kind, value)
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return "<bytes>"
    if isinstance(value, dict) and depth < _DEPTH:
        return {redact(k, depth + 1): redact(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH:
        return [redact(each, depth + 1) for each in value]
    # Whatever else there is, an error above all, may say in its text what it likes.
    return f"<{type(value).__name__}>"


def redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Redact all of a line but its time and level; a structlog processor."""
    event.pop("exc_info", None)
    for name in [name for name in event if name not in _KEPT and not name.startswith("_")]:
        event[name] = redact(event[name])
    return event


def configure_logs(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send the log of this process, and of every library in it, to a stream.

    form: ``json``, ``console``, or ``auto``: console where the stream is a terminal.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact_event,
    ]
    threshold = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form, target),
            ],
            # a library's line: its text is put together, its traceback may print what it likes
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in ("libp2p", "hypercorn", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _renderer(form: str, target: TextIO) -> Any:
    if form == "console" or (form == "auto" and target.isatty()):
        return structlog.dev.ConsoleRenderer(colors=target.isatty())
    return structlog.processors.JSONRenderer()
