"""Where an audit keeps its files, and what says which process is whose (SPEC 15.2)."""

from pathlib import Path
from typing import Final

PLAN: Final = "plan.json"
FORKSERVER: Final = "peerstream.node.lab.audit.forkserver"


def records_path(directory: Path, name: str) -> Path:
    """Return the file of records of the process of this name, such as ``relay-07``."""
    return directory / f"{name}.records"
