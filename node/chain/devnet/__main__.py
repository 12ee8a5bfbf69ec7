"""``python -m peerstream.node.chain.devnet``: one devnet as a process of its own (SPEC 8.7)."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import trio

from peerstream.node.chain.devnet.errors import DevnetError
from peerstream.node.chain.devnet.service import BACKENDS, ServiceOptions, announce, serve
from peerstream.node.chain.errors import ChainError
from peerstream.node.config import NetworkFileError, committed_constants


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="peerstream.node.chain.devnet", description=__doc__)
    parser.add_argument("--backend", choices=("auto", *BACKENDS), default="auto")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--state", type=Path, help="file that keeps the chain")
    parser.add_argument("--past", action="store_true", help="stay some epochs in the past")
    parser.add_argument("--network", default="devnet", help="committed constants to deploy with")
    parser.add_argument("--ready-fd", type=int, help="descriptor that gets the ready line")
    parser.add_argument("--ready-file", type=Path, help="file that gets the ready line")
    parser.add_argument("--lifeline", type=int, help="end when this inherited pipe ends")
    return parser


def main(arguments: list[str]) -> int:
    """Run a devnet until it is told to end; return the exit code."""
    found = _parser().parse_args(arguments)
    code = 0
    try:
        options = ServiceOptions(
            backend=found.backend,
            port=found.port,
            state=found.state,
            past=found.past,
            constants=committed_constants(found.network),
            lifeline=found.lifeline,
            ready=announce(found.ready_fd, found.ready_file),
        )
        trio.run(serve, options)
    except* (DevnetError, ChainError, NetworkFileError, OSError) as group:
        for error in leaves(group):
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        code = 1
    return code


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """Yield the errors themselves, out of the groups that nurseries wrap around them."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
