"""The directory of a private network that outlives its command: one at a time (SPEC 14.4)."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from peerstream.node.lab.errors import AlreadyRunningError, NotRunningError
from peerstream.node.lab.record import NetworkRecord
from peerstream.node.store.state import StateDirectory

_RUN: Final = "run"


@contextmanager
def fresh_run(home: Path) -> Iterator[Path]:
    """Return an empty directory in `home` for a new network; what an old one left is removed.

    Raises AlreadyRunningError, StoreError when `home` holds something else.
    """
    with StateDirectory.open(home) as directory:
        try:
            if NetworkRecord.load(home).is_running:
                raise AlreadyRunningError(f"{home}")
        except NotRunningError:
            pass  # the usual case
        run = directory.file(_RUN)
        if run.exists():
            shutil.rmtree(run)
        run.mkdir(mode=0o700)
        yield run
