"""What git tracks is text of ours: no registry's address, no path of one machine, no big binary."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIZE_MAX = 1_000_000  # bytes; the largest file is a vector file
# As labels, so that this file names no registry itself.
REGISTRIES = (
    ("registry", "npmjs", ""),
    ("registry", "yarnpkg", ""),
    ("pypi", "org"),
    ("python" + "hosted", r"\w+"),
    ("deb", "debian", "org"),
    ("archive", "ubuntu", "com"),
    ("crates", "io/api"),
    ("proxy", "golang", "org"),
)
FORBIDDEN = {
    "the address of a package registry": re.compile("|".join(map("[.]".join, REGISTRIES))),
    "a path of one machine": re.compile(r"(?<![\w.~])/(?:home|Users|root|work)/\w"),
    "a path out of the repository": re.compile(r"\.\./shared"),
    "a conflict that was not resolved": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def tracked() -> list[Path]:
    """Return the files that git tracks here, without links to others of them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with one file."""
    data = path.read_bytes()
    if len(data) > SIZE_MAX:
        yield f"{len(data)} bytes"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        yield "not UTF-8"
        return
    for name, pattern in FORBIDDEN.items():
        if found := pattern.search(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"line {line}: {name}: {found[0]!r}"


def main() -> int:
    """Print every fault; the status is whether there were any."""
    status = 0
    for path in tracked():
        for fault in faults(path):
            print(f"{path.relative_to(ROOT)}: {fault}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
