"""`psp vault`: what opens the keystore of a state directory (SPEC 13.12, 22.3)."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from peerstream.node.cli.options import DEFAULT_STATE, KEYSTORE, State, StateOptions
from peerstream.node.cli.report import Report, print_rows
from peerstream.node.cli.unlocking import KEY_FILE, LockWord, Ways, kind_of
from peerstream.node.store.errors import KeyFileError
from peerstream.node.store.keystore import Keystore, LockTerms, read_terms
from peerstream.node.store.locks import KeyFile, LockKind

SCHEMA: Final = "psp.vault/1"
_WORDS: Final = {
    LockKind.PASSPHRASE: "typed",
    LockKind.KEY_FILE: "a file of 32 bytes",
    LockKind.KEYRING: "an entry in the keyring of the system",
    LockKind.SYSTEMD: "the credential psp-vault of a unit",
}

app = App(name="vault", help="The keystore: what opens it.")


@app.command
def status(*, state: State = DEFAULT_STATE) -> Report:
    """Show what opens the keystore; needs no key."""
    return _report(state)


@app.command(name="set")
def set_(
    kind: LockWord,
    /,
    *,
    new_file: Annotated[
        Path | None, Parameter(help="Where the key file is made, if not in the state directory.")
    ] = None,
    state: State = DEFAULT_STATE,
) -> Report:
    """Put a lock, in place of one of its kind: so a passphrase is changed, too."""
    with state.keystore() as keystore:
        ways = Ways(state.directory, new_file)
        unlock = ways.unlock(kind_of(kind), new=True)
        if isinstance(unlock, KeyFile):
            _make_key_file(unlock, keystore)
        keystore.set_lock(unlock)
    return _report(state)


@app.command
def remove(kind: LockWord, /, *, state: State = DEFAULT_STATE) -> Report:
    """Remove a lock, never the last. Copies of the old file still open by it."""
    with state.keystore() as keystore:
        unlock = Ways(state.directory).silent(kind_of(kind))
        keystore.remove_lock(unlock)
        if isinstance(unlock, KeyFile):
            (state.directory / KEY_FILE).unlink(missing_ok=True)
    return _report(state)


def _make_key_file(unlock: KeyFile, keystore: Keystore) -> None:
    if LockKind.KEY_FILE in keystore.lock_kinds and unlock.path.exists():
        raise KeyFileError(f"{unlock.path} is in use: name another by --new-file")
    if not unlock.path.exists():
        unlock.make(os.urandom)


def _report(state: StateOptions) -> Report:
    terms = read_terms(state.directory / KEYSTORE)
    values = {
        "state": str(state.directory),
        "format": terms.format,
        "locks": [_lock(lock) for lock in terms.locks],
    }
    rows = {lock.kind.word: _describe(lock) for lock in terms.locks}
    return Report(SCHEMA, values, lambda console: print_rows(console, rows))


def _lock(lock: LockTerms) -> dict[str, Any]:
    memory, passes, lanes = lock.cost or (None, None, None)
    return {"kind": lock.kind.word, "memory_kib": memory, "passes": passes, "lanes": lanes}


def _describe(lock: LockTerms) -> str:
    if lock.cost is None:
        return _WORDS[lock.kind]
    memory, passes, lanes = lock.cost
    return f"typed; Argon2id with {memory // 1024} MiB, {passes} passes, {lanes} lanes"
