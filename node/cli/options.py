"""The options that several commands share, and what they stand for (SPEC 13.3)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from peerstream.node.cli.errors import BadArgumentError, NetworkNotNamedError
from peerstream.node.cli.unlocking import LockWord, Ways, kind_of
from peerstream.node.config import NetworkParameters, load_network
from peerstream.node.library.identities import NoIdentityError
from peerstream.node.store.keystore import KeyFile, Keystore, Unlock, read_terms
from peerstream.node.store.locks import LockKind
from peerstream.node.store.state import StateDirectory, default_path

KEYSTORE: Final = "keystore"

Network = Annotated[
    Path | None, Parameter(env_var="PSP_NETWORK", help="The network file (psp.network/1).")
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class StateOptions:
    """Where this node keeps its state, and what opens its keystore."""

    state: Annotated[
        Path | None, Parameter(env_var="PSP_STATE", help="The state directory of this node.")
    ] = None
    vault: Annotated[
        LockWord | None,
        Parameter(help="Which lock opens the keystore, or locks a new one (key-file)."),
    ] = None
    key_file: Annotated[
        Path | None, Parameter(help="The key file; keep it on another disk if you can.")
    ] = None
    passphrase: Annotated[bool, Parameter(negative="", help="The same as --vault passphrase.")] = (
        False
    )

    @property
    def directory(self) -> Path:
        """The state directory."""
        return default_path() if self.state is None else self.state

    @property
    def ways(self) -> Ways:
        """How this process may open the keystore."""
        return Ways(self.directory, self.key_file)

    def unlock(self, *, new: bool = False) -> Unlock:
        """Return what opens the keystore; asks for a passphrase, twice for a new one.

        Raises BadArgumentError, StoreError, CommandError as a subclass.
        """
        kind = self._wanted()
        if kind is None:
            path = self.directory / KEYSTORE
            there = [LockKind.KEY_FILE] if new or not path.exists() else read_terms(path).kinds
            kind = self.ways.kind_for(there)
        return self.ways.unlock(kind, new=new)

    def _wanted(self) -> LockKind | None:
        words: set[LockWord] = set() if self.vault is None else {self.vault}
        if self.passphrase:
            words.add("passphrase")
        if self.key_file is not None:
            words.add("key-file")
        if len(words) > 1:
            raise BadArgumentError(f"one lock at a time, not {' and '.join(sorted(words))}")
        return kind_of(words.pop()) if words else None

    @contextmanager
    def keystore(self) -> Iterator[Keystore]:
        """Open the keystore; another process of this state directory is refused meanwhile.

        Raises NoIdentityError, StoreError.
        """
        if not (self.directory / KEYSTORE).exists():
            raise NoIdentityError(f"{self.directory}")
        with StateDirectory.open(self.directory) as directory:
            yield Keystore.open(directory.file(KEYSTORE), self.unlock(), os.urandom)

    def new_unlock(self) -> Unlock:
        """Return what opens the keystore; where there is none yet, make a key file for it.

        Raises StoreError, PassphraseMismatchError.
        """
        with StateDirectory.open(self.directory) as directory:
            fresh = not directory.file(KEYSTORE).exists()
            unlock = self.unlock(new=fresh)
            if fresh and isinstance(unlock, KeyFile) and not unlock.path.exists():
                unlock.make(os.urandom)
            return unlock

    @contextmanager
    def new_keystore(self) -> Iterator[Keystore]:
        """Open the keystore, making it when there is none."""
        unlock = self.new_unlock()
        with StateDirectory.open(self.directory) as directory:
            path = directory.file(KEYSTORE)
            opened = Keystore.open if path.exists() else Keystore.create
            yield opened(path, unlock, os.urandom)


DEFAULT_STATE: Final = StateOptions()
State = Annotated[StateOptions, Parameter(name="*")]


def named_network(path: Path | None) -> NetworkParameters:
    """Return the network of ``--network``. Raises NetworkNotNamedError, NetworkFileError."""
    if path is None:
        raise NetworkNotNamedError("there is no public network yet")
    return load_network(path)
