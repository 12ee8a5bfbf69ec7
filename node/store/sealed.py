"""Files that show damage: magic 8 | SHA-256 of the rest 32 | the rest (SPEC 7.4)."""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from peerstream.node.store.errors import CorruptedFileError, ForeignStateError
from peerstream.node.store.files import read_private, write_whole

_DIGEST_SIZE: Final = 32


def save_sealed(path: Path, magic: bytes, data: bytes) -> None:
    """Write a file; it is on disk when this returns. Raises StateUnavailableError."""
    write_whole(path, magic + hashlib.sha256(data).digest() + data)


def load_sealed(path: Path, magic: bytes, limit: int) -> bytes | None:
    """Return the data of a file, up to `limit` bytes, or None when there is none.

    Raises ForeignStateError for another kind, CorruptedFileError, StatePermissionError.
    """
    file = read_private(path, limit + len(magic) + _DIGEST_SIZE)
    if file is None:
        return None
    if file[: len(magic)] != magic:
        raise ForeignStateError(f"{path} is not of the kind {magic.decode()}")
    digest, data = file[len(magic) :][:_DIGEST_SIZE], file[len(magic) + _DIGEST_SIZE :]
    if not hmac.compare_digest(digest, hashlib.sha256(data).digest()):
        raise CorruptedFileError(f"{path} was cut or altered")
    return data
