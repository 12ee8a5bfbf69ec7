"""Makes docs/errors.md from the classes: each one's name, its docstring, its exit code."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import peerstream
from peerstream.node.cli.exits import exit_code

ROOT = Path(__file__).parent.parent
HEAD = """\
# Errors

Each error that PeerStream has, with its cause and what to do about it, as `psp` prints it behind
the name and the message. The last column is the exit code of a command that fails with it.
Errors of the operating system keep their own names.

This page is made from the docstrings of the classes; `make check` says when it is stale.
"""
AREAS = {
    "peerstream.node.cli": "Command line",
    "peerstream.node.library": "Daemon, identities, Python API",
    "peerstream.node.gateway": "Ways in and out",
    "peerstream.node.store": "State directory, keystore, contacts",
    "peerstream.node.config": "Network file",
    "peerstream.node.chain": "Chain and registries",
    "peerstream.node.services": "Files, ping",
    "peerstream.node.roles": "Calling and being called",
    "peerstream.node.port_errors": "Calling and being called",
    "peerstream.node.lab": "Private networks",
    "peerstream.identity.login": "Login",
    "peerstream.identity.siwe": "Login",
    "peerstream.identity.web": "Login",
    "peerstream.identity": "Identities, delegations, cards",
    "peerstream.node.network": "Connections",
    "peerstream.node.protocol": "What a peer or a relay did",
}
NOT_IMPORTED = (".__main__", ".migrations.env")


def modules():
    for module in pkgutil.walk_packages(peerstream.__path__, "peerstream."):
        if not module.name.endswith(NOT_IMPORTED):
            yield importlib.import_module(module.name)


def classes() -> list[type[BaseException]]:
    """Every error class of ours, where it is defined."""
    found = {
        kind
        for module in modules()
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, BaseException) and kind.__module__ == module.__name__
    }
    return sorted(found, key=lambda kind: (kind.__name__, kind.__module__))


def named_in_the_source() -> Iterator[str]:
    """Every class of the source whose name says that it is an error, however it is reached."""
    for path in (*(ROOT / "node").rglob("*.py"), *(ROOT / "identity").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                yield node.name


def is_raised(kind: type[BaseException]) -> bool:
    """Whether it is more than a common name for others."""
    return "subclass" not in (kind.__doc__ or "")


def text_of(kind: type[BaseException]) -> str:
    return " ".join((kind.__dict__.get("__doc__") or "").split()).replace("|", "\\|")


def area_of(kind: type[BaseException]) -> str:
    fitting = [prefix for prefix in AREAS if f"{kind.__module__}.".startswith(f"{prefix}.")]
    return AREAS[max(fitting, key=len)]


def page() -> str:
    order = list(dict.fromkeys(AREAS.values()))
    raised = [kind for kind in classes() if is_raised(kind)]
    raised.sort(key=lambda kind: (order.index(area_of(kind)), kind.__name__, kind.__module__))
    parts = [HEAD]
    for area, kinds in groupby(raised, area_of):
        parts.append(f"\n## {area}\n\n| error | cause and remedy | code |\n|---|---|---|\n")
        parts += [
            f"| {kind.__name__} | {text_of(kind)} | {int(exit_code(kind.__new__(kind)))} |\n"
            for kind in kinds
        ]
    return "".join(parts)
