"""What a command gives back, and how it is printed (SPEC 13.1).

A command returns a `Report` and prints nothing on standard output itself, so that `--json` is one
object whatever happens. Progress goes to standard error.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from peerstream.node.cli.errors import BadArgumentError, SystemRefusedError, UnexpectedError
from peerstream.node.remedies import one_line, remedy_of

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a command.

    schema: as in docs/spec/cli-json.md. values: the rest of the object, without secrets. show:
    prints it for people. code: the exit code.
    """

    schema: str
    values: dict[str, Any]
    show: Callable[["Console"], None] = field(repr=False)
    ok: bool = True
    code: int = 0

    def to_json(self) -> str:
        """Return the object in one line."""
        return json.dumps({"schema": self.schema, "ok": self.ok, **self.values})


# Whether --json was given. Commands that go on after they are ready print their report themselves.
json_wanted: ContextVar[bool] = ContextVar("json_wanted", default=False)


def print_report(report: Report) -> None:
    """Print a report to standard output."""
    if json_wanted.get():
        sys.stdout.write(report.to_json() + "\n")
    else:
        report.show(console())
    sys.stdout.flush()


def print_failure(schema: str, error: BaseException) -> None:
    """Print why a command failed: one line, or the object that stands for it."""
    if json_wanted.get():
        name, message = type(error).__name__, one_line(str(error))
        found = {"name": name, "message": message, "remedy": _remedy(error)}
        sys.stdout.write(json.dumps({"schema": schema, "ok": False, "error": found}) + "\n")
        sys.stdout.flush()
    sys.stderr.write(failure_line(error) + "\n")


def failure_line(error: BaseException) -> str:
    """Return what people are told of a failure, in one line."""
    name, message = type(error).__name__, one_line(str(error))
    line = f"psp: {name}: {message}" if message else f"psp: {name}"
    return f"{line.rstrip('.')}. {_remedy(error)}".rstrip()


def _remedy(error: BaseException) -> str:
    """Return what to do, also about an error that is none of ours."""
    kind: type[BaseException] = UnexpectedError
    if isinstance(error, OSError):
        kind = SystemRefusedError
    elif type(error).__module__.startswith("cyclopts."):
        kind = BadArgumentError
    return remedy_of(error) or one_line(kind.__doc__ or "")


def console(*, stderr: bool = False) -> "Console":
    """Return a console that honours NO_COLOR, and is plain where there is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - only what prints for people loads it

    return Console(stderr=stderr, highlight=False, emoji=False, width=_width(stderr=stderr))


def print_rows(target: "Console", rows: Mapping[str, str]) -> None:
    """Print names and values in two columns, without blanks behind them."""
    width = max(map(len, rows))
    for name, value in rows.items():
        target.print(f"[bold]{name:<{width}}[/bold]  {value}", soft_wrap=True)


def _width(*, stderr: bool) -> int | None:
    stream = sys.stderr if stderr else sys.stdout
    # In a pipe nobody folds lines for us, and a folded address cannot be copied.
    return None if stream.isatty() or "COLUMNS" in os.environ else 200
