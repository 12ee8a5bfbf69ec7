"""Steps and files under way, drawn on standard error (SPEC 13.1).

On a terminal a spinner shows what is being done and a bar how far a file is; elsewhere only what is
done is written, one line a step.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from peerstream.node.cli.report import console
from peerstream.node.remedies import one_line

if TYPE_CHECKING:
    from rich.status import Status

_WIDTH: Final = 66


class DrawnSteps:
    """Draws steps; close it at the end, so that the terminal gets its cursor back."""

    def __init__(self, target: Console) -> None:
        self._console = target
        self._status: Status | None = None
        self._bar: FileBar | None = None
        self._text = ""

    def begin(self, text: str) -> None:
        """Show what is being done now."""
        self.close()
        self._text = one_line(text)
        if self._console.is_terminal:
            self._status = self._console.status(f"{escape(self._text)} …")
            self._status.start()

    def done(self, text: str, seconds: float) -> None:
        """Show what was done and how long it took."""
        self.close()
        line = f"[green]✓[/green] {escape(one_line(text)):<{_WIDTH}} {seconds:7.2f} s"
        self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        """Show something that happened."""
        self.close()
        # a name of a stranger's choosing: what a terminal would obey is gone, markup is not read
        self._console.print(one_line(text), markup=False, soft_wrap=True)

    def transferred(self, done: int, total: int) -> None:
        """Draw how far a file is."""
        if not self._console.is_terminal:
            return
        if self._bar is None:
            self.close()
            self._bar = FileBar(self._console, self._text, total)
        self._bar.update(done, total)

    def close(self) -> None:
        """Take the spinner and the bar away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class FileBar:
    """A bar for the bytes of one file."""

    def __init__(self, target: Console, text: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=target,
            transient=True,
        )
        self._task = self._progress.add_task(text, total=total)
        self._progress.start()

    def update(self, done: int, total: int) -> None:
        """Draw so many bytes of all."""
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()


@contextmanager
def drawn_steps() -> Iterator[DrawnSteps]:
    """Return steps on standard error."""
    steps = DrawnSteps(console(stderr=True))
    try:
        yield steps
    finally:
        steps.close()
