"""The node's guards and pins on disk: what must not be drawn again at each start (SPEC 7.4).

file = magic 8 | SHA-256 of the rest 32 | CBOR. The hash finds damage; the directory's mode keeps
others out.
"""

import hashlib
import hmac
from pathlib import Path
from typing import Final

from peerstream.identity import canonical
from peerstream.identity.errors import EncodingError
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.guards import GUARD_STATE_MAX, GuardState
from peerstream.node.protocol.directory.static import StaticPin
from peerstream.node.store.errors import CorruptedFileError, ForeignStateError
from peerstream.node.store.files import read_private, write_whole

_GUARDS: Final = b"PSPgrds1"
_PIN: Final = b"PSPpin_1"
_DIGEST_SIZE: Final = 32


def save_guards(path: Path, state: GuardState) -> None:
    """Write the guards of one network; on disk when it returns. Raises StateUnavailableError."""
    _save(path, _GUARDS, state.encode())


def load_guards(path: Path, network_id: bytes) -> GuardState:
    """Return the guards kept for a network, or an empty state when there is no file.

    Raises ForeignStateError for another network's, CorruptedFileError, StatePermissionError.
    """
    data = _load(path, _GUARDS, GUARD_STATE_MAX)
    if data is None:
        return GuardState(network_id)
    try:
        state = GuardState.decode(data)
    except MalformedDocumentError as error:
        raise CorruptedFileError(f"{path}: {error}") from error
    if state.network_id != network_id:
        raise ForeignStateError(f"{path} holds the guards of another network")
    return state


def save_pin(path: Path, pin: StaticPin) -> None:
    """Write the highest static file seen. Raises StateUnavailableError."""
    _save(path, _PIN, canonical.encode({1: pin.serial, 2: pin.root}))


def load_pin(path: Path) -> StaticPin:
    """Return the pin, or that of nothing seen. Raises ForeignStateError, CorruptedFileError."""
    data = _load(path, _PIN, 64)
    if data is None:
        return StaticPin()
    try:
        fields = canonical.decode_fields(data, known=(1, 2), max_size=64)
        return StaticPin(fields.integer(1, 2**64 - 1), fields.octets(2, 32))
    except EncodingError as error:
        raise CorruptedFileError(f"{path}: {error}") from error


def _save(path: Path, magic: bytes, data: bytes) -> None:
    write_whole(path, magic + hashlib.sha256(data).digest() + data)


def _load(path: Path, magic: bytes, limit: int) -> bytes | None:
    file = read_private(path, limit + len(magic) + _DIGEST_SIZE)
    if file is None:
        return None
    if file[: len(magic)] != magic:
        raise ForeignStateError(f"{path} is not of the kind {magic.decode()}")
    digest, data = file[len(magic) :][:_DIGEST_SIZE], file[len(magic) + _DIGEST_SIZE :]
    if not hmac.compare_digest(digest, hashlib.sha256(data).digest()):
        raise CorruptedFileError(f"{path} was cut or altered")
    return data
