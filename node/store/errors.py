"""Why something on disk is not used. Nothing of this kind is ever overwritten (SPEC 7.4)."""

from peerstream.node.port_errors import StorageError


class StoreError(StorageError):
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
    """It does not open the keystore, or that was altered: `psp vault status` says what opens it."""


class KeyFileError(StoreError):
    """The key file is missing or is no key: it holds 32 bytes that this software wrote."""


class CredentialError(StoreError):
    """The unit needs `LoadCredentialEncrypted=psp-vault:FILE` of 32 random bytes (docs/keys.md)."""


class KeyringMissingError(StoreError):
    """It is not installed: `pip install 'peerstream[keyring]'`, or use another lock by --vault."""


class KeyringError(StoreError):
    """The system's keyring refused: unlock it, or use another lock of the vault by --vault."""


class KeyringEntryError(KeyringError):
    """The system's keyring has no entry for it: use another lock, or the user who made it."""


class LastLockError(StoreError):
    """It is the only lock, and nothing would open the vault: put another by `psp vault set`."""


class NoLockError(StoreError):
    """The vault has no lock of that kind: `psp vault status` lists those it has."""


class UnknownSecretError(StoreError):
    """The keystore holds no secret of that name: it was never made here, or was erased."""


class NoKeystoreError(UnknownSecretError):
    """There is no keystore: make one by `psp id new` or `psp relay init`, or name its --state."""


class ReplayLogFullError(StoreError):
    """A bucket has as many tags as a relay may hold: refuse more SETUPs until the next bucket."""


class DaemonNotRunningError(StoreError):
    """No daemon runs in this state directory: start one with `psp up`, or name its --state."""


class AliasError(StoreError):
    """No contact can have that alias: take 1 to 63 of a-z, 0-9 and inner -, not 0x at the start."""


class AliasTakenError(StoreError):
    """Another contact has that alias: take another, or `psp contact remove` the old one."""


class UnknownContactError(StoreError):
    """There is no contact of that alias: `psp contact list` shows them."""


class ContactsFullError(StoreError):
    """There is no room for more contacts: remove some with `psp contact remove`."""
