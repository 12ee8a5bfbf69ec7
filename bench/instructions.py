"""Instructions that a relay spends on a cell, through those of the bare cryptography of a cell.

    python bench/instructions.py [--check | --commit]

Both are counted in one run under callgrind, so that the processor, its load and the libraries
cancel out. Prints one JSON object. --check fails when a ratio grew by more than a tenth over the
committed one; --commit replaces that. Needs Debian's `valgrind`.
"""

import argparse
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from circuit import Bench
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

COMMITTED = Path(__file__).with_suffix(".json")
GROWTH_MAX = 1.10
CELL_CLASS = 2
CIRCUITS = 4
MEGABYTES = 32
WARM_UP = 2
ROUNDS = 2_000
NAMES = ("pass_through", "splice")
# A function of the C library that nothing else calls: at it callgrind writes down what it counted
# since the last time.
MARK = "sched_get_priority_max"


def mark() -> None:
    os.sched_get_priority_max(os.SCHED_OTHER)


def bare(size: int, rounds: int) -> None:
    """The two AEAD calls of a layer, and nothing around them."""
    hashing, stream = AESGCM(bytes(32)), AESGCM(bytes(32))
    cell, out = memoryview(bytearray(size)), memoryview(bytearray(size + 16))
    for _ in range(rounds):
        hashing.encrypt(bytes(12), b"", cell[16:])
        stream.encrypt_into(bytes(12), cell[16:], None, out[16:])


def play() -> None:
    """What runs under callgrind. Prints how many cells were relayed between the marks."""
    benches = [Bench(CELL_CLASS) for _ in NAMES]
    ends = [getattr(each, name)(CIRCUITS) for each, name in zip(benches, NAMES, strict=True)]
    bare(benches[0].size, 10)
    for bench, (near, far) in zip(benches, ends, strict=True):
        bench.run(near, far, WARM_UP)
    gc.collect()
    gc.disable()
    counts = [ROUNDS]
    mark()
    bare(benches[0].size, ROUNDS)
    mark()
    for bench, (near, far) in zip(benches, ends, strict=True):
        before = bench.core.cells_relayed
        bench.run(near, far, MEGABYTES)
        mark()
        counts.append(bench.core.cells_relayed - before)
    print(json.dumps(counts))


def count() -> list[float]:
    """Instructions of a bare round, of a cell in the middle, of a cell at a splice."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["valgrind", "--tool=callgrind", f"--dump-before={MARK}"]
        command += [f"--callgrind-out-file={directory}/out", "--log-fd=2"]
        command += [sys.executable, __file__, "--play"]
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        played = subprocess.run(  # noqa: S603 - a program of Debian's, our own interpreter
            command, env=environment, check=True, capture_output=True, text=True
        )
        cells = json.loads(played.stdout)
        # The first part is the set-up; what comes behind the last mark is the end of Python.
        parts = [total(Path(directory) / f"out.{n}") for n in range(2, 2 + len(cells))]
    return [part / number for part, number in zip(parts, cells, strict=True)]


def total(path: Path) -> int:
    """Instructions in one part of callgrind's output."""
    found = re.search(r"^(?:summary|totals): (\d+)", path.read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None, path
    return int(found[1])


def report() -> dict[str, float]:
    crypto, *cells = count()
    found = {
        f"{name}_ratio": round(each / crypto, 3) for name, each in zip(NAMES, cells, strict=True)
    }
    found["bare_instructions"] = round(crypto)
    return found | {
        f"{name}_instructions": round(each) for name, each in zip(NAMES, cells, strict=True)
    }


def grown(found: dict[str, float], committed: dict[str, float]) -> list[str]:
    """The ratios that grew too much."""
    names = [f"{name}_ratio" for name in NAMES]
    return [
        f"{name} is {found[name]}, and {committed[name]} is committed"
        for name in names
        if found[name] > GROWTH_MAX * committed[name]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    for name in ("--check", "--commit", "--play"):
        choice.add_argument(name, action="store_true")
    arguments = parser.parse_args()
    if arguments.play:
        play()
        return
    found = report()
    print(json.dumps(found))
    if arguments.commit:
        COMMITTED.write_text(json.dumps(found, indent=2) + "\n", encoding="ascii")
    if arguments.check:
        worse = grown(found, json.loads(COMMITTED.read_text(encoding="ascii")))
        sys.exit("\n".join(worse) if worse else 0)


if __name__ == "__main__":
    main()
