"""The commands by name, and what surrounds each of them (SPEC 13).

Each command is named by the module that has it, which is imported when the command is used:
`psp --version` must not wait for libp2p.
"""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from types import FrameType
from typing import Final

from cyclopts import App, CycloptsError, UnknownCommandError

from peerstream import __version__
from peerstream.node.cli.errors import MissingExtraError, StoppedError, UnknownNameError
from peerstream.node.cli.exits import Exit, cause_of, exit_code
from peerstream.node.cli.report import Report, json_wanted, print_failure, print_report

_HERE: Final = "peerstream.node.cli"
_COMMANDS: Final = {
    "up": ("up:up", "Run the daemon: a node with its ways in and out, until Ctrl-C."),
    "id": ("identity:app", "The identity: keys that an Ethereum account vouches for."),
    "vault": ("vault:app", "The keystore: what opens it."),
    "status": ("status:status", "Show how the daemon does, and what carries its sessions."),
    "doctor": ("doctor:doctor", "Test what a node needs, and say what to do."),
    "contact": ("contact:app", "Contacts: cards of others, by names of your own."),
    "send": ("files:send", "Send a file to an address."),
    "receive": ("files:receive", "Receive files, and answer pings."),
    "ping": ("ping:ping", "Measure the way to an address and back."),
    "expose": ("expose:expose", "Make local programs reachable at our address."),
    "forward": ("forward:forward", "Let a local port lead to a service of an address."),
    "pipe": ("pipe:pipe", "Join standard input and output to a service of an address."),
    "nc": ("pipe:nc", "The same for ssh: ProxyCommand=psp nc %h %p."),
    "relay": ("relay:app", "Run a relay of a network."),
    "registry": ("registry:app", "Register relays, list identities, revoke: on the chain."),
    "devnet": ("devnet:app", "A private network on this machine: chain, contracts, relays."),
    "login": ("login:app", "Sign in with a wallet, as a service."),
    "bench": ("bench:app", "Measure private networks on this machine."),
    "audit": ("audit:audit", "Play a private network and print who knew what."),
    "chaos": ("chaos:chaos", "Send files through a private network whose relays die."),
    "demo": ("demo:demo", "Start a private network and send a file through it."),
}


def make_app() -> App:
    """Return the tree of commands, nothing of which is imported yet."""
    app = App(
        name="psp",
        version=__version__,
        version_flags=["--version"],
        help="Dial any Ethereum address without telling anyone where you are.",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        help_epilogue="With --json a command prints one JSON object and nothing else.",
    )
    for name, (place, summary) in _COMMANDS.items():
        app.command(f"{_HERE}.{place}", name=name, help=summary)
    app.register_install_completion_command(
        help="Have bash, zsh or fish complete commands and options."
    )
    return app


def run(tokens: Sequence[str]) -> int:
    """Run a command, print what came of it, and return the exit code."""
    tokens, wanted = _split_json(tokens)
    json_wanted.set(wanted)
    schema = _schema(tokens[0] if tokens else "")
    _take_signals()
    try:
        report = make_app()(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
        if isinstance(report, Report):
            print_report(report)
            return report.code
        if isinstance(report, int):
            return report
    except BrokenPipeError:
        # Whoever read our output has gone: the interpreter must not write the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except BaseException as error:  # noqa: BLE001 - a supervisor: the user gets a line, no traceback
        return _fail(schema, cause_of(error))
    return Exit.OK


def _schema(command: str) -> str:
    """Return the schema under which a failure of a command is printed."""
    if command == "bench":
        return "psp.bench.onion/1"
    return f"psp.{command}/1" if command in _COMMANDS else "psp.error/1"


def _split_json(tokens: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``--json`` out, wherever it stands before ``--``: it is a matter of printing alone."""
    end = tokens.index("--") if "--" in tokens else len(tokens)
    options = [word for word in tokens[:end] if word != "--json"]
    return [*options, *tokens[end:]], len(options) < end


def _fail(schema: str, error: BaseException) -> int:
    if os.environ.get("PSP_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt):
        print_failure(schema, StoppedError())
        return Exit.INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Exit.FAILED
    missing = _missing_module(error)
    if missing is not None:
        error = MissingExtraError(f"no module {missing}")
    if isinstance(error, UnknownCommandError):
        error = _unknown_command(error)
    print_failure(schema, error)
    if isinstance(error, (CycloptsError, UnknownNameError)):
        sys.stderr.write("psp: `psp --help` lists the commands and their options\n")
    return exit_code(error)


def _unknown_command(error: UnknownCommandError) -> UnknownNameError:
    # Its own text imports every command in order to list them.
    name = (error.unused_tokens or [""])[0]
    near = get_close_matches(name, _COMMANDS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return UnknownNameError(f"no command {name!r}{hint}")


def _missing_module(error: BaseException | None) -> str | None:
    """Return the name of the library that an import did not find, also behind other errors."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name is not None:
            return None if error.name.startswith("peerstream") else error.name
        error = error.__cause__ if isinstance(error, ImportError) else None
    return None


def _take_signals() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # In the background of a script: Ctrl-C is not for us, but trio takes no SIGTERM without it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    # as Ctrl-C, which trio knows how to take at a safe moment
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
