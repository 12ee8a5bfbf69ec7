"""Why something on disk is not used. Nothing of this kind is ever overwritten (SPEC 7.4)."""


class StoreError(Exception):
    """A file or directory of the node cannot be used; the subclass says what to do."""


class ForeignStateError(StoreError):
    """The directory or file is not ours: give an empty or a new directory with --state."""


class StateVersionError(StoreError):
    """A newer version of PeerStream wrote it: update, or give another directory."""


class StatePermissionError(StoreError):
    """Others may read or change it, or we may not: chmod 700 the directory, 600 the file."""


class StateUnavailableError(StoreError):
    """The operating system refused: no space, read-only, or gone. The message has its reason."""


class InstanceRunningError(StoreError):
    """Another process uses this directory: stop it, or give this one its own directory."""


class CorruptedFileError(StoreError):
    """The file is ours but damaged: restore it from a backup, or move it away to start anew."""


class WrongPassphraseError(StoreError):
    """The passphrase or key file does not open the keystore, or its contents were altered."""


class KeyFileError(StoreError):
    """The key file is missing or is no key: it holds 32 bytes that this software wrote."""


class UnknownSecretError(StoreError):
    """The keystore holds no secret of that name: it was never made here, or was erased."""


class ReplayLogFullError(StoreError):
    """A bucket has as many tags as a relay may hold: refuse more SETUPs until the next bucket."""
