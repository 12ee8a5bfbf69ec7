"""Counters of a process in a file that others read whole (SPEC 10.4)."""

import json
import os
from pathlib import Path
from typing import Any, Final

from peerstream.node.store.errors import CorruptedFileError, StateUnavailableError
from peerstream.node.store.files import FILE_MODE, read_private

SCHEMA: Final = "psp.relay-statistics/1"
_FILE_MAX: Final = 65_536


def write_statistics(path: Path, statistics: dict[str, Any]) -> None:
    """Replace the file, mode 0600; not forced to the disk. Raises StateUnavailableError."""
    temporary = path.with_name(f"{path.name}.new")
    data = json.dumps({"schema": SCHEMA, **statistics}).encode()
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        raise StateUnavailableError(f"{path}: {error.strerror}") from error


def read_statistics(path: Path) -> dict[str, Any] | None:
    """Return the counters last written, None before the first time. Raises StoreError."""
    data = read_private(path, _FILE_MAX)
    if data is None:
        return None
    try:
        found = json.loads(data)
    except ValueError as error:
        raise CorruptedFileError(f"{path} is no JSON") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise CorruptedFileError(f"{path} holds no statistics of a relay")
    return found
