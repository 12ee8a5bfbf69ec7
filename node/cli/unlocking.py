"""What opens the vault of a state directory: as the user said, or what is there (SPEC 22.2)."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from peerstream.node.cli.secrets import ask_passphrase
from peerstream.node.store.keystore import Credential, KeyFile, OsKeyring, Passphrase, Unlock
from peerstream.node.store.locks import CREDENTIAL, LockKind

LockWord = Literal["passphrase", "key-file", "keyring", "systemd"]
KEY_FILE: Final = "keystore.key"
_KINDS: Final = {kind.word: kind for kind in LockKind}


@dataclass(frozen=True, slots=True)
class Ways:
    """How this process may open the vault of a directory. key_file: None for the usual place."""

    directory: Path
    key_file: Path | None = None

    def kind_for(self, kinds: Iterable[LockKind]) -> LockKind:
        """Return which of a vault's locks to use: what needs nobody, else what is left."""
        there = set(kinds)
        if LockKind.SYSTEMD in there and self._credential().is_file():
            return LockKind.SYSTEMD
        if LockKind.KEY_FILE in there and self._key_file().exists():
            return LockKind.KEY_FILE
        for kind in (LockKind.KEYRING, LockKind.PASSPHRASE, LockKind.KEY_FILE):
            if kind in there:
                return kind
        return LockKind.SYSTEMD

    def unlock(self, kind: LockKind, *, new: bool = False) -> Unlock:
        """Return what opens a lock; asks for a passphrase, twice for a new one.

        Raises NoTerminalError, PassphraseMismatchError, EmptyPassphraseError.
        """
        if kind is LockKind.PASSPHRASE:
            what = f"{'a new lock of ' if new else ''}the keystore in {self.directory}"
            return Passphrase(ask_passphrase(what, twice=new))
        return self.silent(kind)

    def silent(self, kind: LockKind) -> Unlock:
        """Return the same without asking: of a passphrase, one that opens nothing."""
        if kind is LockKind.KEY_FILE:
            return KeyFile(self._key_file())
        if kind is LockKind.SYSTEMD:
            return Credential(self._credential())
        return OsKeyring() if kind is LockKind.KEYRING else Passphrase("")

    def _key_file(self) -> Path:
        return self.key_file or self.directory / KEY_FILE

    def _credential(self) -> Path:
        # Without a service manager there is no such directory, and the message names what lacks.
        return Path(os.environ.get("CREDENTIALS_DIRECTORY") or "$CREDENTIALS_DIRECTORY", CREDENTIAL)


def kind_of(word: LockWord) -> LockKind:
    """Return the kind that a word of the command line names."""
    return _KINDS[word]
