"""How a state directory of an older version becomes one of ours, step by step (SPEC 17.3).

Each step takes a directory of one version, or what is left of one when a process was killed in the
step, and makes it one of the next.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from peerstream.node.store.files import make_directory
from peerstream.node.store.run_folder import RUN

Migration = Callable[[Path], None]


def _add_run_folder(state: Path) -> None:
    make_directory(state / RUN)


# The one at index n leads from version n + 1 to n + 2.
MIGRATIONS: Final[tuple[Migration, ...]] = (_add_run_folder,)
# What a directory may hold before its first marker is written.
FIRST: Final = frozenset({RUN})
