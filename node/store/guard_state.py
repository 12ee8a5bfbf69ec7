"""The node's guards and pins on disk: what must not be drawn again at each start (SPEC 7.4).

file = magic 8 | SHA-256 of the rest 32 | CBOR. The hash finds damage; the directory's mode keeps
others out.
"""

from pathlib import Path
from typing import Final

from peerstream.identity import canonical
from peerstream.identity.errors import EncodingError
from peerstream.node.protocol.directory.errors import MalformedDocumentError
from peerstream.node.protocol.directory.guards import GUARD_STATE_MAX, GuardState
from peerstream.node.protocol.directory.static import StaticPin
from peerstream.node.store.errors import CorruptedFileError, ForeignStateError
from peerstream.node.store.sealed import load_sealed, save_sealed

_GUARDS: Final = b"PSPgrds1"
_PIN: Final = b"PSPpin_1"


def save_guards(path: Path, state: GuardState) -> None:
    """Write the guards of one network; on disk when it returns. Raises StateUnavailableError."""
    save_sealed(path, _GUARDS, state.encode())


def load_guards(path: Path, network_id: bytes) -> GuardState:
    """Return the guards kept for a network, or an empty state when there is no file.

    Raises ForeignStateError for another network's, CorruptedFileError, StatePermissionError.
    """
    data = load_sealed(path, _GUARDS, GUARD_STATE_MAX)
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
    save_sealed(path, _PIN, canonical.encode({1: pin.serial, 2: pin.root}))


def load_pin(path: Path) -> StaticPin:
    """Return the pin, or that of nothing seen. Raises ForeignStateError, CorruptedFileError."""
    data = load_sealed(path, _PIN, 64)
    if data is None:
        return StaticPin()
    try:
        fields = canonical.decode_fields(data, known=(1, 2), max_size=64)
        return StaticPin(fields.integer(1, 2**64 - 1), fields.octets(2, 32))
    except EncodingError as error:
        raise CorruptedFileError(f"{path}: {error}") from error
