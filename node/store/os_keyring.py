"""The keyring of the user's system, through the library `keyring` (SPEC 22.2)."""

import hmac
from types import ModuleType
from typing import Any, Final

from peerstream.node.store.errors import KeyringError, KeyringMissingError

_SERVICE: Final = "peerstream"
_SYSTEMS: Final = "keyring.backends."
# They come with the library and keep nothing, or fail at each call.
_NONE: Final = frozenset({"keyring.backends.null", "keyring.backends.fail"})


def read(name: str) -> bytes | None:
    """Return an entry, or None when there is none. Raises KeyringError, KeyringMissingError."""
    text = _ask("get_password", name)
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError:
        return None


def write(name: str, secret: bytes) -> None:
    """Store an entry, and see that it is there. Raises KeyringError, KeyringMissingError."""
    _ask("set_password", name, secret.hex())
    if not hmac.compare_digest(read(name) or b"", secret):
        raise KeyringError("the keyring does not give back what it was given")


def erase(name: str) -> None:
    """Erase an entry if it is there. Raises KeyringError, KeyringMissingError."""
    if read(name) is not None:
        _ask("delete_password", name)


def _ask(method: str, name: str, *rest: str) -> Any:
    library = _library()
    backend = library.get_keyring()
    place = type(backend).__module__
    if not place.startswith(_SYSTEMS) or place in _NONE:
        raise KeyringError(f"this session has none ({place})")
    try:
        return getattr(backend, method)(_SERVICE, name, *rest)
    except library.errors.KeyringError as error:
        # The text may be a stranger's; it holds no secret, for we gave it none to repeat.
        raise KeyringError(f"{type(error).__name__}") from None


def _library() -> ModuleType:
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow to import
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise KeyringMissingError(f"no module {error.name}") from None
    return keyring
