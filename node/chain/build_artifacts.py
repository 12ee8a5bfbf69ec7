"""Copy what Hardhat built into the package, or check that it is the same (SPEC 8.6).

``python -m peerstream.node.chain.build_artifacts [--check] [--build DIRECTORY]``
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from peerstream.node.chain.artifacts import CONTRACTS, artifact_path

_SOURCES: Final = Path("build") / "artifacts" / "contracts"


def artifact_bytes(build: Path, name: str) -> bytes:
    """Return the artifact of a contract as it stands in the package."""
    (source,) = build.glob(f"**/{name}.sol/{name}.json")
    built = json.loads(source.read_text())
    kept = {"contract": name, "abi": built["abi"], "bytecode": built["bytecode"]}
    return (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode()


def differing(build: Path) -> list[str]:
    """Return the contracts whose built artifact is not the committed one, byte for byte."""
    return [
        name
        for name in CONTRACTS
        if not artifact_path(name).is_file()
        or artifact_path(name).read_bytes() != artifact_bytes(build, name)
    ]


def main(arguments: list[str]) -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--build", type=Path, default=_SOURCES, help="Hardhat's output")
    options = parser.parse_args(arguments)
    if not options.check:
        for name in CONTRACTS:
            artifact_path(name).write_bytes(artifact_bytes(options.build, name))
        return 0
    found = differing(options.build)
    for name in found:
        sys.stderr.write(f"{name}: the committed artifact is not what the sources give\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
