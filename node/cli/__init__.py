"""The command `psp` (SPEC 13). This module imports nothing: it starts in all installations."""

import sys
from collections.abc import Sequence

PIP_LINE = "pip install 'peerstream[node]', for a login 'peerstream[login]'"


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code, as in SPEC 13."""
    try:
        from peerstream.node.cli.application import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.stderr.write(f"psp: MissingExtraError: no module {error.name}. Run: {PIP_LINE}\n")
        return 1
    return run(sys.argv[1:] if tokens is None else list(tokens))
