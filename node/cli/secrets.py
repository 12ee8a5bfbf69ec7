"""Passphrases, typed and never in an argument (SPEC 13.4)."""

import getpass
import sys

from peerstream.node.cli.errors import (
    EmptyPassphraseError,
    NoTerminalError,
    PassphraseMismatchError,
)


def ask_passphrase(what: str, *, twice: bool = False) -> str:
    """Return what the user types. twice: for a new one.

    Raises NoTerminalError, PassphraseMismatchError, EmptyPassphraseError.
    """
    if not sys.stdin.isatty():
        raise NoTerminalError(what)
    typed = _type(f"Passphrase of {what}: ")
    if twice and not typed:
        raise EmptyPassphraseError(what)
    if twice and _type("The same again: ") != typed:
        raise PassphraseMismatchError(what)
    return typed


def _type(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:  # Ctrl-D
        sys.stderr.write("\n")
        raise KeyboardInterrupt from None
