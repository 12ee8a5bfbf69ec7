"""The lock files fit pyproject.toml: asked of the files alone, without a network.

For each extra: what is declared is what the lock says it was made from, every version lies in the
declared range, everything has a hash, and one package has one version in all three files. A stale
lock is made again with `make lock`.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
EXTRAS = ("login", "node", "dev")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)")
OURS = "peerstream (pyproject.toml)"


@dataclass
class Locked:
    """One package of a lock file."""

    versions: set[Version] = field(default_factory=set)  # several where markers part them
    hashes: int = 0
    direct: bool = False  # pyproject.toml asked for it


def read_lock(path: Path) -> dict[str, Locked]:
    """Return what a lock file holds, by canonical name."""
    locked: dict[str, Locked] = {}
    package = Locked()
    for line in path.read_text(encoding="utf-8").splitlines():
        if pin := PIN.match(line):
            package = locked.setdefault(canonicalize_name(pin[1]), Locked())
            package.versions.add(Version(pin[2]))
        package.hashes += "--hash=sha256:" in line
        package.direct |= OURS in line
    return locked


def declared(project: dict[str, object], extra: str) -> Iterator[Requirement]:
    """Yield what the project and one extra ask for; an extra that names extras is followed."""
    optional = project["optional-dependencies"]
    lines: Iterable[str] = [*project["dependencies"], *optional[extra]]  # type: ignore[misc, index]
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            for other in requirement.extras:
                yield from declared(project, other)
        else:
            yield requirement


def faults(extra: str, wanted: list[Requirement], locked: dict[str, Locked]) -> Iterator[str]:
    """Yield what is wrong with one lock file."""
    names = {canonicalize_name(requirement.name) for requirement in wanted}
    for name in sorted({name for name, package in locked.items() if package.direct} - names):
        yield f"{extra}.lock was made when pyproject.toml asked for {name}"
    for requirement in wanted:
        package = locked.get(canonicalize_name(requirement.name))
        if package is None or not package.direct:
            yield f"{extra}.lock was made before pyproject.toml asked for {requirement.name}"
        elif not all(requirement.specifier.contains(v, prereleases=True) for v in package.versions):
            yield f"{extra}.lock has a version that {requirement} excludes"
    for name, package in locked.items():
        if not package.hashes:
            yield f"{extra}.lock has no hash of {name}"


def main() -> int:
    """Print every fault; the status is whether there were any."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: list[str] = []
    versions: dict[str, set[Version]] = {}
    for extra in EXTRAS:
        locked = read_lock(ROOT / "requirements" / f"{extra}.lock")
        found += faults(extra, list(declared(project, extra)), locked)
        for name, package in locked.items():
            seen = versions.setdefault(name, package.versions)
            if not package.versions <= seen and not seen <= package.versions:
                found.append(f"the lock files differ about {name}")
    for fault in dict.fromkeys(found):
        print(fault, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
