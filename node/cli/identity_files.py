"""`psp id export`, `move`, `restore`: an identity in a file of its own (SPEC 13.4, 22.5)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peerstream.node.cli.errors import FileExistsHereError, FileMissingError
from peerstream.node.cli.identity_report import SCHEMA, show_identity, values_of
from peerstream.node.cli.options import DEFAULT_STATE, Network, State, StateOptions, named_network
from peerstream.node.cli.report import Report
from peerstream.node.cli.secrets import ask_passphrase
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import load_identity
from peerstream.node.library.moving import (
    Restored,
    export_identity,
    move_identity,
    restore_identity,
)
from peerstream.node.ports import Environment
from peerstream.node.store.keystore import Passphrase

if TYPE_CHECKING:
    from rich.console import Console


def export(file: Path, /, *, state: State = DEFAULT_STATE) -> Report:
    """Write a backup of the identity to a new file, encrypted under a passphrase."""
    return _write(file, state, moving=False)


def move(file: Path, /, *, state: State = DEFAULT_STATE) -> Report:
    """Write it to a new file and end it here: `psp id restore` takes it up on another machine."""
    return _write(file, state, moving=True)


def restore(
    file: Path,
    /,
    *,
    network: Network = None,
    state: State = DEFAULT_STATE,
) -> Report:
    """Take an identity from a backup or a move, with device keys of this machine's own."""
    if not file.exists():
        raise FileMissingError(f"{file}")
    network_id = None if network is None else named_network(network).network_id
    passphrase = Passphrase(ask_passphrase(f"the backup {file}"))
    with state.new_keystore() as keystore:
        restored = restore_identity(keystore, file, passphrase, _environment(), network_id)
    values = values_of(restored.identity, state)
    if restored.old_device:
        values["old_device_key"] = "0x" + restored.old_device.hex()
    return Report(SCHEMA, values, lambda console: _show(console, restored, state, values))


def _write(file: Path, state: StateOptions, *, moving: bool) -> Report:
    if file.exists():
        raise FileExistsHereError(f"{file}")
    environment = _environment()
    with state.keystore() as keystore:
        identity = load_identity(keystore, environment)
        what = "move" if moving else "backup"
        passphrase = Passphrase(ask_passphrase(f"the {what} {file}", twice=True))
        write = move_identity if moving else export_identity
        write(keystore, file, passphrase, environment)
    values = {**values_of(identity, state), "file": str(file)}
    lines = [f"Written to {file}, encrypted."]
    if moving:
        lines += [
            "The identity is no longer here. Carry the file to the other machine, run there",
            f"  psp id restore {file.name}",
            "and erase the file.",
        ]
    return Report(SCHEMA, values, lambda console: console.print("\n".join(lines), soft_wrap=True))


def _show(
    console: "Console", restored: Restored, state: StateOptions, values: dict[str, Any]
) -> None:
    show_identity(console, values_of(restored.identity, state))
    if values["old_device_key"] is not None:
        console.print(
            "If the machine before this one is lost and the account is listed, void it:\n"
            f"  psp registry revoke --device {values['old_device_key']}",
            soft_wrap=True,
        )


def _environment() -> Environment:
    return Environment(SystemClock(), os.urandom)
